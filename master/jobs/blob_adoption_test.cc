#include "master/jobs/blob_adoption.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace cairn::master {
namespace {

using Kind = Adoption::Kind;

constexpr int kReplicas = 2;

FoundBlob Blob(uint32_t volume, int64_t time_ms, bool tombstone = false) {
  FoundBlob blob;
  blob.volume_id = volume;
  blob.stat.mutable_blob()->set_key("foo");
  blob.stat.mutable_blob()->mutable_version()->set_time_ms(time_ms);
  blob.stat.mutable_blob()->set_tombstone(tombstone);
  blob.stat.set_size_bytes(3);
  blob.stat.mutable_digest()->set_xxh3(time_ms);
  blob.stat.mutable_metadata()->set_content_type("text/plain");
  blob.stat.set_value("abc");
  blob.stat.set_committed(true);
  blob.stat.set_whole(true);
  return blob;
}

v1::Record RecordAt(int64_t time_ms, const std::vector<uint32_t>& volumes,
                    bool tombstone = false) {
  v1::Record record;
  record.mutable_version()->set_time_ms(time_ms);
  record.mutable_digest()->set_xxh3(time_ms);
  record.set_tombstone(tombstone);
  for (const uint32_t id : volumes) record.add_replicas()->set_volume_id(id);
  return record;
}

Kind KindOf(const v1::Record& record, const FoundBlob& blob) {
  return Adopt(&record, blob, kReplicas).kind;
}

TEST(BlobAdoptionTest, WhatTheIndexKnowsIsLeftAlone) {
  EXPECT_EQ(KindOf(RecordAt(5, {1, 2}), Blob(1, 5)), Kind::kNothing);
  EXPECT_EQ(KindOf(RecordAt(5, {1}, true), Blob(1, 5, true)), Kind::kNothing);
}

TEST(BlobAdoptionTest, AMissingReplicaIsTakenIn) {
  const v1::Record record = RecordAt(5, {1});
  const Adoption adoption = Adopt(&record, Blob(2, 5), kReplicas);
  ASSERT_EQ(adoption.kind, Kind::kCommit);
  EXPECT_EQ(adoption.mutation.kind, index::Mutation::Kind::kMove);
  EXPECT_EQ(adoption.mutation.replicas_before.size(), 1u);
  ASSERT_EQ(adoption.mutation.record.replicas_size(), 2);
  EXPECT_EQ(adoption.mutation.record.replicas(1).volume_id(), 2u);
}

TEST(BlobAdoptionTest, SurplusIsRemoved) {
  EXPECT_EQ(KindOf(RecordAt(5, {1, 2}), Blob(3, 5)), Kind::kRemove);
  // Another disk of a volume that has one.
  FoundBlob other_disk = Blob(1, 5);
  other_disk.stat.mutable_blob()->set_subvolume(3);
  EXPECT_EQ(KindOf(RecordAt(5, {1}), other_disk), Kind::kRemove);
  FoundBlob damaged = Blob(2, 5);
  damaged.stat.set_whole(false);
  EXPECT_EQ(KindOf(RecordAt(5, {1}), damaged), Kind::kRemove);
  FoundBlob other_bytes = Blob(2, 5);
  other_bytes.stat.mutable_digest()->set_xxh3(7);
  EXPECT_EQ(KindOf(RecordAt(5, {1}), other_bytes), Kind::kRemove);
}

TEST(BlobAdoptionTest, WhatIsOlderIsRemovedAlsoBelowATombstone) {
  EXPECT_EQ(KindOf(RecordAt(5, {1, 2}), Blob(3, 4)), Kind::kRemove);
  EXPECT_EQ(KindOf(RecordAt(5, {1, 2}, true), Blob(3, 4)), Kind::kRemove);
  EXPECT_EQ(KindOf(RecordAt(5, {1, 2}), Blob(3, 4, true)), Kind::kRemove);
}

TEST(BlobAdoptionTest, ACommittedBlobThatIsNewerBecomesTheKeys) {
  const v1::Record record = RecordAt(5, {1, 2});
  for (const v1::Record* current :
       {static_cast<const v1::Record*>(nullptr), &record}) {
    const Adoption adoption = Adopt(current, Blob(3, 6), kReplicas);
    ASSERT_EQ(adoption.kind, Kind::kCommit);
    EXPECT_EQ(adoption.mutation.kind, index::Mutation::Kind::kRestore);
    EXPECT_EQ(adoption.mutation.key, "foo");
    EXPECT_EQ(adoption.mutation.inline_value, "abc");
    EXPECT_EQ(adoption.mutation.record.size_bytes(), 3);
    EXPECT_EQ(adoption.mutation.record.metadata().content_type(), "text/plain");
    EXPECT_EQ(adoption.mutation.record.replicas_size(), 1);
  }
  const Adoption gone = Adopt(&record, Blob(3, 6, true), kReplicas);
  EXPECT_TRUE(gone.mutation.record.tombstone());
  EXPECT_EQ(gone.mutation.inline_value, "");
}

TEST(BlobAdoptionTest, AnUnmarkedOneIsLeftToItsAgentADamagedOneStays) {
  FoundBlob unmarked = Blob(3, 6);
  unmarked.stat.set_committed(false);
  EXPECT_EQ(Adopt(nullptr, unmarked, kReplicas).kind, Kind::kNothing);
  FoundBlob damaged = Blob(3, 6);
  damaged.stat.set_whole(false);
  EXPECT_EQ(Adopt(nullptr, damaged, kReplicas).kind, Kind::kDamaged);
}

}  // namespace
}  // namespace cairn::master
