#include "index/record_encoding.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"

namespace cairn::index {
namespace {

Removal SampleRemoval() {
  Removal removal;
  removal.volume_id = 0x01020304;
  removal.blob.set_key(std::string("k\0y", 3));
  removal.blob.set_subvolume(5);
  removal.blob.mutable_version()->set_time_ms(0x0a0b0c0d0e0f);
  removal.blob.mutable_version()->set_counter(0x1011);
  removal.blob.mutable_version()->set_writer_id(0xfedcba98);
  removal.blob.set_tombstone(true);
  return removal;
}

// These bytes are on disks: they never change under format 1.
TEST(KeyEncodingTest, RemovalsHaveTheBytesOfTheSpecification) {
  EXPECT_EQ(absl::BytesToHexString(EncodeRemoval(SampleRemoval())),
            "01020304"      // Volume id.
            "0003"          // Bytes of the key.
            "6b0079"        // Key.
            "0005"          // Subvolume.
            "0a0b0c0d0e0f"  // Version: milliseconds,
            "1011"          // counter,
            "fedcba98"      // writer id.
            "01");          // A tombstone's blob.
}

TEST(KeyEncodingTest, RemovalsComeBackAsTheyWere) {
  const Removal removal = SampleRemoval();
  const auto back = DecodeRemoval(EncodeRemoval(removal));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->volume_id, removal.volume_id);
  EXPECT_EQ(back->blob.SerializeAsString(), removal.blob.SerializeAsString());
}

TEST(KeyEncodingTest, ACutRemovalIsDataLossAtEachLength) {
  const std::string whole = EncodeRemoval(SampleRemoval());
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
    EXPECT_EQ(DecodeRemoval(whole.substr(0, bytes)).status().code(),
              absl::StatusCode::kDataLoss);
  }
  EXPECT_FALSE(DecodeRemoval(whole + "x").ok());
}

TEST(KeyEncodingTest, TombstonesSortByTimeThenKey) {
  EXPECT_EQ(absl::BytesToHexString(EncodeTombstone(0x0102, "k")),
            "0000000000000102"
            "6b");
  EXPECT_LT(EncodeTombstone(255, "z"), EncodeTombstone(256, "a"));
  const auto back = DecodeTombstone(EncodeTombstone(77, "key"));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->time_ms, 77);
  EXPECT_EQ(back->key, "key");
  EXPECT_FALSE(DecodeTombstone("12345678").ok());
}

TEST(KeyEncodingTest, RecordsTellTombstonesByTheirFirstByte) {
  v1::Record record;
  record.set_size_bytes(7);
  const std::string value = EncodeRecord(record);
  EXPECT_EQ(absl::BytesToHexString(value), "011807");
  EXPECT_FALSE(IsTombstone(value));
  record.set_tombstone(true);
  EXPECT_TRUE(IsTombstone(EncodeRecord(record)));
  v1::Record back;
  ASSERT_TRUE(DecodeRecord(value, &back).ok());
  EXPECT_EQ(back.size_bytes(), 7);
}

TEST(KeyEncodingTest, ADamagedRecordIsDataLoss) {
  v1::Record record;
  for (const std::string bytes :
       {"", "\x03\x18\x07", "\x02\x18\x07", "\x01\xff\xff", "x"}) {
    EXPECT_EQ(DecodeRecord(bytes, &record).code(), absl::StatusCode::kDataLoss);
  }
}

TEST(KeyEncodingTest, NumbersSortAsBytes) {
  EXPECT_LT(EncodeNumber(255), EncodeNumber(256));
  EXPECT_EQ(*DecodeNumber(EncodeNumber(1)), 1);
  EXPECT_EQ(*DecodeNumber(EncodeNumber(-1)), -1);
  EXPECT_FALSE(DecodeNumber("1234567").ok());
}

}  // namespace
}  // namespace cairn::index
