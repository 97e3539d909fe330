#include "master/jobs/blob_merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kNow = 1'700'000'000'000;
constexpr int64_t kOld = kNow - 3'600'000;

// Volumes 1 to 3 with 4 subvolumes each.
v1::ClusterMap Map() {
  v1::ClusterMap map;
  map.set_replicas(2);
  map.set_subvolumes_per_volume(4);
  for (uint32_t id = 1; id <= 3; ++id) {
    v1::Volume* volume = map.add_volumes();
    volume->set_volume_id(id);
    volume->set_state(v1::VOLUME_STATE_UP);
    volume->set_weight(1);
    for (int i = 0; i < 4; ++i) volume->add_subvolumes();
  }
  return map;
}

// A copy on subvolume 0 of `volume`, written with R = 2 and marked committed.
FoundBlob Copy(uint32_t volume, const std::string& key, int64_t time_ms) {
  FoundBlob blob;
  blob.volume_id = volume;
  v1::StatBlobResponse& stat = blob.stat;
  stat.mutable_blob()->set_key(key);
  stat.mutable_blob()->mutable_version()->set_time_ms(time_ms);
  stat.mutable_blob()->mutable_version()->set_writer_id(7);
  stat.set_size_bytes(3);
  stat.mutable_digest()->set_xxh3(time_ms);
  stat.mutable_metadata()->set_content_type("text/plain");
  stat.set_replicas(2);
  stat.set_committed(true);
  stat.set_whole(true);
  stat.set_value("abc");
  return blob;
}
FoundBlob Unmarked(uint32_t volume, const std::string& key, int64_t time_ms) {
  FoundBlob blob = Copy(volume, key, time_ms);
  blob.stat.set_committed(false);
  return blob;
}
FoundBlob Tombstone(uint32_t volume, const std::string& key, int64_t time_ms) {
  FoundBlob blob = Copy(volume, key, time_ms);
  blob.stat.mutable_blob()->set_tombstone(true);
  return blob;
}
FoundBlob Damaged(uint32_t volume, const std::string& key, int64_t time_ms) {
  FoundBlob blob = Copy(volume, key, time_ms);
  blob.stat.set_whole(false);
  return blob;
}

std::string Text(const index::Removal& removal) {
  return absl::StrCat("v", removal.volume_id, " ", removal.blob.key(), "@",
                      removal.blob.version().time_ms() - kOld,
                      removal.blob.tombstone() ? ".gone" : "");
}
std::vector<std::string> Texts(const std::vector<index::Removal>& removals) {
  std::vector<std::string> texts;
  for (const auto& removal : removals) texts.push_back(Text(removal));
  std::sort(texts.begin(), texts.end());
  return texts;
}
// "key@version v1 v2", the volumes in the order of their ids.
std::string Text(const index::Mutation& mutation) {
  std::vector<uint32_t> volumes;
  for (const auto& where : mutation.record.replicas()) {
    volumes.push_back(where.volume_id());
  }
  std::sort(volumes.begin(), volumes.end());
  return absl::StrCat(mutation.key, "@",
                      mutation.record.version().time_ms() - kOld,
                      mutation.record.tombstone() ? ".gone on " : " on ",
                      absl::StrJoin(volumes, ","));
}
std::vector<std::string> Texts(const std::vector<index::Mutation>& restores) {
  std::vector<std::string> texts;
  for (const auto& mutation : restores) texts.push_back(Text(mutation));
  return texts;
}

MergeResult Merge(std::vector<FoundBlob> blobs, bool copies_missing = false) {
  MergeRules rules;
  rules.copies_missing = copies_missing;
  rules.now_ms = kNow;
  std::vector<ListedBlob> listed;
  for (FoundBlob& blob : blobs) listed.push_back({blob.volume_id, &blob.stat});
  return MergeBlobs(Map(), rules, std::move(listed));
}

TEST(BlobMergeTest, AValueIsTakenWithAllThatWasKnownOfIt) {
  const MergeResult merged =
      Merge({Copy(1, "foo", kOld), Copy(2, "foo", kOld)});
  ASSERT_THAT(Texts(merged.restores), ElementsAre("foo@0 on 1,2"));
  const index::Mutation& restore = merged.restores[0];
  EXPECT_EQ(restore.kind, index::Mutation::Kind::kRestore);
  EXPECT_EQ(restore.inline_value, "abc");
  EXPECT_EQ(restore.record.size_bytes(), 3);
  EXPECT_EQ(restore.record.digest().xxh3(), static_cast<uint64_t>(kOld));
  EXPECT_EQ(restore.record.metadata().content_type(), "text/plain");
  EXPECT_THAT(restore.removals, IsEmpty());
  EXPECT_THAT(merged.removals, IsEmpty());
  EXPECT_EQ(merged.keys, 1);
  EXPECT_EQ(merged.version_time_ms_max, kOld);
  EXPECT_EQ(merged.writer_id_max, 7u);
}

TEST(BlobMergeTest, KeysComeInByteOrder) {
  const MergeResult merged =
      Merge({Copy(1, "b", kOld), Copy(1, "a", kOld), Copy(2, "b", kOld),
             Copy(2, "a", kOld), Copy(3, std::string(1, '\xff'), kOld)});
  EXPECT_EQ(merged.keys, 3);
  EXPECT_EQ(merged.restores[0].key, "a");
  EXPECT_EQ(merged.restores[1].key, "b");
  EXPECT_EQ(merged.restores[2].key, "\xff");
}

TEST(BlobMergeTest, TheHighestCommittedVersionWinsAndTheRestIsRemoved) {
  const MergeResult merged =
      Merge({Copy(1, "foo", kOld), Copy(2, "foo", kOld),
             Copy(2, "foo", kOld + 5), Copy(3, "foo", kOld + 5)});
  EXPECT_THAT(Texts(merged.restores), ElementsAre("foo@5 on 2,3"));
  EXPECT_THAT(Texts(merged.restores[0].removals),
              ElementsAre("v1 foo@0", "v2 foo@0"));
  EXPECT_EQ(merged.removals_count, 2);
}

TEST(BlobMergeTest, ATombstoneKeepsItsKeyAway) {
  const MergeResult merged =
      Merge({Copy(1, "foo", kOld), Tombstone(2, "foo", kOld + 5),
             Tombstone(3, "foo", kOld + 5)});
  EXPECT_THAT(Texts(merged.restores), ElementsAre("foo@5.gone on 2,3"));
  EXPECT_THAT(Texts(merged.restores[0].removals), ElementsAre("v1 foo@0"));
  EXPECT_EQ(merged.keys, 0);
  EXPECT_EQ(merged.tombstones, 1);
  // And one that was written again after it is there.
  EXPECT_THAT(Texts(Merge({Copy(1, "foo", kOld + 9), Copy(2, "foo", kOld + 9),
                           Tombstone(2, "foo", kOld + 5)})
                        .restores),
              ElementsAre("foo@9 on 1,2"));
}

TEST(BlobMergeTest, OneCommittedCopyIsEnough) {
  EXPECT_THAT(
      Texts(Merge({Copy(1, "foo", kOld + 5), Copy(2, "foo", kOld)}).restores),
      ElementsAre("foo@5 on 1"));
}

TEST(BlobMergeTest, UnmarkedCopiesCountIfThereAreAsManyAsWereWritten) {
  // Acknowledged, perhaps: the marks were not made yet.
  EXPECT_THAT(
      Texts(
          Merge({Unmarked(1, "foo", kOld), Unmarked(3, "foo", kOld)}).restores),
      ElementsAre("foo@0 on 1,3"));
  // Never.
  const MergeResult refused =
      Merge({Unmarked(1, "foo", kOld + 5), Copy(1, "foo", kOld),
             Copy(2, "foo", kOld), Unmarked(3, "bar", kOld)});
  EXPECT_THAT(Texts(refused.restores), ElementsAre("foo@0 on 1,2"));
  EXPECT_THAT(Texts(refused.restores[0].removals), ElementsAre("v1 foo@5"));
  EXPECT_THAT(Texts(refused.removals), ElementsAre("v3 bar@0"));
}

TEST(BlobMergeTest, TwoCopiesOnOneVolumeAreNotTwoReplicas) {
  FoundBlob other_disk = Unmarked(1, "foo", kOld);
  other_disk.stat.mutable_blob()->set_subvolume(3);
  const MergeResult merged = Merge({Unmarked(1, "foo", kOld), other_disk});
  EXPECT_THAT(merged.restores, IsEmpty());
  EXPECT_EQ(merged.removals.size(), 2u);
}

TEST(BlobMergeTest, WithDisksMissingASingleUnmarkedCopyIsKept) {
  EXPECT_THAT(
      Texts(
          Merge({Unmarked(1, "foo", kOld)}, /*copies_missing=*/true).restores),
      ElementsAre("foo@0 on 1"));
}

TEST(BlobMergeTest, AYoungUnmarkedCopyIsLeftToItsAgent) {
  // Its write may be under way: the youngest that may not is 120 s old.
  EXPECT_THAT(Merge({Unmarked(1, "foo", kNow - 119'999)}).removals, IsEmpty());
  EXPECT_EQ(Merge({Unmarked(1, "foo", kNow - 120'000)}).removals.size(), 1u);
  // Below one that counts it can never be committed.
  EXPECT_EQ(Merge({Unmarked(1, "foo", kNow - 10), Copy(2, "foo", kNow - 5)})
                .removals_count,
            1);
}

TEST(BlobMergeTest, SurplusCopiesAreRemovedTheBestPlacedStay) {
  const auto order = placement::Order(Map(), "foo");
  const MergeResult merged =
      Merge({Copy(1, "foo", kOld), Copy(2, "foo", kOld), Copy(3, "foo", kOld)});
  ASSERT_EQ(merged.restores.size(), 1u);
  const v1::Record& record = merged.restores[0].record;
  ASSERT_EQ(record.replicas_size(), 2);
  EXPECT_EQ(record.replicas(0).volume_id(), order[0].volume_id);
  EXPECT_EQ(record.replicas(1).volume_id(), order[1].volume_id);
  ASSERT_EQ(merged.restores[0].removals.size(), 1u);
  EXPECT_EQ(merged.restores[0].removals[0].volume_id, order[2].volume_id);
}

TEST(BlobMergeTest, ADamagedCopyIsNamedAndRemovedIfThereIsAnother) {
  const MergeResult merged =
      Merge({Copy(1, "foo", kOld), Damaged(2, "foo", kOld)});
  EXPECT_THAT(Texts(merged.restores), ElementsAre("foo@0 on 1"));
  EXPECT_THAT(Texts(merged.restores[0].removals), ElementsAre("v2 foo@0"));
  EXPECT_THAT(merged.problems,
              ElementsAre(HasSubstr("foo: the copy on 00000002/0 is damaged")));
  FoundBlob other_bytes = Copy(2, "foo", kOld);
  other_bytes.stat.mutable_digest()->set_xxh3(1);
  EXPECT_EQ(Merge({Copy(1, "foo", kOld), other_bytes}).problems.size(), 1u);
}

TEST(BlobMergeTest, NothingIsDecidedOfAKeyThatHasOnlyDamagedCopies) {
  const MergeResult merged =
      Merge({Damaged(1, "foo", kOld + 5), Damaged(2, "foo", kOld + 5),
             Copy(1, "foo", kOld), Copy(2, "foo", kOld)});
  EXPECT_THAT(merged.restores, IsEmpty());
  EXPECT_THAT(merged.removals, IsEmpty());
  EXPECT_EQ(merged.removals_count, 0);
  EXPECT_THAT(merged.problems, ElementsAre(HasSubstr("foo: no copy of ")));
}

}  // namespace
}  // namespace cairn::master
