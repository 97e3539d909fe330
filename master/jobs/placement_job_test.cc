#include "master/jobs/placement_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "index/memory_index_store.h"
#include "master/fake_agents.h"
#include "master/index_mark.h"
#include "master/jobs/fake_copies.h"
#include "master/test_cluster.h"

namespace cairn::master {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using Code = absl::StatusCode;

constexpr int64_t kNowMs = 1'000'000;
constexpr absl::Duration kLong = absl::Hours(1);

// Drains volume 1 of three; all keys lie on volumes 1 and 2.
class PlacementJobTest : public testing::Test {
 protected:
  explicit PlacementJobTest(int replicas = 2, uint32_t volumes = 3)
      : mark_(*IndexMark::Open(index_.get())) {
    Membership::Options members;
    members.index = index_.get();
    members.mark = mark_.get();
    members.map = TestMap(0);
    members.map.set_replicas(replicas);
    members_ = std::make_unique<Membership>(std::move(members));
    for (uint32_t id = 1; id <= volumes; ++id) {
      EXPECT_TRUE(members_->Join(TestJoin(id)).ok());
    }
    EXPECT_TRUE(members_->SetDraining(1, true).ok());
    CommitQueue::Options commits;
    commits.index = index_.get();
    commits.now_ms = [] { return kNowMs; };
    commits_ = std::make_unique<CommitQueue>(std::move(commits));
    BlobMover::Options mover;
    mover.index = index_.get();
    mover.commits = commits_.get();
    mover.held = &held_;
    mover.copies = &copies_;
    mover.agents = &agents_;
    mover.on_removals = [this](uint32_t id) { Remove(id); };
    mover_ = std::make_unique<BlobMover>(std::move(mover));
    options_.index = index_.get();
    options_.membership = members_.get();
    options_.mover = mover_.get();
    options_.copies = &copies_;
    options_.on_removals = [](uint32_t) {};
    options_.pause = absl::Milliseconds(1);
    options_.tries_max = 3;
    options_.stall_max = kLong;
    options_.drain_stall_max = kLong;
  }

  // What the removal job would do.
  void Remove(uint32_t volume_id) {
    std::string cursor;
    const auto queued = index_->Removals(volume_id, 1000, &cursor);
    ASSERT_TRUE(queued.ok());
    ASSERT_TRUE(index_->FinishRemovals(*queued).ok());
  }
  void Put(const std::string& key, const std::string& inlined = "value",
           int64_t time_ms = kNowMs) {
    std::vector<index::Mutation> group = {
        TestPut(key, "value", time_ms, {1, 2})};
    group[0].inline_value = inlined;
    ASSERT_TRUE(index_->Commit(group, kNowMs)->front().status.ok());
  }
  v1::Record Record(const std::string& key) {
    const std::vector<std::string> keys = {key};
    return (*index_->Lookup(keys, false))[0]->record;
  }
  bool OnVolume1(const std::string& key) {
    const v1::Record record = Record(key);
    for (const v1::SubvolumeId& place : record.replicas()) {
      if (place.volume_id() == 1) return true;
    }
    return false;
  }
  // Where the drain puts the copy that is on volume 1.
  index::Removal TargetOf(const std::string& key) {
    const v1::Record record = Record(key);
    const Plan plan = PlanDrain(members_->view()->map, 1, key, record);
    index::Removal blob;
    blob.volume_id = plan.move.target.volume_id();
    blob.blob.set_subvolume(plan.move.target.subvolume());
    blob.blob.set_key(key);
    *blob.blob.mutable_version() = record.version();
    return blob;
  }
  absl::Status Drain() {
    v1::DrainVolumeRequest request;
    request.set_volume_id("00000001");
    v1::JobRecord record;
    record.set_request(request.SerializeAsString());
    context_ =
        std::make_unique<JobContext>(index_.get(), record, v1::JobOptions());
    return PlacementJob(options_).RunDrain(context_.get());
  }
  std::string Problems() {
    std::string text;
    const v1::JobProgress progress = context_->progress();
    for (const std::string& problem : progress.problems()) {
      absl::StrAppend(&text, problem, "\n");
    }
    return text;
  }

  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore();
  std::unique_ptr<IndexMark> mark_;
  std::unique_ptr<Membership> members_;
  HeldBlobs held_;
  FakeCopies copies_;
  FakeAgents agents_;
  std::unique_ptr<CommitQueue> commits_;
  std::unique_ptr<BlobMover> mover_;
  PlacementJob::Options options_;
  std::unique_ptr<JobContext> context_;
};

TEST_F(PlacementJobTest, ADrainMovesEveryCopyAndWaitsForTheLastFile) {
  for (const char* key : {"a", "b", "c"}) Put(key);
  copies_.blobs_left = 3;
  const absl::Status drained = Drain();
  ASSERT_TRUE(drained.ok()) << drained;
  EXPECT_THAT(copies_.copied, ElementsAre("a", "b", "c"));
  for (const char* key : {"a", "b", "c"}) EXPECT_FALSE(OnVolume1(key));
  EXPECT_EQ(copies_.blobs_left, 0);
  EXPECT_THAT(context_->progress().summary(),
              AllOf(HasSubstr("moved 3 copies"), HasSubstr("0 blobs left")));
}

TEST_F(PlacementJobTest, AnAgentThatComesBackInTimeCostsTriesOnly) {
  Put("a");
  copies_.answer = absl::UnavailableError("the agent is away");
  copies_.before = [&] {
    if (copies_.calls == 1 + options_.tries_max) copies_.answer = {};
  };
  const absl::Status drained = Drain();
  EXPECT_TRUE(drained.ok()) << drained;
  EXPECT_FALSE(OnVolume1("a"));
}

TEST_F(PlacementJobTest, AnAgentThatStaysAwayEndsItAfterSoManyTries) {
  Put("a");
  copies_.answer = absl::UnavailableError("the agent is away");
  const absl::Status drained = Drain();
  EXPECT_EQ(drained.code(), Code::kFailedPrecondition);
  EXPECT_EQ(copies_.calls, 1 + options_.tries_max);
  EXPECT_THAT(Problems(), HasSubstr("a: the agent is away"));
  EXPECT_TRUE(OnVolume1("a"));
}

TEST_F(PlacementJobTest, TriesCountFromTheLastCopyThatMoved) {
  for (const char* key : {"a", "b", "c"}) Put(key);
  copies_.codes = {{"a", Code::kUnavailable},
                   {"b", Code::kUnavailable},
                   {"c", Code::kUnavailable}};
  // One more succeeds with each third call.
  copies_.before = [&] {
    if (copies_.calls % 3 == 0) copies_.codes.erase(copies_.codes.begin());
  };
  const absl::Status drained = Drain();
  EXPECT_TRUE(drained.ok()) << drained;
  EXPECT_THAT(copies_.copied, SizeIs(3));
}

TEST_F(PlacementJobTest, ACopyThatIsBeingRemovedIsWaitedFor) {
  Put("a");
  Put("b");
  const index::Removal older = TargetOf("a");
  ASSERT_TRUE(index_->AddRemovals({older}).ok());
  // Whatever time that takes: many tries.
  std::thread remover([&] {
    absl::SleepFor(absl::Milliseconds(50));
    EXPECT_TRUE(OnVolume1("a"));
    EXPECT_TRUE(index_->FinishRemovals({older}).ok());
  });
  const absl::Status drained = Drain();
  remover.join();
  EXPECT_TRUE(drained.ok()) << drained;
  EXPECT_FALSE(OnVolume1("a"));
  EXPECT_EQ(Problems(), "");
}

TEST_F(PlacementJobTest, ACopyThatIsNeverRemovedEndsItInTheEnd) {
  options_.stall_max = absl::Milliseconds(20);
  Put("a");
  Put("b");
  ASSERT_TRUE(index_->AddRemovals({TargetOf("a")}).ok());
  const absl::Status drained = Drain();
  EXPECT_EQ(drained.code(), Code::kFailedPrecondition);
  EXPECT_THAT(Problems(), HasSubstr("a: an older copy at its target waits"));
  EXPECT_TRUE(OnVolume1("a"));
  EXPECT_FALSE(OnVolume1("b"));
}

TEST_F(PlacementJobTest, AKeyThatIsReplacedUnderItsHandsIsPlannedAnew) {
  Put("a");
  copies_.before = [&] {
    if (copies_.calls <= 5) Put("a", "value", kNowMs + copies_.calls);
  };
  const absl::Status drained = Drain();
  EXPECT_TRUE(drained.ok()) << drained;
  EXPECT_EQ(copies_.calls, 6);
  EXPECT_FALSE(OnVolume1("a"));
}

TEST_F(PlacementJobTest, AKeyThatIsReplacedAllTheTimeIsLeftInTheEnd) {
  Put("a");
  copies_.before = [&] { Put("a", "value", kNowMs + copies_.calls); };
  EXPECT_EQ(Drain().code(), Code::kFailedPrecondition);
  EXPECT_THAT(Problems(), HasSubstr("a: it changes again and again"));
  // Two replicas; the first walk, then each try.
  EXPECT_EQ(copies_.calls, 2 * base::kMovePlansMax * (1 + options_.tries_max));
}

TEST_F(PlacementJobTest, OfAKeyWithoutAGoodCopyTheIndexMayHaveTheValue) {
  Put("a");
  Put("b", /*inlined=*/"");
  Put("c", /*inlined=*/"volue");
  copies_.codes = {
      {"a", Code::kDataLoss}, {"b", Code::kDataLoss}, {"c", Code::kDataLoss}};
  const absl::Status drained = Drain();
  EXPECT_EQ(drained.code(), Code::kFailedPrecondition);
  EXPECT_THAT(agents_.put(), SizeIs(1));
  EXPECT_FALSE(OnVolume1("a"));
  EXPECT_TRUE(OnVolume1("b"));
  EXPECT_TRUE(OnVolume1("c"));
  EXPECT_THAT(Problems(), AllOf(HasSubstr("b: no good copy of it is left"),
                                HasSubstr("c: no good copy of it is left"),
                                Not(HasSubstr("a: "))));
}

TEST_F(PlacementJobTest, FilesThatNoKeyNamesEndADrainInTheEnd) {
  options_.drain_stall_max = absl::Milliseconds(20);
  copies_.blobs_left = -2;
  const absl::Status drained = Drain();
  EXPECT_EQ(drained.code(), Code::kFailedPrecondition);
  EXPECT_THAT(drained.message(), HasSubstr("still counts 2 blobs"));
}

// Repairs keys of a cluster with three replicas on four volumes.
class RepairOrderTest : public PlacementJobTest {
 protected:
  RepairOrderTest() : PlacementJobTest(3, 4) {
    EXPECT_TRUE(members_->SetDraining(1, false).ok());
  }
  void PutOn(const std::string& key, std::vector<uint32_t> volumes) {
    const auto committed = index_->Commit(
        {TestPut(key, "value", kNowMs, std::move(volumes))}, kNowMs);
    ASSERT_TRUE(committed.ok() && committed->front().status.ok());
  }
};

TEST_F(RepairOrderTest, KeysWithTheFewestLiveCopiesComeFirst) {
  PutOn("a", {1, 2});
  PutOn("b", {3});
  PutOn("c", {2, 4});
  PutOn("d", {4});
  PutOn("e", {1, 2, 3});
  v1::JobRecord record;
  record.set_request(v1::RepairRequest().SerializeAsString());
  JobContext context(index_.get(), record, v1::JobOptions());
  const absl::Status repaired = PlacementJob(options_).RunRepair(&context);
  ASSERT_TRUE(repaired.ok()) << repaired;
  EXPECT_THAT(copies_.copied, ElementsAre("a", "b", "c", "d"));
  // Those with one copy before those with two.
  const auto place = [&](const std::string& key) {
    const auto& order = copies_.in_order;
    return std::find(order.begin(), order.end(), key) - order.begin();
  };
  for (const char* one : {"b", "d"}) {
    for (const char* two : {"a", "c"}) EXPECT_LT(place(one), place(two));
  }
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    EXPECT_EQ(Record(key).replicas_size(), 3) << key;
  }
}

}  // namespace
}  // namespace cairn::master
