#include "master/jobs/blob_mover.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "index/memory_index_store.h"
#include "master/fake_agents.h"
#include "master/jobs/fake_copies.h"
#include "master/test_cluster.h"

namespace cairn::master {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;
using Code = absl::StatusCode;

constexpr int64_t kNowMs = 1'000'000;

class BlobMoverTest : public testing::Test {
 protected:
  BlobMoverTest() {
    CommitQueue::Options commits;
    commits.index = index_.get();
    commits.now_ms = [] { return kNowMs; };
    commits_ = std::make_unique<CommitQueue>(std::move(commits));
    BlobMover::Options options;
    options.index = index_.get();
    options.commits = commits_.get();
    options.held = &held_;
    options.copies = &copies_;
    options.agents = &agents_;
    options.fencing_number = 7;
    options.on_removals = [this](uint32_t id) { told_.push_back(id); };
    mover_ = std::make_unique<BlobMover>(std::move(options));
  }

  // On volumes 1 and 2.
  void Put(const std::string& key, int64_t size = 3, int64_t age_ms = 0) {
    index::Mutation put =
        TestPut(key, std::string(3, 'v'), kNowMs - age_ms, {1, 2});
    put.record.set_size_bytes(size);
    if (size != 3) put.inline_value.clear();
    const std::vector<index::Mutation> group = {put};
    ASSERT_TRUE(index_->Commit(group, kNowMs)->front().status.ok());
  }
  void Delete(const std::string& key) {
    index::Mutation mutation;
    mutation.kind = index::Mutation::Kind::kDelete;
    mutation.key = key;
    mutation.record.mutable_version()->set_time_ms(kNowMs + 1);
    mutation.record.mutable_version()->set_writer_id(9);
    const std::vector<index::Mutation> group = {mutation};
    ASSERT_TRUE(index_->Commit(group, kNowMs)->front().status.ok());
  }
  v1::Record Record(const std::string& key) {
    const std::vector<std::string> keys = {key};
    return (*index_->Lookup(keys, false))[0]->record;
  }
  // From volume 1 to volume 3.
  BlobMove MoveOf(const std::string& key) {
    BlobMove move;
    move.key = key;
    move.record = Record(key);
    move.move.source = move.record.replicas(0);
    move.move.target.set_volume_id(3);
    move.move.after = {move.move.target, move.record.replicas(1)};
    return move;
  }
  std::vector<absl::Status> Move(const std::vector<BlobMove>& moves) {
    const v1::ClusterMap map = TestMap(3);
    return mover_->Move(map.volumes(0), map.volumes(2), moves,
                        [] { return absl::OkStatus(); });
  }
  std::string Places(const std::string& key) {
    std::string text;
    const v1::Record record = Record(key);
    for (const v1::SubvolumeId& place : record.replicas()) {
      absl::StrAppend(&text, place.volume_id(), " ");
    }
    return text;
  }
  std::vector<std::string> Queue(uint32_t volume_id) {
    std::string cursor;
    std::vector<std::string> keys;
    const auto queued = index_->Removals(volume_id, 1000, &cursor);
    for (const index::Removal& entry : *queued) {
      keys.push_back(entry.blob.key());
    }
    return keys;
  }
  static index::Removal TargetOf(const BlobMove& move) {
    index::Removal blob;
    blob.volume_id = 3;
    blob.blob.set_key(move.key);
    *blob.blob.mutable_version() = move.record.version();
    return blob;
  }

  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore();
  HeldBlobs held_;
  FakeCopies copies_;
  FakeAgents agents_;
  std::vector<uint32_t> told_;
  std::unique_ptr<CommitQueue> commits_;
  std::unique_ptr<BlobMover> mover_;
};

TEST_F(BlobMoverTest, ACopyMovesAndTheOldOneIsQueued) {
  Put("a");
  Put("large", 1 << 20);
  const BlobMove a = MoveOf("a");
  // While it is copied it is queued, held, and still where it was.
  copies_.before = [&] {
    EXPECT_THAT(Queue(3), ElementsAre("a", "large"));
    EXPECT_TRUE(held_.IsHeld(TargetOf(a)));
    EXPECT_EQ(Places("a"), "1 2 ");
  };
  for (const absl::Status& moved : Move({a, MoveOf("large")})) {
    EXPECT_TRUE(moved.ok()) << moved;
  }
  EXPECT_EQ(copies_.calls, 1);
  EXPECT_EQ(copies_.large_calls, 1);
  EXPECT_EQ(Places("a"), "3 2 ");
  EXPECT_EQ(Places("large"), "3 2 ");
  EXPECT_THAT(Queue(1), ElementsAre("a", "large"));
  EXPECT_THAT(Queue(3), IsEmpty());
  EXPECT_FALSE(held_.IsHeld(TargetOf(a)));
  EXPECT_THAT(agents_.marked(), SizeIs(2));
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(BlobMoverTest, AKeyThatIsReplacedMeanwhileKeepsItsNewPlaces) {
  Put("a", 3, /*age_ms=*/100);
  Put("b");
  copies_.before = [&] { Put("a"); };
  const auto results = Move({MoveOf("a"), MoveOf("b")});
  EXPECT_EQ(results[0].code(), Code::kAborted);
  EXPECT_TRUE(results[1].ok());
  EXPECT_EQ(Places("a"), "1 2 ");
  EXPECT_THAT(Queue(3), ElementsAre("a")) << "the copy goes";
  EXPECT_THAT(told_, ElementsAre(3));
}

TEST_F(BlobMoverTest, ACopyOfADeletedKeyGoesEvenIfItsEntryWasTakenOut) {
  Put("a");
  const BlobMove move = MoveOf("a");
  copies_.before = [&] {
    Delete("a");
    // The delete has had every blob of the key removed, before this one came.
    ASSERT_TRUE(index_->FinishRemovals({TargetOf(move)}).ok());
  };
  EXPECT_EQ(Move({move})[0].code(), Code::kAborted);
  EXPECT_THAT(Queue(3), ElementsAre("a"));
}

TEST_F(BlobMoverTest, WhatCouldNotBeCopiedStaysAndLeavesNothing) {
  Put("a");
  Put("b");
  Put("c");
  copies_.codes = {{"a", Code::kNotFound}, {"b", Code::kDataLoss}};
  const auto results = Move({MoveOf("a"), MoveOf("b"), MoveOf("c")});
  EXPECT_EQ(results[0].code(), Code::kNotFound);
  EXPECT_EQ(results[1].code(), Code::kDataLoss);
  EXPECT_TRUE(results[2].ok());
  EXPECT_EQ(Places("a"), "1 2 ");
  EXPECT_THAT(Queue(3), ElementsAre("a", "b"));
}

TEST_F(BlobMoverTest, AValueOfTheIndexIsPutAndCommittedLikeACopy) {
  Put("a");
  Put("b");
  BlobMove a = MoveOf("a");
  a.value = "vvv";
  const auto results = Move({a, MoveOf("b")});
  EXPECT_TRUE(results[0].ok()) << results[0];
  EXPECT_TRUE(results[1].ok()) << results[1];
  EXPECT_THAT(copies_.copied, ElementsAre("b"));
  EXPECT_THAT(agents_.put(), ElementsAre("3/0 a"));
  EXPECT_EQ(Places("a"), "3 2 ");
  EXPECT_THAT(Queue(3), IsEmpty());
  EXPECT_THAT(agents_.marked(), SizeIs(2));
  agents_.SetAnswer(3, absl::DataLossError("other bytes"));
  BlobMove back = a;
  back.record = Record("a");
  back.move.target.set_volume_id(3);
  back.move.target.set_subvolume(2);
  back.move.after = {back.move.target, back.record.replicas(1)};
  EXPECT_EQ(Move({back})[0].code(), Code::kDataLoss);
  EXPECT_EQ(Places("a"), "3 2 ");
  EXPECT_THAT(Queue(3), ElementsAre("a"));
}

TEST_F(BlobMoverTest, NoCopyIsMadeWhereOneIsBeingRemovedOrMade) {
  Put("a");
  Put("b");
  Put("c");
  ASSERT_TRUE(index_->AddRemovals({TargetOf(MoveOf("a"))}).ok());
  ASSERT_TRUE(held_.TryHold(TargetOf(MoveOf("b"))));
  ASSERT_THAT(held_.BeginRemoval({TargetOf(MoveOf("c"))}), SizeIs(1));
  for (const char* key : {"a", "b", "c"}) {
    EXPECT_EQ(Move({MoveOf(key)})[0].code(), Code::kAlreadyExists) << key;
  }
  EXPECT_EQ(copies_.calls, 0);
  EXPECT_TRUE(held_.IsHeld(TargetOf(MoveOf("b")))) << "by its own holder";
  EXPECT_FALSE(held_.IsHeld(TargetOf(MoveOf("a"))));
  EXPECT_THAT(Queue(3), ElementsAre("a"));
}

TEST_F(BlobMoverTest, AnAgentThatDoesNotAnswerMovesNothing) {
  Put("a");
  copies_.answer = absl::UnavailableError("the agent is gone");
  EXPECT_EQ(Move({MoveOf("a")})[0].code(), Code::kUnavailable);
  EXPECT_EQ(Places("a"), "1 2 ");
  EXPECT_THAT(Queue(3), ElementsAre("a"));
  EXPECT_FALSE(held_.IsHeld(TargetOf(MoveOf("a"))));
}

TEST_F(BlobMoverTest, WhatHasAnUnknownOutcomeStaysHeld) {
  Put("a");
  const BlobMove move = MoveOf("a");
  copies_.before = [&] { commits_->Stop(); };
  const v1::ClusterMap map = TestMap(3);
  const auto results = mover_->Move(map.volumes(0), map.volumes(2), {move}, [] {
    return absl::CancelledError("the master is stopping");
  });
  EXPECT_EQ(results[0].code(), Code::kUnavailable);
  EXPECT_TRUE(held_.IsHeld(TargetOf(move)));
}

}  // namespace
}  // namespace cairn::master
