// The clock from which one writer takes versions.

#ifndef CAIRN_BASE_VERSION_CLOCK_H_
#define CAIRN_BASE_VERSION_CLOCK_H_

#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"
#include "base/version.h"

namespace cairn::base {

// A hybrid logical clock (Kulkarni et al., 2014) that follows the index's
// clock: the last time the index reported plus the monotonic time since. The
// machine's own wall clock is never used, so it may be wrong.
//
// Thread safety: any method from any thread.
class VersionClock {
 public:
  // Milliseconds of a clock that only goes forward; a test may give its own.
  using MonotonicMs = int64_t (*)();
  explicit VersionClock(MonotonicMs monotonic = nullptr);

  // The id the index gave to this writer. Call before the first Next(), and
  // again whenever it gives another.
  void SetWriterId(uint32_t writer_id);
  uint32_t writer_id() const;

  // The index said that its clock shows `index_time_ms`.
  void Observe(int64_t index_time_ms);

  // The next versions will be higher than `seen`.
  void Advance(const Version& seen);

  // Higher than every version this clock gave before.
  // REQUIRES: SetWriterId() and Observe() were called.
  Version Next();

 private:
  const MonotonicMs monotonic_;
  mutable Mutex mu_;
  uint32_t writer_id_ ABSL_GUARDED_BY(mu_) = 0;
  // Index time minus monotonic time, as last observed; never lowered.
  int64_t offset_ms_ ABSL_GUARDED_BY(mu_) = INT64_MIN;
  // The last version given or seen.
  int64_t last_ms_ ABSL_GUARDED_BY(mu_) = 0;
  uint32_t last_counter_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace cairn::base

#endif  // CAIRN_BASE_VERSION_CLOCK_H_
