#include "base/version_clock.h"

#include <algorithm>

#include "base/check.h"
#include "base/monotonic.h"

namespace cairn::base {
VersionClock::VersionClock(MonotonicMs monotonic)
    : monotonic_(monotonic != nullptr ? monotonic
                                      : &::cairn::base::MonotonicMs) {}

void VersionClock::SetWriterId(uint32_t writer_id) {
  MutexLock lock(&mu_);
  writer_id_ = writer_id;
}

uint32_t VersionClock::writer_id() const {
  MutexLock lock(&mu_);
  return writer_id_;
}

void VersionClock::Observe(int64_t index_time_ms) {
  const int64_t offset = index_time_ms - monotonic_();
  MutexLock lock(&mu_);
  // An answer that was long on its way reports less than what has passed
  // since: the highest offset is the closest to the truth.
  offset_ms_ = std::max(offset_ms_, offset);
}

void VersionClock::Advance(const Version& seen) {
  MutexLock lock(&mu_);
  if (seen.time_ms > last_ms_) {
    last_ms_ = seen.time_ms;
    last_counter_ = seen.counter;
  } else if (seen.time_ms == last_ms_) {
    last_counter_ = std::max<uint32_t>(last_counter_, seen.counter);
  }
}

Version VersionClock::Next() {
  MutexLock lock(&mu_);
  CHECK(writer_id_ != 0 && offset_ms_ != INT64_MIN);
  const int64_t now = monotonic_() + offset_ms_;
  if (now > last_ms_) {
    last_ms_ = now;
    last_counter_ = 0;
  } else if (++last_counter_ > UINT16_MAX) {
    ++last_ms_;
    last_counter_ = 0;
  }
  Version version;
  version.time_ms = last_ms_;
  version.counter = static_cast<uint16_t>(last_counter_);
  version.writer_id = writer_id_;
  return version;
}

}  // namespace cairn::base
