// The part of the contract that a rebuild of the index stands on.

#include <gmock/gmock.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "index/index_store_contract.h"

namespace cairn::index {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kHour = 3'600'000;

}  // namespace

TEST_P(IndexStoreContractTest, WhatIsRestoredMayBeOfAnyAge) {
  MustCommit(Restore("old", -kHour, "value"));
  MustCommit(Restore("new", kHour));
  MustCommit(RestoreTombstone("gone", -kHour));
  EXPECT_EQ(Newest("old"), absl::StrCat(-kHour));
  EXPECT_EQ(Value("old"), "=value");
  EXPECT_EQ(LookupOne("old")->record.replicas_size(), 1);
  EXPECT_TRUE(LookupOne("gone")->record.tombstone());
  EXPECT_EQ(LookupOne("gone")->record.replicas_size(), 1);
  EXPECT_EQ(List({}), "new old | ");
  EXPECT_EQ(Counts(), "2 1 0");
}

TEST_P(IndexStoreContractTest, RemovalsComeInWithWhatIsRestored) {
  Mutation restore = Restore("foo", 5);
  restore.removals = {Queued(1, "foo", 3), Queued(2, "foo", 4)};
  const MutationResult result = CommitOne(restore);
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(Queue(1), ElementsAre("v1/0 foo@3"));
  EXPECT_THAT(Queue(2), ElementsAre("v2/1 foo@4"));
  EXPECT_EQ(Counts(), "1 0 2");
}

TEST_P(IndexStoreContractTest, RestoringNeverGoesBack) {
  MustCommit(Put("foo", 5, "newer"));
  Mutation restore = Restore("foo", 4, "older");
  restore.removals = {Queued(1, "foo", 3)};
  const MutationResult result = CommitOne(restore);
  EXPECT_TRUE(absl::IsAborted(result.status)) << result.status;
  EXPECT_EQ(result.current.version().time_ms(), kNow + 5);
  EXPECT_EQ(Newest("foo"), "5");
  EXPECT_EQ(Value("foo"), "=newer");
  EXPECT_THAT(Queue(1), IsEmpty());
  // Nor from a tombstone.
  MustCommit(Del("foo", 6));
  EXPECT_TRUE(absl::IsAborted(CommitOne(Restore("foo", 5)).status));
}

TEST_P(IndexStoreContractTest, RestoringReplacesWhatIsOlderAndQueuesIt) {
  MustCommit(Put("foo", 5, "older"));
  MustCommit(Restore("foo", 6, "newer"));
  EXPECT_EQ(Value("foo"), "=newer");
  EXPECT_THAT(Queue(1), ElementsAre("v1/0 foo@5"));
  EXPECT_THAT(Queue(2), ElementsAre("v2/1 foo@5"));
  MustCommit(RestoreTombstone("foo", 7));
  EXPECT_EQ(Newest("foo"), "gone 7");
  EXPECT_EQ(Value("foo"), "not inlined");
  EXPECT_EQ(Counts(), "0 1 3");
}

TEST_P(IndexStoreContractTest, TheSameVersionRestoredAgainTakesItsPlace) {
  MustCommit(Restore("foo", 5, "value"));
  Mutation both = Put("foo", 5, "value");
  both.kind = Mutation::Kind::kRestore;
  MustCommit(both);
  EXPECT_EQ(LookupOne("foo")->record.replicas_size(), 2);
  EXPECT_EQ(Value("foo"), "=value");
  EXPECT_THAT(Queue(1), IsEmpty());
  EXPECT_EQ(Counts(), "1 0 0");
}

TEST_P(IndexStoreContractTest, ManyAreRestoredAtOnceInAnyOrder) {
  std::vector<Mutation> restores;
  for (int i = 0; i < 300; ++i) {
    restores.push_back(Restore(absl::StrCat("key", i * 7 % 300), i, "value"));
  }
  restores.push_back(RestoreTombstone("gone", 5));
  restores[0].removals = {Queued(1, "key0", -1)};
  const std::vector<Removal> removals = {Queued(2, "torn", 1)};
  ASSERT_TRUE(store_->Restore(restores, removals).ok());
  EXPECT_EQ(Value("key7"), "=value");
  EXPECT_TRUE(LookupOne("gone")->record.tombstone());
  EXPECT_THAT(Queue(1), ElementsAre("v1/0 key0@-1"));
  EXPECT_THAT(Queue(2), ElementsAre("v2/1 torn@1"));
  EXPECT_EQ(Counts(), "300 1 2");
  // The same once more, as after a crash.
  ASSERT_TRUE(store_->Restore(restores, removals).ok());
  EXPECT_EQ(Counts(), "300 1 2");
  EXPECT_TRUE(absl::IsAborted(store_->Restore({Restore("gone", 4)}, {})));
  EXPECT_TRUE(store_->Restore({}, {}).ok());
  EXPECT_TRUE(store_->Restore({}, {Queued(2, "torn", 2)}).ok());
  EXPECT_EQ(Counts(), "300 1 3");
}

TEST_P(IndexStoreContractTest, AClearedIndexHasNothingButFacts) {
  ASSERT_TRUE(store_->SetMeta("map", "kept").ok());
  ASSERT_EQ(*store_->NextNumber("writer_id"), 1);
  for (int i = 0; i < 50; ++i) {
    MustCommit(Put(absl::StrCat("key", i), 1, "value"));
    MustCommit(Put(absl::StrCat("key", i), 2, "value"));
  }
  MustCommit(Put(std::string(1024, '\xff'), 1, "value"));
  MustCommit(Del("key1", 3));
  ASSERT_TRUE(store_->Clear().ok());
  EXPECT_EQ(Counts(), "0 0 0");
  EXPECT_EQ(List({}), " | ");
  EXPECT_EQ(Newest("key0"), "none");
  EXPECT_EQ(Newest("key1"), "none");
  EXPECT_EQ(Newest(std::string(1024, '\xff')), "none");
  EXPECT_THAT(Queue(1), IsEmpty());
  EXPECT_EQ(*store_->ForgetTombstones(kNow + kHour, 100), 0);
  EXPECT_EQ(*store_->GetMeta("map"), "kept");
  EXPECT_EQ(*store_->NextNumber("writer_id"), 2);
  // And it takes what is new as an empty one does.
  MustCommit(Put("key0", 1));
  EXPECT_EQ(Value("key0"), "not inlined");
  EXPECT_EQ(Counts(), "1 0 0");
}

TEST_P(IndexStoreReopenContractTest, WhatIsRestoredIsThereBehindALaterFact) {
  ASSERT_TRUE(
      store_->Restore({Restore("foo", 1, "value")}, {Queued(1, "torn", 1)})
          .ok());
  ASSERT_TRUE(store_->SetMeta("cursor", "1").ok());
  Reopen();
  EXPECT_EQ(*store_->GetMeta("cursor"), "1");
  EXPECT_EQ(Value("foo"), "=value");
  EXPECT_EQ(Counts(), "1 0 1");
}

TEST_P(IndexStoreReopenContractTest, AnIndexStaysCleared) {
  MustCommit(Put("foo", 1, "value"));
  MustCommit(Put("foo", 2, "value"));
  ASSERT_TRUE(store_->Clear().ok());
  MustCommit(Restore("bar", 1, "value"));
  Reopen();
  EXPECT_EQ(Newest("foo"), "none");
  EXPECT_EQ(Value("bar"), "=value");
  EXPECT_THAT(Queue(1), IsEmpty());
  EXPECT_EQ(Counts(), "1 0 0");
}

}  // namespace cairn::index
