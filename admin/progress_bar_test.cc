#include "admin/progress_bar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

namespace cairn::admin {
namespace {

BarState Half() {
  BarState state;
  state.label = "copying";
  state.unit = "files";
  state.done_count = 3;
  state.total_count = 8;
  state.done_bytes = 512 << 10;
  state.total_bytes = 1 << 20;
  state.totals_known = true;
  state.bytes_per_second = 256 << 10;
  state.time_left = absl::Seconds(2);
  return state;
}

TEST(ProgressBarTest, AWideLineTellsAll) {
  EXPECT_EQ(BarLine(Half(), 200),
            "copying  [###############---------------]   50%  3/8 files  "
            "512.0 KiB of 1.0 MiB  256.0 KiB/s  ETA 0:02");
  BarState failing = Half();
  failing.errors_count = 1;
  EXPECT_EQ(BarLine(failing, 200).substr(93), "  ETA 0:02  1 error");
}

TEST(ProgressBarTest, WithoutTotalsThereIsNoBarAndNoTime) {
  BarState state = Half();
  state.totals_known = false;
  EXPECT_EQ(BarLine(state, 200), "copying  3 files  512.0 KiB  256.0 KiB/s");
}

TEST(ProgressBarTest, CountsAloneMakeABarToo) {
  BarState state = Half();
  state.done_bytes = state.total_bytes = 0;
  state.bytes_per_second = 0;
  state.count_per_second = 7;
  state.time_left = absl::InfiniteDuration();
  EXPECT_EQ(BarLine(state, 60),
            "copying  [####---------]   37%  3/8 files  7 files/s  ETA -");
}

TEST(ProgressBarTest, OnlyKnownTotalsAreNamed) {
  BarState state = Half();
  state.total_bytes = 0;
  EXPECT_NE(BarLine(state, 200).find("3/8 files  512.0 KiB  256.0 KiB/s"),
            std::string::npos)
      << BarLine(state, 200);
}

TEST(ProgressBarTest, ItFitsAnyTerminal) {
  BarState state = Half();
  state.errors_count = 12345;
  state.total_count = INT64_MAX;
  state.total_bytes = INT64_MAX;
  for (int columns = 0; columns < 200; ++columns) {
    const std::string line = BarLine(state, columns);
    EXPECT_LE(static_cast<int>(line.size()), std::max(0, columns - 1));
    if (columns > 20) {
      EXPECT_NE(line.find("0%"), std::string::npos) << line;
      EXPECT_NE(line.find("12345"), std::string::npos) << line;
    }
  }
}

TEST(ProgressBarTest, MoreThanAllIsAll) {
  BarState state = Half();
  state.done_bytes = 4 << 20;
  EXPECT_NE(BarLine(state, 200).find("]  100%"), std::string::npos);
  state.total_bytes = state.total_count = 0;
  EXPECT_NE(BarLine(state, 200).find("]  100%"), std::string::npos);
}

}  // namespace
}  // namespace cairn::admin
