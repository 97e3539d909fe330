// The part of the contract that is about the removal queue.

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/index_store_contract.h"

namespace cairn::index {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Names = std::vector<std::string>;

}  // namespace

TEST_P(IndexStoreContractTest, TheQueueIsReadInPiecesWithACursor) {
  for (int i = 0; i < 25; ++i) {
    MustCommit(Put(absl::StrCat("key", i % 10, i), 1));
    MustCommit(Put(absl::StrCat("key", i % 10, i), 2));
  }
  const Names whole = Queue(1);
  EXPECT_EQ(whole.size(), 25u);
  EXPECT_EQ(std::set<std::string>(whole.begin(), whole.end()).size(), 25u);
  EXPECT_EQ(Queue(1, 7), whole);
  EXPECT_EQ(Queue(1, 1), whole);
}

TEST_P(IndexStoreContractTest, TheCursorStaysGoodWhileEntriesComeAndGo) {
  std::vector<Removal> all;
  for (int i = 0; i < 9; ++i) all.push_back(Queued(1, absl::StrCat(i), 1));
  ASSERT_TRUE(store_->AddRemovals(all).ok());
  std::string cursor;
  const auto first = store_->Removals(1, 3, &cursor);
  ASSERT_EQ(Texts(*first), (Names{"v1/0 0@1", "v1/0 1@1", "v1/0 2@1"}));
  ASSERT_TRUE(store_->FinishRemovals(*first).ok());
  ASSERT_TRUE(store_->AddRemovals({Queued(1, "0", 2)}).ok());
  const auto second = store_->Removals(1, 3, &cursor);
  EXPECT_EQ(Texts(*second), (Names{"v1/0 3@1", "v1/0 4@1", "v1/0 5@1"}));
}

TEST_P(IndexStoreContractTest, FinishedEntriesLeaveAndTheVeryBlobIsMeant) {
  MustCommit(Put("foo", 1));
  MustCommit(Put("foo", 2));
  MustCommit(Put("foo", 3));
  const auto has = [&](const Removal& removal) {
    const auto there = store_->HasRemoval(removal);
    EXPECT_TRUE(there.ok());
    return there.ok() && *there;
  };
  EXPECT_TRUE(has(Queued(1, "foo", 1)));
  EXPECT_FALSE(has(Queued(1, "foo", 3)));
  EXPECT_FALSE(has(Queued(1, "foo", 1, /*tombstone=*/true)));
  EXPECT_FALSE(has(Queued(3, "foo", 1)));
  ASSERT_TRUE(store_->FinishRemovals({Queued(1, "foo", 1)}).ok());
  EXPECT_FALSE(has(Queued(1, "foo", 1)));
  EXPECT_THAT(Queue(1), ElementsAre("v1/0 foo@2"));
  EXPECT_THAT(Queue(2), ElementsAre("v2/1 foo@1", "v2/1 foo@2"));
  EXPECT_EQ(Counts(), "1 0 3");
}

TEST_P(IndexStoreContractTest, AddingOrFinishingTwiceCountsOnce) {
  const Removal removal = Queued(7, "foo", 1);
  ASSERT_TRUE(store_->AddRemovals({removal, removal}).ok());
  ASSERT_TRUE(store_->AddRemovals({removal}).ok());
  EXPECT_EQ(Counts(), "0 0 1");
  ASSERT_TRUE(store_->FinishRemovals({removal, removal}).ok());
  ASSERT_TRUE(store_->FinishRemovals({removal}).ok());
  EXPECT_EQ(Counts(), "0 0 0");
  EXPECT_THAT(Queue(7), IsEmpty());
}

TEST_P(IndexStoreContractTest, TombstonesAreForgottenWhenTheirQueueIsEmpty) {
  MustCommit(Put("foo", 1));
  MustCommit(Del("foo", 10));
  MustCommit(TombstoneReplicas("foo", 10, {1, 3}));
  const auto forget = [&](int64_t before_ms) {
    const auto count = store_->ForgetTombstones(kNow + before_ms, 100);
    EXPECT_TRUE(count.ok()) << count.status();
    return count.ok() ? *count : -1;
  };
  EXPECT_EQ(forget(1000), 0);
  ASSERT_TRUE(store_->FinishRemovals({Queued(1, "foo", 1)}).ok());
  EXPECT_EQ(forget(1000), 0) << "volume 2 still has a blob";
  ASSERT_TRUE(store_->FinishRemovals({Queued(2, "foo", 1)}).ok());
  EXPECT_EQ(forget(10), 0) << "not older";
  EXPECT_EQ(forget(11), 1);
  EXPECT_EQ(Newest("foo"), "none");
  EXPECT_THAT(Queue(1), ElementsAre("v1/0 foo@10.gone"));
  EXPECT_THAT(Queue(3), ElementsAre("v3/0 foo@10.gone"));
  EXPECT_EQ(Counts(), "0 0 2");
  EXPECT_EQ(forget(1000), 0);
}

TEST_P(IndexStoreContractTest, AtMostSoManyTombstonesAreForgottenAtOnce) {
  std::vector<Mutation> group;
  for (int i = 0; i < 10; ++i) {
    Mutation put = Put(absl::StrCat("key", i), 1);
    put.record.clear_replicas();
    group.push_back(put);
    group.push_back(Del(absl::StrCat("key", i), 2));
  }
  CommitAll(group);
  EXPECT_EQ(Counts(), "0 10 0");
  EXPECT_EQ(*store_->ForgetTombstones(kNow + 1000, 4), 4);
  EXPECT_EQ(*store_->ForgetTombstones(kNow + 1000, 4), 4);
  EXPECT_EQ(*store_->ForgetTombstones(kNow + 1000, 4), 2);
  EXPECT_EQ(Counts(), "0 0 0");
}

TEST_P(IndexStoreContractTest, ATombstoneThatWasReplacedIsNotForgottenTwice) {
  MustCommit(Put("foo", 1));
  MustCommit(Del("foo", 2));
  MustCommit(Put("foo", 3));
  MustCommit(Del("foo", 4));
  MustCommit(Put("foo", 5));
  for (const uint32_t volume : {1, 2}) {
    std::string cursor;
    ASSERT_TRUE(
        store_->FinishRemovals(*store_->Removals(volume, 100, &cursor)).ok());
  }
  EXPECT_EQ(*store_->ForgetTombstones(kNow + 1000, 100), 0);
  EXPECT_EQ(Newest("foo"), "5");
  EXPECT_EQ(Counts(), "1 0 0");
}

}  // namespace cairn::index
