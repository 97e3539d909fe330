#include "admin/human.h"

#include <gtest/gtest.h>

namespace cairn::admin {
namespace {

TEST(HumanTest, BytesReadAsPeopleReadThem) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1024), "1.0 KiB");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(HumanBytes(int64_t{5} << 40), "5.0 TiB");
  EXPECT_EQ(HumanBytes(INT64_MAX), "8.0 EiB");
}

TEST(HumanTest, DurationsReadLikeAClock) {
  EXPECT_EQ(HumanDuration(absl::ZeroDuration()), "0:00");
  EXPECT_EQ(HumanDuration(absl::Milliseconds(1)), "0:01");
  EXPECT_EQ(HumanDuration(absl::Seconds(754)), "12:34");
  EXPECT_EQ(HumanDuration(absl::Seconds(3723)), "1:02:03");
  EXPECT_EQ(HumanDuration(absl::Hours(24 * 5)), "5 days");
}

TEST(HumanTest, BytesAreReadAsTheyAreWritten) {
  EXPECT_EQ(*ParseBytes("0"), 0);
  EXPECT_EQ(*ParseBytes("500"), 500);
  EXPECT_EQ(*ParseBytes("64k"), 64 << 10);
  EXPECT_EQ(*ParseBytes("1.5G"), int64_t{3} << 29);
  for (const char* wrong : {"", "K", "-1", "1e9", "5KB", "M5", "99999999P"}) {
    EXPECT_FALSE(ParseBytes(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace cairn::admin
