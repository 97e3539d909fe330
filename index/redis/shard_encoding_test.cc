#include "index/redis/shard_encoding.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"

namespace cairn::index {
namespace {

v1::Record Sample() {
  v1::Record record;
  record.mutable_version()->set_time_ms(0x0a0b0c0d0e0f);
  record.mutable_version()->set_counter(0x1011);
  record.mutable_version()->set_writer_id(0xfedcba98);
  record.set_size_bytes(7);
  return record;
}

// These names and bytes are in people's Redis: they never change under
// format 1.
TEST(ShardEncodingTest, NamesAreThoseOfTheSpecification) {
  EXPECT_EQ(NamesOf(0).records, "cairn:{00}:records");
  EXPECT_EQ(NamesOf(255).index_id, "cairn:{ff}:index");
  EXPECT_EQ(NamesOf(16).values, "cairn:{10}:values");
  EXPECT_EQ(NamesOf(16).removals, "cairn:{10}:removals");
  EXPECT_EQ(NamesOf(16).tombstones, "cairn:{10}:tombstones");
  EXPECT_EQ(NamesOf(16).volumes, "cairn:{10}:volumes");
}

TEST(ShardEncodingTest, AKeysShardNeverChanges) {
  EXPECT_EQ(ShardOf("foo"), 138);
  EXPECT_EQ(ShardOf("photos/cat.jpg"), 191);
}

TEST(ShardEncodingTest, MembersHaveTheBytesOfTheSpecification) {
  EXPECT_EQ(absl::BytesToHexString(
                EncodeMember(absl::string_view("a\0b\x01", 4), Sample())),
            "61010162010200"                        // Key, end.
            "01"                                    // A value.
            "0a10088f9cb4e0b0c1021091201d98badcfe"  // Version.
            "1807");
  EXPECT_EQ(absl::BytesToHexString(EncodeVersion(Sample().version())),
            "0a0b0c0d0e0f1011fedcba98");
}

TEST(ShardEncodingTest, MembersSortAsKeysDoAndComeBack) {
  std::vector<std::string> keys = {std::string("\0", 1),
                                   std::string("\0\0", 2),
                                   std::string("\0\1", 2),
                                   "\x01",
                                   "\x01\x01",
                                   "\x02",
                                   "a",
                                   std::string("a\0", 2),
                                   std::string("a\0b", 3),
                                   "a\x01",
                                   "a\x01z",
                                   "a\x02",
                                   "ab",
                                   "\xff",
                                   "\xff\xff"};
  std::vector<std::string> members;
  for (const std::string& key : keys) {
    members.push_back(EncodeMember(key, Sample()));
    std::string back;
    v1::Record record;
    ASSERT_TRUE(DecodeMember(members.back(), &back, &record).ok());
    EXPECT_EQ(back, key);
    EXPECT_EQ(record.SerializeAsString(), Sample().SerializeAsString());
    EXPECT_FALSE(IsTombstoneMember(members.back()));
    // Within its own bounds, and no other's.
    for (const std::string& other : keys) {
      const bool inside = members.back() >= MemberMin(other).substr(1) &&
                          members.back() < MemberMax(other).substr(1);
      EXPECT_EQ(inside, other == key) << absl::CHexEscape(other);
    }
  }
  EXPECT_TRUE(std::is_sorted(members.begin(), members.end()));
}

TEST(ShardEncodingTest, WhatIsNoMemberIsDamaged) {
  v1::Record record;
  EXPECT_FALSE(DecodeMember("no end", nullptr, &record).ok());
  EXPECT_FALSE(
      DecodeMember(absl::string_view("k\0\x07", 3), nullptr, &record).ok());
}

}  // namespace
}  // namespace cairn::index
