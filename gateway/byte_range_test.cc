#include "gateway/byte_range.h"

#include <gtest/gtest.h>

#include <string>

namespace cairn::gateway {
namespace {

std::string Show(const std::string& header, int64_t size_bytes) {
  const ByteRange range = ParseByteRange(header, size_bytes);
  switch (range.kind) {
    case ByteRange::Kind::kWhole:
      return "200";
    case ByteRange::Kind::kUnsatisfiable:
      return "416 " + ContentRange(range, size_bytes);
    case ByteRange::Kind::kPart:
      return "206 " + ContentRange(range, size_bytes);
  }
  return "";
}

TEST(ByteRangeTest, ReadsLikeNginx) {
  const struct {
    std::string header;
    int64_t size_bytes;
    std::string answer;
  } kCases[] = {
      // Absent, or another unit.
      {"", 10, "200"},
      {"bytes=", 10, "200"},
      {"items=0-1", 10, "200"},
      {"bytes 0-1", 10, "200"},
      {" bytes=0-1", 10, "200"},
      {"BYTES=0-1", 10, "206 bytes 0-1/10"},
      // One range.
      {"bytes=0-0", 10, "206 bytes 0-0/10"},
      {"bytes=2-5", 10, "206 bytes 2-5/10"},
      {"bytes=5-", 10, "206 bytes 5-9/10"},
      {"bytes=0-", 10, "206 bytes 0-9/10"},
      {"bytes=9-9", 10, "206 bytes 9-9/10"},
      {"bytes=2-100", 10, "206 bytes 2-9/10"},
      {"bytes=0-9223372036854775807", 10, "206 bytes 0-9/10"},
      {"bytes=  2  -  5  ", 10, "206 bytes 2-5/10"},
      // Suffixes.
      {"bytes=-1", 10, "206 bytes 9-9/10"},
      {"bytes=-10", 10, "206 bytes 0-9/10"},
      {"bytes=-11", 10, "206 bytes 0-9/10"},
      {"bytes=-0", 10, "416 bytes */10"},
      // Nothing of the value.
      {"bytes=10-", 10, "416 bytes */10"},
      {"bytes=10-20", 10, "416 bytes */10"},
      {"bytes=5-2", 10, "416 bytes */10"},
      {"bytes=20-30,40-", 10, "416 bytes */10"},
      // Malformed.
      {"bytes=x", 10, "416 bytes */10"},
      {"bytes=-", 10, "416 bytes */10"},
      {"bytes=1", 10, "416 bytes */10"},
      {"bytes=0--1", 10, "416 bytes */10"},
      {"bytes=- 5", 10, "416 bytes */10"},
      {"bytes=1-2x", 10, "416 bytes */10"},
      {"bytes=1-2,", 10, "416 bytes */10"},
      {"bytes=,1-2", 10, "416 bytes */10"},
      {"bytes=\t1-2", 10, "416 bytes */10"},
      {"bytes=0-9223372036854775808", 10, "416 bytes */10"},
      {"bytes=9223372036854775808-", 10, "416 bytes */10"},
      // Several.
      {"bytes=0-1,4-5", 10, "200"},
      {"bytes=0-1,4-5,x", 10, "200"},
      {"bytes=0-1,x", 10, "416 bytes */10"},
      {"bytes=0-1, 20-30", 10, "206 bytes 0-1/10"},
      {"bytes=20-30, 1-2", 10, "206 bytes 1-2/10"},
      {"bytes=20-30,-2", 10, "206 bytes 8-9/10"},
      // An empty value.
      {"bytes=0-", 0, "200"},
      {"bytes=0-5", 0, "200"},
      {"bytes=-5", 0, "200"},
      {"bytes=1-", 0, "416 bytes */0"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(Show(c.header, c.size_bytes), c.answer)
        << "\"" << c.header << "\" of " << c.size_bytes;
  }
}

}  // namespace
}  // namespace cairn::gateway
