#include "master/jobs/rate_limit.h"

#include <gtest/gtest.h>

namespace cairn::master {
namespace {

TEST(RateLimitTest, LetsATenthOfASecondsWorthThroughThenTheRate) {
  RateLimit limit(1000);
  absl::Time now = absl::UnixEpoch();
  EXPECT_EQ(limit.Take(60, now), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(50, now), absl::ZeroDuration());
  // 110 of 100 are taken: the next waits for the rest to be paid.
  EXPECT_EQ(limit.Take(100, now), absl::Milliseconds(10));
  now += absl::Seconds(10);
  EXPECT_EQ(limit.Take(100, now), absl::ZeroDuration());
}

TEST(RateLimitTest, AnAmountAboveTheRateIsPaidForAfterwards) {
  RateLimit limit(100);
  const absl::Time now = absl::UnixEpoch();
  EXPECT_EQ(limit.Take(1000, now), absl::ZeroDuration());
  EXPECT_EQ(limit.Take(1, now), absl::Seconds(10) - absl::Milliseconds(100));
}

TEST(RateLimitTest, ZeroIsNoLimit) {
  RateLimit limit(0);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(limit.Take(1 << 30, absl::UnixEpoch()), absl::ZeroDuration());
  }
}

}  // namespace
}  // namespace cairn::master
