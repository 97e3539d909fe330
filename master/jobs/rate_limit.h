// A token bucket that holds a tenth of a second's worth: what comes in bursts
// is felt by those who read meanwhile, whatever its mean.

#ifndef CAIRN_MASTER_JOBS_RATE_LIMIT_H_
#define CAIRN_MASTER_JOBS_RATE_LIMIT_H_

#include <algorithm>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace cairn::master {

// Thread safety: any method from any thread. Time is handed in.
class RateLimit {
 public:
  // 0: no limit.
  explicit RateLimit(int64_t per_second_max) : per_second_(per_second_max) {}

  // Takes `amount`; returns how long to wait before it may be used. One that
  // is larger than what the bucket holds is let through and paid for
  // afterwards.
  absl::Duration Take(int64_t amount, absl::Time now) {
    if (per_second_ <= 0) return absl::ZeroDuration();
    base::MutexLock lock(&mu_);
    const absl::Duration cost =
        absl::Seconds(static_cast<double>(amount) / per_second_);
    free_at_ = std::max(free_at_, now - kHeld);
    const absl::Duration wait = free_at_ - now;
    free_at_ += cost;
    return std::max(wait, absl::ZeroDuration());
  }

 private:
  static constexpr absl::Duration kHeld = absl::Milliseconds(100);

  const int64_t per_second_;
  base::Mutex mu_;
  // When all that was taken has been paid for.
  absl::Time free_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_RATE_LIMIT_H_
