#include "base/version_clock.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

namespace cairn::base {
namespace {

int64_t fake_ms = 0;
int64_t FakeMs() { return fake_ms; }

class VersionClockTest : public testing::Test {
 protected:
  VersionClockTest() : clock_(&FakeMs) {
    fake_ms = 1000;
    clock_.SetWriterId(7);
    clock_.Observe(50'000);
  }
  VersionClock clock_;
};

TEST_F(VersionClockTest, FollowsTheIndexsClockAndNotItsOwn) {
  const Version first = clock_.Next();
  EXPECT_EQ(first.time_ms, 50'000);
  EXPECT_EQ(first.counter, 0);
  EXPECT_EQ(first.writer_id, 7u);
  fake_ms += 25;
  EXPECT_EQ(clock_.Next().time_ms, 50'025);
}

TEST_F(VersionClockTest, WithinAMillisecondTheCounterGrows) {
  EXPECT_EQ(clock_.Next().counter, 0);
  EXPECT_EQ(clock_.Next().counter, 1);
  fake_ms += 1;
  EXPECT_EQ(clock_.Next().counter, 0);
}

TEST_F(VersionClockTest, AFullCounterBorrowsFromTheNextMillisecond) {
  Version last = clock_.Next();
  for (int i = 0; i < 70'000; ++i) {
    const Version next = clock_.Next();
    ASSERT_LT(last, next);
    last = next;
  }
  EXPECT_EQ(last.time_ms, 50'001);
}

TEST_F(VersionClockTest, ALateReportDoesNotTurnItBack) {
  fake_ms += 100;
  clock_.Observe(50'010);  // Made 90 ms before it was heard.
  EXPECT_EQ(clock_.Next().time_ms, 50'100);
  clock_.Observe(60'000);
  EXPECT_EQ(clock_.Next().time_ms, 60'000);
}

TEST_F(VersionClockTest, AfterAdvanceItIsAboveWhatWasSeen) {
  Version seen;
  seen.time_ms = 70'000;
  seen.counter = 65535;
  seen.writer_id = 9;
  clock_.Advance(seen);
  const Version next = clock_.Next();
  EXPECT_LT(seen, next);
  EXPECT_EQ(next.time_ms, 70'001);
  Version same = next;
  same.counter = 5;
  same.writer_id = 99;
  clock_.Advance(same);
  EXPECT_LT(same, clock_.Next());
  clock_.Advance(Version());  // Older than all: no effect.
  EXPECT_LT(same, clock_.Next());
}

TEST_F(VersionClockTest, ManyThreadsNeverGetOneVersionTwice) {
  std::vector<std::vector<std::string>> taken(4);
  std::vector<std::thread> threads;
  for (auto& mine : taken) {
    threads.emplace_back([this, &mine] {
      for (int i = 0; i < 1000; ++i) mine.push_back(clock_.Next().ToHex());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<std::string> all;
  for (const auto& mine : taken) all.insert(mine.begin(), mine.end());
  EXPECT_EQ(all.size(), 4000u);
}

}  // namespace
}  // namespace cairn::base
