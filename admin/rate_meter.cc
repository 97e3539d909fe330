#include "admin/rate_meter.h"

#include <algorithm>

namespace cairn::admin {
namespace {

constexpr absl::Duration kWindow = absl::Seconds(10);
constexpr absl::Duration kSpacing = absl::Milliseconds(100);

absl::Duration TimeFor(int64_t left, double per_second) {
  if (left <= 0) return absl::ZeroDuration();
  if (per_second <= 0) return absl::InfiniteDuration();
  return absl::Seconds(static_cast<double>(left) / per_second);
}

}  // namespace

void RateMeter::Add(absl::Time now, int64_t count, int64_t bytes) {
  if (samples_.size() > 1 &&
      now - samples_[samples_.size() - 2].time < kSpacing) {
    samples_.pop_back();
  }
  samples_.push_back({now, count, bytes});
  while (samples_.size() > 2 && now - samples_[1].time >= kWindow) {
    samples_.pop_front();
  }
}

double RateMeter::Seconds() const {
  if (samples_.size() < 2) return 0;
  return absl::ToDoubleSeconds(samples_.back().time - samples_.front().time);
}

double RateMeter::count_per_second() const {
  const double seconds = Seconds();
  if (seconds <= 0) return 0;
  return static_cast<double>(samples_.back().count - samples_.front().count) /
         seconds;
}

double RateMeter::bytes_per_second() const {
  const double seconds = Seconds();
  if (seconds <= 0) return 0;
  return static_cast<double>(samples_.back().bytes - samples_.front().bytes) /
         seconds;
}

absl::Duration RateMeter::TimeLeft(int64_t count, int64_t bytes) const {
  return std::max(TimeFor(count, count_per_second()),
                  TimeFor(bytes, bytes_per_second()));
}

}  // namespace cairn::admin
