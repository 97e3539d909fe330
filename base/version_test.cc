#include "base/version.h"

#include <gtest/gtest.h>

namespace cairn::base {
namespace {

Version Make(int64_t time_ms, uint16_t counter, uint32_t writer_id) {
  Version version;
  version.time_ms = time_ms;
  version.counter = counter;
  version.writer_id = writer_id;
  return version;
}

TEST(VersionTest, TextHasTheDigitsOfTheSpecification) {
  EXPECT_EQ(Make(0x018bcfe56800, 0x0102, 0xdeadbeef).ToHex(),
            "018bcfe568000102deadbeef");
  EXPECT_EQ(Version().ToHex(), "000000000000000000000000");
}

TEST(VersionTest, TextComesBackAsTheVersion) {
  const Version highest = Make(0xffffffffffff, 0xffff, 0xffffffff);
  for (const Version& version : {Version(), Make(1, 2, 3), highest}) {
    const auto back = Version::FromHex(version.ToHex());
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(*back, version);
  }
}

TEST(VersionTest, AnythingElseIsRefused) {
  for (const char* text :
       {"", "0", "018BCFE568000102DEADBEEF", "018bcfe568000102deadbeeg",
        "018bcfe568000102deadbeef0", "018bcfe568000102deadbee",
        " 18bcfe568000102deadbeef", "-18bcfe568000102deadbeef"}) {
    EXPECT_FALSE(Version::FromHex(text).ok()) << text;
  }
}

TEST(VersionTest, TimeThenCounterThenWriterDecideAlsoAsText) {
  const Version ordered[] = {Make(1, 0, 9), Make(1, 1, 0),
                             Make(1, 1, 1), Make(1, 0x100, 0),
                             Make(2, 0, 0), Make(0x100, 0, 0)};
  for (size_t i = 0; i < std::size(ordered); ++i) {
    for (size_t k = 0; k < std::size(ordered); ++k) {
      EXPECT_EQ(ordered[i] < ordered[k], i < k);
      EXPECT_EQ(ordered[i].ToHex() < ordered[k].ToHex(), i < k);
      EXPECT_EQ(ordered[i] == ordered[k], i == k);
      EXPECT_EQ(ordered[i] >= ordered[k], i >= k);
    }
  }
}

}  // namespace
}  // namespace cairn::base
