#include "index/index_store_contract.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/limits.h"
#include "base/version.h"
#include "proto/convert.h"

namespace cairn::index {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Code = absl::StatusCode;
using Names = std::vector<std::string>;

}  // namespace

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(IndexStoreReopenContractTest);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(IndexStoreSnapshotContractTest);

void IndexStoreFixture::SetUp() {
  backend_ = GetParam()();
  Open();
}

void IndexStoreFixture::Open(const OpenOptions& options) {
  auto store = backend_->Open(options);
  ASSERT_TRUE(store.ok()) << store.status();
  store_ = *std::move(store);
}

void IndexStoreFixture::Reopen(const OpenOptions& options) {
  store_.reset();
  Open(options);
}

v1::Record IndexStoreFixture::RecordAt(int64_t time_ms, int64_t size_bytes) {
  v1::Record record;
  record.mutable_version()->set_time_ms(kNow + time_ms);
  record.mutable_version()->set_writer_id(1);
  record.set_size_bytes(size_bytes);
  record.mutable_digest()->set_md5(absl::StrCat("md5 of ", time_ms));
  for (const int i : {0, 1}) {
    v1::SubvolumeId* replica = record.add_replicas();
    replica->set_volume_id(i + 1);
    replica->set_subvolume(i);
  }
  return record;
}

Mutation IndexStoreFixture::Put(absl::string_view key, int64_t time_ms,
                                absl::string_view inline_value) {
  Mutation mutation;
  mutation.key = std::string(key);
  mutation.record = RecordAt(time_ms);
  mutation.inline_value = std::string(inline_value);
  if (!inline_value.empty()) {
    mutation.record.set_size_bytes(inline_value.size());
  }
  return mutation;
}

Mutation IndexStoreFixture::Del(absl::string_view key, int64_t time_ms) {
  Mutation mutation;
  mutation.kind = Mutation::Kind::kDelete;
  mutation.key = std::string(key);
  *mutation.record.mutable_version() = RecordAt(time_ms).version();
  return mutation;
}

Mutation IndexStoreFixture::TombstoneReplicas(
    absl::string_view key, int64_t time_ms,
    const std::vector<uint32_t>& volume_ids) {
  Mutation mutation = Del(key, time_ms);
  mutation.kind = Mutation::Kind::kTombstoneReplicas;
  for (const uint32_t id : volume_ids) {
    mutation.record.add_replicas()->set_volume_id(id);
  }
  return mutation;
}

Mutation IndexStoreFixture::Restore(absl::string_view key, int64_t time_ms,
                                    absl::string_view inline_value) {
  Mutation mutation = Put(key, time_ms, inline_value);
  mutation.kind = Mutation::Kind::kRestore;
  mutation.record.mutable_replicas()->RemoveLast();
  return mutation;
}

Mutation IndexStoreFixture::RestoreTombstone(absl::string_view key,
                                             int64_t time_ms) {
  Mutation mutation = TombstoneReplicas(key, time_ms, {1});
  mutation.kind = Mutation::Kind::kRestore;
  mutation.record.set_tombstone(true);
  return mutation;
}

Removal IndexStoreFixture::Queued(uint32_t volume_id, absl::string_view key,
                                  int64_t time_ms, bool tombstone) {
  Removal removal;
  removal.volume_id = volume_id;
  removal.blob.set_subvolume(volume_id == 2 ? 1 : 0);
  removal.blob.set_key(std::string(key));
  *removal.blob.mutable_version() = RecordAt(time_ms).version();
  removal.blob.set_tombstone(tombstone);
  return removal;
}

std::vector<MutationResult> IndexStoreFixture::CommitAll(
    const std::vector<Mutation>& group) {
  auto results = store_->Commit(group, kNow);
  EXPECT_TRUE(results.ok()) << results.status();
  if (!results.ok()) return std::vector<MutationResult>(group.size());
  EXPECT_EQ(results->size(), group.size());
  return *std::move(results);
}

MutationResult IndexStoreFixture::CommitOne(const Mutation& mutation) {
  return CommitAll({mutation})[0];
}

void IndexStoreFixture::MustCommit(const Mutation& mutation) {
  const MutationResult result = CommitOne(mutation);
  ASSERT_TRUE(result.status.ok()) << result.status;
}

absl::StatusOr<Found> IndexStoreFixture::LookupOne(absl::string_view key,
                                                   bool with_value) {
  const std::vector<std::string> keys = {std::string(key)};
  auto found = store_->Lookup(keys, with_value);
  if (!found.ok()) return found.status();
  return (*found)[0];
}

std::string IndexStoreFixture::Newest(absl::string_view key) {
  const auto found = LookupOne(key);
  if (!found.ok()) {
    return found.status().code() == Code::kNotFound ? "none"
                                                    : found.status().ToString();
  }
  return absl::StrCat(found->record.tombstone() ? "gone " : "",
                      found->record.version().time_ms() - kNow);
}

std::string IndexStoreFixture::Value(absl::string_view key) {
  const auto found = LookupOne(key, /*with_value=*/true);
  if (!found.ok()) return found.status().ToString();
  return found->has_value ? absl::StrCat("=", found->value) : "not inlined";
}

std::string IndexStoreFixture::List(const IndexStore::ScanOptions& options) {
  const auto page = store_->Scan(options);
  if (!page.ok()) return page.status().ToString();
  return absl::StrCat(absl::CHexEscape(absl::StrJoin(page->keys, " ")), " | ",
                      absl::CHexEscape(page->next));
}

std::vector<std::string> IndexStoreFixture::Queue(uint32_t volume_id,
                                                  int64_t limit) {
  std::vector<std::string> entries;
  std::string cursor;
  for (;;) {
    const auto page = store_->Removals(volume_id, limit, &cursor);
    EXPECT_TRUE(page.ok()) << page.status();
    if (!page.ok() || page->empty()) return entries;
    EXPECT_LE(static_cast<int64_t>(page->size()), limit);
    for (const Removal& removal : *page) entries.push_back(Text(removal));
  }
}

std::string IndexStoreFixture::Text(const Removal& removal) {
  return absl::StrCat("v", removal.volume_id, "/", removal.blob.subvolume(),
                      " ", removal.blob.key(), "@",
                      removal.blob.version().time_ms() - kNow,
                      removal.blob.tombstone() ? ".gone" : "");
}

std::vector<std::string> IndexStoreFixture::Texts(
    const std::vector<Removal>& removals) {
  std::vector<std::string> texts;
  for (const Removal& removal : removals) texts.push_back(Text(removal));
  return texts;
}

std::string IndexStoreFixture::Counts() {
  const IndexStats stats = store_->Stats();
  return absl::StrCat(stats.keys_count, " ", stats.tombstones_count, " ",
                      stats.removals_count);
}

// --- Lookup and commit -----------------------------------------------------

TEST_P(IndexStoreContractTest, AKeyThatWasNeverWrittenIsNotFound) {
  EXPECT_EQ(Newest("foo"), "none");
  EXPECT_EQ(Counts(), "0 0 0");
}

TEST_P(IndexStoreContractTest, LookupAnswersInTheOrderAsked) {
  MustCommit(Put("a", 1));
  MustCommit(Put("b", 2));
  const std::vector<std::string> keys = {"b", "x", "a", "b"};
  const auto found = store_->Lookup(keys, false);
  ASSERT_TRUE(found.ok());
  ASSERT_EQ(found->size(), 4u);
  EXPECT_EQ((*found)[0]->record.version().time_ms(), kNow + 2);
  EXPECT_EQ((*found)[1].status().code(), Code::kNotFound);
  EXPECT_EQ((*found)[2]->record.version().time_ms(), kNow + 1);
  EXPECT_EQ((*found)[3]->record.version().time_ms(), kNow + 2);
}

TEST_P(IndexStoreContractTest, ARecordComesBackWhole) {
  Mutation put = Put("foo", 1);
  put.record.mutable_metadata()->set_content_type("text/plain");
  (*put.record.mutable_metadata()->mutable_user())["colour"] = "r\xff\x01";
  put.record.mutable_digest()->set_xxh3(0xfedcba9876543210ULL);
  MustCommit(put);
  EXPECT_EQ(LookupOne("foo")->record.SerializeAsString(),
            put.record.SerializeAsString());
}

TEST_P(IndexStoreContractTest, AnEmptyLookupAndAnEmptyCommitAreFine) {
  EXPECT_TRUE(store_->Lookup({}, true).ok());
  EXPECT_TRUE(store_->Commit({}, kNow).ok());
}

TEST_P(IndexStoreContractTest, ANewerVersionReplacesAndTheOldBlobsAreQueued) {
  EXPECT_FALSE(CommitOne(Put("foo", 1)).replaced);
  const MutationResult second = CommitOne(Put("foo", 2));
  EXPECT_TRUE(second.status.ok());
  EXPECT_TRUE(second.replaced);
  EXPECT_THAT(Texts(second.removals), ElementsAre("v1/0 foo@1", "v2/1 foo@1"));
  EXPECT_EQ(Newest("foo"), "2");
  EXPECT_THAT(Queue(1), ElementsAre("v1/0 foo@1"));
  EXPECT_THAT(Queue(2), ElementsAre("v2/1 foo@1"));
  EXPECT_THAT(Queue(3), IsEmpty());
  EXPECT_EQ(Counts(), "1 0 2");
}

TEST_P(IndexStoreContractTest, AnOlderVersionIsAbortedAndChangesNothing) {
  MustCommit(Put("foo", 7, "seven"));
  const MutationResult result = CommitOne(Put("foo", 5, "five"));
  EXPECT_EQ(result.status.code(), Code::kAborted);
  EXPECT_EQ(result.current.version().time_ms(), kNow + 7);
  EXPECT_EQ(Newest("foo"), "7");
  EXPECT_EQ(Value("foo"), "=seven");
  EXPECT_EQ(Counts(), "1 0 0");
}

TEST_P(IndexStoreContractTest, CounterAndWriterOrderVersionsOfOneMillisecond) {
  Mutation put = Put("foo", 1);
  put.record.mutable_version()->set_counter(5);
  MustCommit(put);
  put.record.mutable_version()->set_counter(4);
  put.record.mutable_version()->set_writer_id(9);
  EXPECT_EQ(CommitOne(put).status.code(), Code::kAborted);
  put.record.mutable_version()->set_counter(5);
  MustCommit(put);
}

TEST_P(IndexStoreContractTest, TheSameCommitTwiceIsOkBeforeItsPrecondition) {
  Mutation put = Put("foo", 1);
  put.precondition.set_absent(true);
  MustCommit(put);
  const MutationResult again = CommitOne(put);
  EXPECT_TRUE(again.status.ok()) << again.status;
  EXPECT_FALSE(again.replaced);
  EXPECT_EQ(Counts(), "1 0 0");
  // Still the same commit when it is old by now.
  const auto late = store_->Commit({put}, kNow + 3'600'000);
  EXPECT_TRUE((*late)[0].status.ok()) << (*late)[0].status;
}

TEST_P(IndexStoreContractTest, VersionsOutsideTheWindowAreRefused) {
  const int64_t age = absl::ToInt64Milliseconds(base::kVersionAgeMax);
  const int64_t ahead = absl::ToInt64Milliseconds(base::kVersionAheadMax);
  EXPECT_EQ(CommitOne(Put("a", -age - 1)).status.code(), Code::kOutOfRange);
  EXPECT_EQ(CommitOne(Put("a", ahead + 1)).status.code(), Code::kOutOfRange);
  EXPECT_EQ(Newest("a"), "none");
  MustCommit(Put("a", -age));
  MustCommit(Put("a", ahead));
  EXPECT_EQ(CommitOne(Del("a", ahead + 1)).status.code(), Code::kOutOfRange);
}

TEST_P(IndexStoreContractTest, OrderIsCheckedBeforeTheWindow) {
  MustCommit(Put("foo", 1));
  EXPECT_EQ(CommitOne(Put("foo", -3'600'000)).status.code(), Code::kAborted);
}

TEST_P(IndexStoreContractTest, PreconditionsHoldOrNothingChanges) {
  Mutation absent = Put("foo", 1);
  absent.precondition.set_absent(true);
  Mutation exists = Put("foo", 2);
  exists.precondition.set_exists(true);
  EXPECT_EQ(CommitOne(exists).status.code(), Code::kFailedPrecondition);
  MustCommit(absent);
  absent.record = RecordAt(2);
  EXPECT_EQ(CommitOne(absent).status.code(), Code::kFailedPrecondition);
  MustCommit(exists);
  Mutation matches = Put("foo", 3);
  matches.precondition.add_md5_any_of("md5 of 1");
  EXPECT_EQ(CommitOne(matches).status.code(), Code::kFailedPrecondition);
  EXPECT_EQ(Newest("foo"), "2");
  matches.precondition.add_md5_any_of("md5 of 2");
  MustCommit(matches);
  EXPECT_EQ(Newest("foo"), "3");
}

TEST_P(IndexStoreContractTest, ADeletedKeyCountsAsAbsent) {
  MustCommit(Put("foo", 1));
  MustCommit(Del("foo", 2));
  Mutation matches = Put("foo", 3);
  matches.precondition.add_md5_any_of("md5 of 1");
  EXPECT_EQ(CommitOne(matches).status.code(), Code::kFailedPrecondition);
  Mutation absent = Put("foo", 3);
  absent.precondition.set_absent(true);
  const MutationResult result = CommitOne(absent);
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_FALSE(result.replaced);
}

TEST_P(IndexStoreContractTest, AGroupSeesWhatCameBeforeInIt) {
  Mutation second = Put("foo", 2);
  second.precondition.set_absent(true);
  const auto results =
      CommitAll({Put("foo", 1, "one"), second, Put("foo", 3, "three"),
                 Put("foo", 2), Del("foo", 4), Put("foo", 5), Put("b", 1)});
  EXPECT_TRUE(results[0].status.ok());
  EXPECT_EQ(results[1].status.code(), Code::kFailedPrecondition);
  EXPECT_TRUE(results[2].replaced);
  EXPECT_EQ(results[3].status.code(), Code::kAborted);
  EXPECT_TRUE(results[4].status.ok());
  EXPECT_THAT(Texts(results[4].removals),
              UnorderedElementsAre("v1/0 foo@1", "v2/1 foo@1", "v1/0 foo@3",
                                   "v2/1 foo@3"));
  EXPECT_TRUE(results[5].status.ok());
  EXPECT_FALSE(results[5].replaced);
  EXPECT_EQ(Newest("foo"), "5");
  EXPECT_EQ(Value("foo"), "not inlined");
  EXPECT_EQ(Counts(), "2 0 4");
}

TEST_P(IndexStoreContractTest, SmallValuesComeWithTheRecordWhenAskedFor) {
  const std::string bytes("a\0b\xff", 4);
  MustCommit(Put("small", 1, bytes));
  MustCommit(Put("large", 1));
  Mutation empty = Put("empty", 1);
  empty.record.set_size_bytes(0);
  MustCommit(empty);
  EXPECT_EQ(Value("small"), absl::StrCat("=", bytes));
  EXPECT_EQ(Value("large"), "not inlined");
  EXPECT_EQ(Value("empty"), "=");
  EXPECT_FALSE(LookupOne("small", /*with_value=*/false)->has_value);
}

TEST_P(IndexStoreContractTest, AnInlinedValueGoesWithItsVersion) {
  MustCommit(Put("foo", 1, "one"));
  MustCommit(Put("foo", 2));
  EXPECT_EQ(Value("foo"), "not inlined");
  MustCommit(Put("foo", 3, "three"));
  MustCommit(Del("foo", 4));
  EXPECT_EQ(Value("foo"), "not inlined");
  MustCommit(Put("foo", 5));
  EXPECT_EQ(Value("foo"), "not inlined");
}

TEST_P(IndexStoreContractTest, AFullIndexRefusesPuts) {
  EXPECT_FALSE(store_->Stats().full);
  OpenOptions full;
  full.free_bytes_min = int64_t{1} << 60;
  Reopen(full);
  EXPECT_TRUE(store_->Stats().full);
  const MutationResult result = CommitOne(Put("foo", 1));
  EXPECT_EQ(result.status.code(), Code::kResourceExhausted);
  EXPECT_EQ(Newest("foo"), "none");
  EXPECT_EQ(CommitOne(Del("foo", 2)).status.code(), Code::kNotFound);
}

// --- Deleting --------------------------------------------------------------

TEST_P(IndexStoreContractTest, DeletingWhatIsNotThereIsNotFound) {
  EXPECT_EQ(CommitOne(Del("foo", 1)).status.code(), Code::kNotFound);
  EXPECT_EQ(Newest("foo"), "none");
  MustCommit(Put("foo", 1));
  MustCommit(Del("foo", 2));
  EXPECT_EQ(CommitOne(Del("foo", 3)).status.code(), Code::kNotFound);
  EXPECT_EQ(Newest("foo"), "gone 2");
  EXPECT_EQ(Counts(), "0 1 2");
}

TEST_P(IndexStoreContractTest, ADeletePutsATombstoneAndNamesAllQueuedBlobs) {
  MustCommit(Put("other", 1));
  MustCommit(Put("other", 2));
  MustCommit(Put("foo", 1));
  Mutation moved = Put("foo", 2);
  moved.record.mutable_replicas(1)->set_volume_id(0xfffffff7);
  MustCommit(moved);
  MustCommit(Put("foo", 3));
  const MutationResult result = CommitOne(Del("foo", 4));
  EXPECT_TRUE(result.status.ok()) << result.status;
  EXPECT_THAT(
      Texts(result.removals),
      UnorderedElementsAre("v1/0 foo@1", "v2/1 foo@1", "v1/0 foo@2",
                           "v4294967287/1 foo@2", "v1/0 foo@3", "v2/1 foo@3"));
  EXPECT_EQ(Newest("foo"), "gone 4");
  EXPECT_EQ(Counts(), "1 1 8");
}

TEST_P(IndexStoreContractTest, ADeleteThatIsRepeatedNamesTheSameBlobs) {
  MustCommit(Put("foo", 1));
  MustCommit(Del("foo", 2));
  const MutationResult again = CommitOne(Del("foo", 2));
  EXPECT_TRUE(again.status.ok()) << again.status;
  EXPECT_THAT(Texts(again.removals), ElementsAre("v1/0 foo@1", "v2/1 foo@1"));
  EXPECT_EQ(Counts(), "0 1 2");
}

TEST_P(IndexStoreContractTest, ADeleteChecksOrderAndPrecondition) {
  MustCommit(Put("foo", 5));
  EXPECT_EQ(CommitOne(Del("foo", 5)).status.code(), Code::kAborted);
  EXPECT_EQ(CommitOne(Del("foo", 4)).status.code(), Code::kAborted);
  Mutation del = Del("foo", 6);
  del.precondition.add_md5_any_of("another");
  EXPECT_EQ(CommitOne(del).status.code(), Code::kFailedPrecondition);
  EXPECT_EQ(Newest("foo"), "5");
}

TEST_P(IndexStoreContractTest, AKeysEntriesAreItsOwnWhateverItsNeighbours) {
  // Keys that begin alike, and that hold what the encoding uses.
  const std::string nul("a\0", 2);
  for (const std::string& key : {std::string("a"), nul, std::string("ab"),
                                 std::string("a\xff"), std::string("\xff")}) {
    MustCommit(Put(key, 1));
    MustCommit(Put(key, 2));
  }
  EXPECT_THAT(
      Texts(CommitOne(Del("a", 3)).removals),
      UnorderedElementsAre("v1/0 a@1", "v2/1 a@1", "v1/0 a@2", "v2/1 a@2"));
  EXPECT_EQ(CommitOne(Del("\xff", 3)).removals.size(), 4u);
}

TEST_P(IndexStoreContractTest, ATombstoneGetsItsReplicasWhileItIsTheNewest) {
  MustCommit(Put("foo", 1));
  MustCommit(Del("foo", 2));
  MustCommit(TombstoneReplicas("foo", 2, {1, 3}));
  const auto found = LookupOne("foo");
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->record.tombstone());
  ASSERT_EQ(found->record.replicas_size(), 2);
  EXPECT_EQ(found->record.replicas(1).volume_id(), 3u);
  EXPECT_EQ(Counts(), "0 1 2");
  MustCommit(Put("foo", 3));
  EXPECT_EQ(CommitOne(TombstoneReplicas("foo", 2, {1})).status.code(),
            Code::kAborted);
  EXPECT_EQ(CommitOne(TombstoneReplicas("bar", 2, {1})).status.code(),
            Code::kAborted);
}

TEST_P(IndexStoreContractTest, OtherTombstoneReplicasMakeTheFirstSurplus) {
  MustCommit(Put("foo", 1));
  MustCommit(Del("foo", 2));
  MustCommit(TombstoneReplicas("foo", 2, {1, 3}));
  const MutationResult again = CommitOne(TombstoneReplicas("foo", 2, {1, 4}));
  EXPECT_THAT(Texts(again.removals), ElementsAre("v3/0 foo@2.gone"));
}

TEST_P(IndexStoreContractTest, APutAboveATombstoneQueuesTheTombstonesBlobs) {
  MustCommit(Put("foo", 1));
  MustCommit(Del("foo", 2));
  MustCommit(TombstoneReplicas("foo", 2, {1, 3}));
  const MutationResult result = CommitOne(Put("foo", 3));
  EXPECT_FALSE(result.replaced);
  EXPECT_THAT(Texts(result.removals),
              ElementsAre("v1/0 foo@2.gone", "v3/0 foo@2.gone"));
  EXPECT_EQ(Counts(), "1 0 4");
}

// --- Facts, numbers, walks -------------------------------------------------

TEST_P(IndexStoreContractTest, FactsAreKeptByName) {
  EXPECT_EQ(store_->GetMeta("cluster_id").status().code(), Code::kNotFound);
  const std::string bytes("\0x", 2);
  ASSERT_TRUE(store_->SetMeta("cluster_id", bytes).ok());
  ASSERT_TRUE(store_->SetMeta("map", "").ok());
  EXPECT_EQ(*store_->GetMeta("cluster_id"), bytes);
  EXPECT_EQ(*store_->GetMeta("map"), "");
  ASSERT_TRUE(store_->SetMeta("cluster_id", "other").ok());
  EXPECT_EQ(*store_->GetMeta("cluster_id"), "other");
}

TEST_P(IndexStoreContractTest, NumbersGrowByOneEachForItself) {
  EXPECT_EQ(*store_->NextNumber("writer_id"), 1);
  EXPECT_EQ(*store_->NextNumber("writer_id"), 2);
  EXPECT_EQ(*store_->NextNumber("other"), 1);
  EXPECT_EQ(store_->GetMeta("writer_id").status().code(), Code::kNotFound);
}

TEST_P(IndexStoreContractTest, AWalkShowsEachKeyOnceInOrderWhileOthersWrite) {
  constexpr int kKeys = 3000;
  std::vector<Mutation> group;
  for (int i = 0; i < kKeys; ++i) {
    group.push_back(Put(absl::StrCat("key", 10000 + i), 1, "value"));
  }
  CommitAll(group);
  MustCommit(Del("key10005", 2));
  Names seen;
  const absl::Status status =
      store_->Walk(true, [&](absl::string_view key, const Found& found) {
        EXPECT_NE(found.record.tombstone(), found.has_value);
        EXPECT_EQ(found.record.version().time_ms(),
                  kNow + (found.record.tombstone() ? 2 : 1));
        seen.emplace_back(key);
        if (seen.size() == 10) MustCommit(Put("key10005", 3, "back"));
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  ASSERT_EQ(seen.size(), size_t{kKeys});
  for (int i = 0; i < kKeys; ++i) {
    ASSERT_EQ(seen[i], absl::StrCat("key", 10000 + i));
  }
}

TEST_P(IndexStoreSnapshotContractTest, AWalkShowsOneMoment) {
  MustCommit(Put("a", 1, "value"));
  MustCommit(Put("b", 1));
  MustCommit(Del("b", 2));
  MustCommit(Put("c", 1));
  Names seen;
  const absl::Status status =
      store_->Walk(true, [&](absl::string_view key, const Found& found) {
        seen.push_back(absl::StrCat(
            key, found.record.tombstone() ? " gone" : "",
            found.has_value ? absl::StrCat("=", found.value) : ""));
        MustCommit(Put(absl::StrCat("new", seen.size()), 1));
        if (seen.size() == 1) MustCommit(Put("c", 2, "changed"));
        return absl::OkStatus();
      });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(seen, (Names{"a=value", "b gone", "c"}));
}

TEST_P(IndexStoreContractTest, AWalkStopsWithTheVisitorsStatus) {
  MustCommit(Put("a", 1, "value"));
  MustCommit(Put("b", 1));
  int visits = 0;
  const absl::Status status =
      store_->Walk(false, [&](absl::string_view, const Found& found) {
        EXPECT_FALSE(found.has_value);
        ++visits;
        return absl::CancelledError("enough");
      });
  EXPECT_EQ(status.code(), Code::kCancelled);
  EXPECT_EQ(visits, 1);
}

TEST_P(IndexStoreContractTest, ManyThreadsCommitListAndReadAtOnce) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 50;
  std::atomic<int> won{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        Mutation race = Put(absl::StrCat("race", i), t);
        race.precondition.set_absent(true);
        const auto results =
            store_->Commit({race, Put(absl::StrCat(t, "/", i), 1)}, kNow);
        ASSERT_TRUE(results.ok());
        won += (*results)[0].status.ok() ? 1 : 0;
        EXPECT_TRUE((*results)[1].status.ok());
        EXPECT_TRUE(LookupOne(absl::StrCat(t, "/", i)).ok());
        EXPECT_TRUE(store_->Scan({}).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(won, kRounds);
  EXPECT_EQ(store_->Stats().keys_count, kRounds + kThreads * kRounds);
}

TEST_P(IndexStoreContractTest, ARandomHistoryEqualsAModelOfIt) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  std::map<std::string, int64_t> values;      // Key to version.
  std::map<std::string, int64_t> tombstones;  // The same.
  std::set<std::string> queue;
  for (int64_t time = 1; time <= 2000; ++time) {
    const std::string key = absl::StrCat("k", random() % 20);
    const bool is_delete = random() % 3 == 0;
    const MutationResult result =
        CommitOne(is_delete ? Del(key, time) : Put(key, time));
    const bool had = values.count(key) > 0;
    EXPECT_EQ(result.status.ok(), had || !is_delete);
    EXPECT_EQ(result.replaced, had && !is_delete);
    if (!result.status.ok()) continue;
    if (had) {
      queue.insert(Text(Queued(1, key, values[key])));
      values.erase(key);
    }
    tombstones.erase(key);
    (is_delete ? tombstones : values)[key] = time;
    if (random() % 8 != 0) continue;
    std::string cursor;
    const auto some = store_->Removals(1, random() % 5, &cursor);
    ASSERT_TRUE(store_->FinishRemovals(*some).ok());
    for (const std::string& text : Texts(*some)) queue.erase(text);
  }
  Names keys;
  for (const auto& [key, version] : values) {
    keys.push_back(key);
    EXPECT_EQ(Newest(key), absl::StrCat(version));
  }
  EXPECT_EQ(List({}), absl::StrCat(absl::StrJoin(keys, " "), " | "));
  const Names queued = Queue(1);
  EXPECT_EQ(std::set<std::string>(queued.begin(), queued.end()), queue);
  const IndexStats stats = store_->Stats();
  EXPECT_EQ(stats.keys_count, static_cast<int64_t>(values.size()));
  EXPECT_EQ(stats.tombstones_count, static_cast<int64_t>(tombstones.size()));
  EXPECT_EQ(stats.removals_count,
            static_cast<int64_t>(queue.size() + Queue(2).size()));
}

// --- What outlives the object ----------------------------------------------

TEST_P(IndexStoreReopenContractTest, EverythingIsThereWhenOpenedAgain) {
  for (const v1::Durability durability :
       {v1::DURABILITY_OS, v1::DURABILITY_FSYNC}) {
    OpenOptions options;
    options.durability = durability;
    store_.reset();
    backend_ = GetParam()();
    Open(options);
    MustCommit(Put("a", 1, "one"));
    MustCommit(Put("a", 2, "two"));
    MustCommit(Put("b", 1));
    MustCommit(Del("b", 3));
    ASSERT_TRUE(store_->FinishRemovals({Queued(1, "a", 1)}).ok());
    ASSERT_TRUE(store_->SetMeta("cluster_id", "c").ok());
    ASSERT_EQ(*store_->NextNumber("writer_id"), 1);
    const std::string counts = Counts();
    EXPECT_EQ(counts, "1 1 3");
    Reopen(options);
    EXPECT_EQ(Newest("a"), "2");
    EXPECT_EQ(Value("a"), "=two");
    EXPECT_EQ(Newest("b"), "gone 3");
    EXPECT_THAT(Queue(1), ElementsAre("v1/0 b@1"));
    EXPECT_THAT(Queue(2), ElementsAre("v2/1 a@1", "v2/1 b@1"));
    EXPECT_EQ(Counts(), counts);
    EXPECT_EQ(*store_->GetMeta("cluster_id"), "c");
    EXPECT_EQ(*store_->NextNumber("writer_id"), 2);
    EXPECT_EQ(CommitOne(Put("a", 1)).status.code(), Code::kAborted);
  }
}

TEST_P(IndexStoreReopenContractTest, AFullIndexStillLooksUpAndDeletes) {
  MustCommit(Put("foo", 1, "value"));
  OpenOptions full;
  full.free_bytes_min = int64_t{1} << 60;
  Reopen(full);
  EXPECT_TRUE(store_->Stats().full);
  EXPECT_EQ(Value("foo"), "=value");
  EXPECT_EQ(CommitOne(Put("foo", 2)).status.code(), Code::kResourceExhausted);
  EXPECT_EQ(Newest("foo"), "1");
  MustCommit(Del("foo", 3));
  MustCommit(TombstoneReplicas("foo", 3, {1, 2}));
  Reopen();
  EXPECT_FALSE(store_->Stats().full);
  MustCommit(Put("foo", 4));
}

}  // namespace cairn::index
