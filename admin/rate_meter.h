// RateMeter: how fast something goes, over the last ten seconds, and when it
// will be done.

#ifndef CAIRN_ADMIN_RATE_METER_H_
#define CAIRN_ADMIN_RATE_METER_H_

#include <cstdint>
#include <deque>

#include "absl/time/time.h"

namespace cairn::admin {

// Not thread-safe.
class RateMeter {
 public:
  // What is done of it by now, from the start. Never less than before.
  void Add(absl::Time now, int64_t count, int64_t bytes);

  // 0 before the second sample.
  double count_per_second() const;
  double bytes_per_second() const;

  // Until this much more is done: by the count or by the bytes, whichever
  // takes longer. InfiniteDuration: cannot be told yet.
  absl::Duration TimeLeft(int64_t count, int64_t bytes) const;

 private:
  struct Sample {
    absl::Time time;
    int64_t count;
    int64_t bytes;
  };
  double Seconds() const;

  std::deque<Sample> samples_;  // 100 ms apart, at least: about a hundred.
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_RATE_METER_H_
