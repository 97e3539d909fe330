#include "master/jobs/background_step.h"

#include <gtest/gtest.h>

#include <future>

namespace cairn::master {
namespace {

TEST(BackgroundStepTest, TheCallerGoesOnWhileAStepRuns) {
  std::promise<void> go;
  int done = 0;
  BackgroundStep background;
  ASSERT_TRUE(background
                  .Start([&] {
                    go.get_future().wait();
                    done = 1;
                    return absl::OkStatus();
                  })
                  .ok());
  go.set_value();
  ASSERT_TRUE(background
                  .Start([&] {
                    if (done == 1) done = 2;
                    return absl::OkStatus();
                  })
                  .ok());
  EXPECT_TRUE(background.Wait().ok());
  EXPECT_EQ(done, 2);
  EXPECT_TRUE(background.Wait().ok()) << "there is none";
}

TEST(BackgroundStepTest, NothingBeginsBehindAStepThatFailed) {
  bool begun = false;
  BackgroundStep background;
  ASSERT_TRUE(
      background.Start([] { return absl::UnavailableError("away"); }).ok());
  EXPECT_TRUE(absl::IsUnavailable(background.Start([&] {
    begun = true;
    return absl::OkStatus();
  })));
  EXPECT_FALSE(begun);
  EXPECT_TRUE(background.Wait().ok()) << "it was told";
}

TEST(BackgroundStepTest, ItEndsBehindTheStepUnderWay) {
  bool done = false;
  {
    BackgroundStep background;
    ASSERT_TRUE(background
                    .Start([&] {
                      done = true;
                      return absl::OkStatus();
                    })
                    .ok());
  }
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace cairn::master
