// The part of the contract that is about copies that move.

#include <gmock/gmock.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/index_store_contract.h"

namespace cairn::index {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Code = absl::StatusCode;

v1::SubvolumeId Place(uint32_t volume_id, int subvolume) {
  v1::SubvolumeId place;
  place.set_volume_id(volume_id);
  place.set_subvolume(subvolume);
  return place;
}

// The copy on volume 1 of what Put() has written goes to volume 3; its entry
// there is taken out of the queue.
Mutation MoveToThree(Mutation put, const Removal& entry) {
  Mutation move = std::move(put);
  move.kind = Mutation::Kind::kMove;
  move.inline_value.clear();
  move.replicas_before.assign(move.record.replicas().begin(),
                              move.record.replicas().end());
  *move.record.mutable_replicas(0) = Place(3, 0);
  move.takes = {entry};
  return move;
}

std::string Places(const v1::Record& record) {
  std::string text;
  for (const v1::SubvolumeId& place : record.replicas()) {
    absl::StrAppend(&text, text.empty() ? "" : " ", place.volume_id(), "/",
                    place.subvolume());
  }
  return text;
}

}  // namespace

TEST_P(IndexStoreContractTest, AMoveChangesThePlacesAndNothingElse) {
  Mutation put = Put("foo", 1, "value");
  put.record.mutable_metadata()->set_content_type("text/plain");
  MustCommit(put);
  const v1::Record before = LookupOne("foo")->record;
  ASSERT_TRUE(store_->AddRemovals({Queued(3, "foo", 1)}).ok());
  const MutationResult result =
      CommitOne(MoveToThree(put, Queued(3, "foo", 1)));
  ASSERT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(Texts(result.removals), ElementsAre("v1/0 foo@1"));
  v1::Record after = LookupOne("foo")->record;
  EXPECT_EQ(Places(after), "3/0 2/1");
  EXPECT_EQ(Value("foo"), "=value");
  *after.mutable_replicas() = before.replicas();
  EXPECT_EQ(after.SerializeAsString(), before.SerializeAsString());
  EXPECT_THAT(Queue(1), ElementsAre("v1/0 foo@1"));
  EXPECT_THAT(Queue(3), IsEmpty());
  EXPECT_EQ(Counts(), "1 0 1");
}

TEST_P(IndexStoreContractTest,
       AMoveOfAnotherVersionIsAbortedAndChangesNothing) {
  MustCommit(Put("foo", 1));
  MustCommit(Put("foo", 2));
  ASSERT_TRUE(store_->AddRemovals({Queued(3, "foo", 1)}).ok());
  const MutationResult result =
      CommitOne(MoveToThree(Put("foo", 1), Queued(3, "foo", 1)));
  EXPECT_EQ(result.status.code(), Code::kAborted);
  EXPECT_EQ(result.current.version().time_ms(), kNow + 2);
  EXPECT_EQ(Places(LookupOne("foo")->record), "1/0 2/1");
  EXPECT_THAT(Queue(3), ElementsAre("v3/0 foo@1"));
  MustCommit(Del("foo", 3));
  EXPECT_EQ(
      CommitOne(MoveToThree(Put("foo", 3), Queued(3, "foo", 1))).status.code(),
      Code::kAborted);
  EXPECT_EQ(
      CommitOne(MoveToThree(Put("bar", 3), Queued(3, "foo", 1))).status.code(),
      Code::kAborted);
}

TEST_P(IndexStoreContractTest, AMoveFromOtherPlacesIsAborted) {
  MustCommit(Put("foo", 1));
  ASSERT_TRUE(store_->AddRemovals({Queued(3, "foo", 1)}).ok());
  Mutation move = MoveToThree(Put("foo", 1), Queued(3, "foo", 1));
  move.replicas_before[0] = Place(4, 0);
  EXPECT_EQ(CommitOne(move).status.code(), Code::kAborted);
  move.replicas_before.pop_back();
  EXPECT_EQ(CommitOne(move).status.code(), Code::kAborted);
  EXPECT_EQ(Places(LookupOne("foo")->record), "1/0 2/1");
  EXPECT_THAT(Queue(3), ElementsAre("v3/0 foo@1"));
  EXPECT_THAT(Queue(1), IsEmpty());
}

TEST_P(IndexStoreContractTest, AMoveWhoseTargetHasLeftTheQueueIsAborted) {
  MustCommit(Put("foo", 1));
  EXPECT_EQ(
      CommitOne(MoveToThree(Put("foo", 1), Queued(3, "foo", 1))).status.code(),
      Code::kAborted);
  EXPECT_EQ(Places(LookupOne("foo")->record), "1/0 2/1");
  EXPECT_EQ(Counts(), "1 0 0");
}

TEST_P(IndexStoreContractTest, TheSameMoveTwiceIsOk) {
  MustCommit(Put("foo", 1));
  ASSERT_TRUE(store_->AddRemovals({Queued(3, "foo", 1)}).ok());
  const Mutation move = MoveToThree(Put("foo", 1), Queued(3, "foo", 1));
  MustCommit(move);
  MustCommit(move);
  EXPECT_EQ(Counts(), "1 0 1");
}

TEST_P(IndexStoreContractTest, AMoveMayAddACopyAndLeaveNone) {
  MustCommit(Put("foo", 1));
  ASSERT_TRUE(store_->AddRemovals({Queued(3, "foo", 1)}).ok());
  Mutation move = MoveToThree(Put("foo", 1), Queued(3, "foo", 1));
  *move.record.mutable_replicas(0) = Place(1, 0);
  *move.record.add_replicas() = Place(3, 0);
  MustCommit(move);
  EXPECT_EQ(Places(LookupOne("foo")->record), "1/0 2/1 3/0");
  EXPECT_EQ(Counts(), "1 0 0");
}

TEST_P(IndexStoreContractTest, BlobsOfATombstoneMoveToo) {
  MustCommit(Put("foo", 1));
  MustCommit(Del("foo", 2));
  MustCommit(TombstoneReplicas("foo", 2, {1, 4}));
  const Removal target = Queued(3, "foo", 2, /*tombstone=*/true);
  ASSERT_TRUE(store_->AddRemovals({target}).ok());
  const Mutation move =
      MoveToThree(TombstoneReplicas("foo", 2, {1, 4}), target);
  EXPECT_EQ(CommitOne(move).status.code(), Code::kAborted) << "not a value";
  Mutation of_tombstone = move;
  of_tombstone.record.set_tombstone(true);
  MustCommit(of_tombstone);
  EXPECT_EQ(Places(LookupOne("foo")->record), "3/0 4/0");
  EXPECT_EQ(Newest("foo"), "gone 2");
  EXPECT_THAT(Queue(1), ElementsAre("v1/0 foo@1", "v1/0 foo@2.gone"));
  EXPECT_EQ(Counts(), "0 1 3");
  for (const uint32_t volume : {1, 2}) {
    std::string cursor;
    ASSERT_TRUE(
        store_->FinishRemovals(*store_->Removals(volume, 100, &cursor)).ok());
  }
  EXPECT_EQ(*store_->ForgetTombstones(kNow + 1000, 100), 1);
  EXPECT_THAT(Queue(3), ElementsAre("v3/0 foo@2.gone"));
}

TEST_P(IndexStoreContractTest, AGroupSeesItsMovesAndWhatTheyDoToTheQueue) {
  MustCommit(Put("foo", 1));
  ASSERT_TRUE(store_->AddRemovals({Queued(3, "foo", 1)}).ok());
  const Mutation there = MoveToThree(Put("foo", 1), Queued(3, "foo", 1));
  Mutation back = there;
  back.replicas_before = {Place(3, 0), Place(2, 1)};
  *back.record.mutable_replicas(0) = Place(1, 0);
  back.takes = {Queued(1, "foo", 1)};
  // There, back (the entry is one that this group puts in), there again.
  const auto results = CommitAll({there, back, there, Put("foo", 2)});
  for (const MutationResult& result : results) {
    EXPECT_TRUE(result.status.ok()) << result.status;
  }
  EXPECT_EQ(Newest("foo"), "2");
  EXPECT_THAT(Queue(1), ElementsAre("v1/0 foo@1"));
  EXPECT_THAT(Queue(2), ElementsAre("v2/1 foo@1"));
  EXPECT_THAT(Queue(3), ElementsAre("v3/0 foo@1"));
  EXPECT_EQ(Counts(), "1 0 3");
}

TEST_P(IndexStoreContractTest, RandomMovesLoseNoBlob) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  const std::string key = "foo";
  MustCommit(Put(key, 1));
  int64_t version = 1;
  for (int i = 0; i < 500; ++i) {
    const v1::Record now = LookupOne(key)->record;
    if (random() % 10 == 0) {
      MustCommit(Put(key, ++version));
      continue;
    }
    // One of the two copies goes to some place that has none.
    Mutation move;
    move.kind = Mutation::Kind::kMove;
    move.key = key;
    move.record = now;
    move.replicas_before.assign(now.replicas().begin(), now.replicas().end());
    const uint32_t target = 1 + random() % 5;
    const bool taken = std::any_of(
        now.replicas().begin(), now.replicas().end(),
        [&](const v1::SubvolumeId& at) { return at.volume_id() == target; });
    if (taken) continue;
    *move.record.mutable_replicas(random() % 2) =
        Place(target, target == 2 ? 1 : 0);
    move.takes = {Queued(target, key, version)};
    const bool entered = random() % 4 != 0;
    if (entered) {
      ASSERT_TRUE(store_->AddRemovals(move.takes).ok());
    } else {
      ASSERT_TRUE(store_->FinishRemovals(move.takes).ok());
    }
    EXPECT_EQ(CommitOne(move).status.ok(), entered);
    // No place is both in the record and in the queue.
    const v1::Record after = LookupOne(key)->record;
    for (const v1::SubvolumeId& at : after.replicas()) {
      const auto queued =
          store_->HasRemoval(Queued(at.volume_id(), key, version));
      EXPECT_FALSE(*queued) << at.volume_id();
    }
    // What was left is in the queue.
    for (const v1::SubvolumeId& at : now.replicas()) {
      const bool kept =
          std::any_of(after.replicas().begin(), after.replicas().end(),
                      [&](const v1::SubvolumeId& to) {
                        return to.volume_id() == at.volume_id();
                      });
      const auto queued =
          store_->HasRemoval(Queued(at.volume_id(), key, version));
      EXPECT_NE(*queued, kept) << at.volume_id();
    }
  }
}

}  // namespace cairn::index
