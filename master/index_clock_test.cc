#include "master/index_clock.h"

#include <gtest/gtest.h>

#include "index/memory_index_store.h"

namespace cairn::master {
namespace {

// A machine whose clocks the test sets.
class IndexClockTest : public testing::Test {
 protected:
  std::unique_ptr<IndexClock> Start() {
    auto clock = IndexClock::Open(
        index_.get(),
        {[this] { return wall_ms_; }, [this] { return elapsed_ms_; }});
    EXPECT_TRUE(clock.ok()) << clock.status();
    return *std::move(clock);
  }
  void Pass(int64_t ms) {
    wall_ms_ += ms;
    elapsed_ms_ += ms;
  }

  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore();
  int64_t wall_ms_ = 1'000'000;
  int64_t elapsed_ms_ = 5'000;
};

TEST_F(IndexClockTest, ShowsTheWallTimeAndFollowsElapsedTime) {
  const auto clock = Start();
  EXPECT_EQ(clock->NowMs(), 1'000'000);
  Pass(250);
  EXPECT_EQ(clock->NowMs(), 1'000'250);
}

TEST_F(IndexClockTest, AWallClockThatIsSetDoesNotMoveIt) {
  const auto clock = Start();
  wall_ms_ -= 900'000;
  EXPECT_EQ(clock->NowMs(), 1'000'000);
  wall_ms_ += 9'000'000;
  EXPECT_EQ(clock->NowMs(), 1'000'000);
}

TEST_F(IndexClockTest, StandsStillRatherThanPassItsDurableMark) {
  const auto clock = Start();
  Pass(60'000);
  const int64_t stood_at = clock->NowMs();
  EXPECT_LT(stood_at, 1'060'000);
  ASSERT_TRUE(clock->Reserve().ok());
  EXPECT_EQ(clock->NowMs(), 1'060'000);
}

TEST_F(IndexClockTest, DoesNotRunBackwardsOverACrashWithTheWallClockSetBack) {
  int64_t shown = 0;
  {
    const auto clock = Start();
    Pass(4'000);
    ASSERT_TRUE(clock->Reserve().ok());
    shown = clock->NowMs();
  }
  wall_ms_ -= 3'600'000;
  EXPECT_GE(Start()->NowMs(), shown);
}

TEST_F(IndexClockTest, ACleanStopIsNoJump) {
  {
    const auto clock = Start();
    Pass(1'000);
    ASSERT_TRUE(clock->Release().ok());
  }
  Pass(500);
  EXPECT_EQ(Start()->NowMs(), 1'001'500);
}

// Else clients that went on counting would be ahead of it after a long stop.
TEST_F(IndexClockTest, KeepsItsLeadOverTheWallClockWhileItIsDown) {
  {
    const auto clock = Start();
    wall_ms_ -= 100'000;
    Pass(1'000);
    ASSERT_TRUE(clock->Release().ok());
  }
  Pass(30'000);
  EXPECT_EQ(Start()->NowMs(), 1'031'000);
}

TEST_F(IndexClockTest, EachStartShowsALaterTimeThanTheOneBefore) {
  const int64_t first = Start()->NowMs();
  EXPECT_GT(Start()->NowMs(), first);
}

}  // namespace
}  // namespace cairn::master
