#include "admin/rate_meter.h"

#include <gtest/gtest.h>

namespace cairn::admin {
namespace {

absl::Time At(int ms) { return absl::UnixEpoch() + absl::Milliseconds(ms); }

TEST(RateMeterTest, ItTellsNothingBeforeTheSecondSample) {
  RateMeter meter;
  EXPECT_EQ(meter.bytes_per_second(), 0);
  EXPECT_EQ(meter.TimeLeft(1, 0), absl::InfiniteDuration());
  meter.Add(At(0), 0, 0);
  EXPECT_EQ(meter.count_per_second(), 0);
  EXPECT_EQ(meter.TimeLeft(0, 0), absl::ZeroDuration());
}

TEST(RateMeterTest, ItForgetsWhatIsTenSecondsOld) {
  RateMeter meter;
  for (int second = 0; second <= 20; ++second) {
    meter.Add(At(second * 1000), 0, second * 100);  // 100 bytes a second.
  }
  EXPECT_DOUBLE_EQ(meter.bytes_per_second(), 100);
  for (int second = 21; second <= 30; ++second) {
    meter.Add(At(second * 1000), 0, 2000);  // It stands still.
  }
  EXPECT_DOUBLE_EQ(meter.bytes_per_second(), 0);
  EXPECT_EQ(meter.TimeLeft(0, 1), absl::InfiniteDuration());
}

TEST(RateMeterTest, SamplesInQuickSuccessionAreOne) {
  RateMeter meter;
  meter.Add(At(0), 0, 0);
  for (int ms = 1; ms <= 1000; ++ms) meter.Add(At(ms), ms, ms * 10);
  EXPECT_DOUBLE_EQ(meter.count_per_second(), 1000);
  EXPECT_DOUBLE_EQ(meter.bytes_per_second(), 10000);
}

TEST(RateMeterTest, WhatTakesLongerDecidesTheTimeLeft) {
  RateMeter meter;
  meter.Add(At(0), 0, 0);
  meter.Add(At(1000), 10, 1000);
  EXPECT_EQ(meter.TimeLeft(20, 1000), absl::Seconds(2));
  EXPECT_EQ(meter.TimeLeft(10, 5000), absl::Seconds(5));
}

}  // namespace
}  // namespace cairn::admin
