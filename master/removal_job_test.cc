#include "master/removal_job.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "absl/time/clock.h"
#include "index/memory_index_store.h"
#include "master/fake_agents.h"
#include "master/test_cluster.h"

namespace cairn::master {
namespace {

using testing::SizeIs;

constexpr int64_t kNowMs = 1'000'000;

class RemovalJobTest : public testing::Test {
 protected:
  ~RemovalJobTest() override {
    if (job_ != nullptr) job_->Stop();
  }

  void Start() {
    RemovalJob::Options options;
    options.index = index_.get();
    options.agents = &agents_;
    options.view = [this] {
      base::MutexLock lock(&mu_);
      return view_;
    };
    options.now_ms = [this] {
      base::MutexLock lock(&mu_);
      return now_ms_;
    };
    options.fencing_number = 5;
    options.held = &held_;
    options.retry_pause = absl::Milliseconds(5);
    job_ = std::make_unique<RemovalJob>(std::move(options));
    job_->Start();
  }
  // Two versions of each key; returns the blobs of the first.
  std::vector<index::Removal> Replace(int keys) {
    std::vector<index::Removal> removals;
    for (int i = 0; i < keys; ++i) {
      const std::string key = absl::StrCat("k", i);
      const std::vector<index::Mutation> group = {
          TestPut(key, "1", kNowMs, {1, 2}),
          TestPut(key, "2", kNowMs + 1, {1, 2})};
      auto results = *index_->Commit(group, kNowMs);
      for (auto& removal : results[1].removals) removals.push_back(removal);
    }
    return removals;
  }
  size_t Queued(uint32_t volume_id) {
    std::string cursor;
    return index_->Removals(volume_id, 100000, &cursor)->size();
  }
  // The job works on its own thread: the state is waited for.
  void WaitForEmptyQueue(const std::vector<uint32_t>& volumes) {
    const absl::Time deadline = absl::Now() + absl::Seconds(20);
    for (const uint32_t id : volumes) {
      while (Queued(id) > 0 && absl::Now() < deadline) {
        absl::SleepFor(absl::Milliseconds(2));
      }
      EXPECT_EQ(Queued(id), 0) << "volume " << id;
    }
  }
  void SetView(v1::ClusterMap map, const std::string& reason = "") {
    auto view = std::make_shared<client::ClusterView>();
    view->map = std::move(map);
    view->unavailable_reason = reason;
    base::MutexLock lock(&mu_);
    view_ = std::move(view);
  }

  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore();
  FakeAgents agents_;
  HeldBlobs held_;
  base::Mutex mu_;
  std::shared_ptr<const client::ClusterView> view_ ABSL_GUARDED_BY(mu_) =
      TestView(TestMap(3));
  int64_t now_ms_ ABSL_GUARDED_BY(mu_) = kNowMs;
  std::unique_ptr<RemovalJob> job_;
};

TEST_F(RemovalJobTest, WorksOffWhatIsLeftFromBeforeAStart) {
  Replace(1000);
  Start();
  WaitForEmptyQueue({1, 2});
  EXPECT_THAT(agents_.unlinked(), SizeIs(2000));
}

TEST_F(RemovalJobTest, WorksOffWhatIsHandedToIt) {
  Start();
  job_->Add(Replace(10));
  WaitForEmptyQueue({1, 2});
  EXPECT_EQ(agents_.fencing_number(), 5);
}

TEST_F(RemovalJobTest, AFailedUnlinkIsTriedAgainAndHoldsUpNoOtherVolume) {
  agents_.SetAnswer(1, absl::UnavailableError("failed"));
  Start();
  job_->Add(Replace(600));
  WaitForEmptyQueue({2});
  EXPECT_EQ(Queued(1), 600);
  agents_.SetAnswer(1, absl::OkStatus());
  WaitForEmptyQueue({1});
}

TEST_F(RemovalJobTest, ADownVolumesEntriesWaitInTheIndexUntilItIsUp) {
  v1::ClusterMap map = TestMap(3);
  map.mutable_volumes(0)->set_state(v1::VOLUME_STATE_DOWN);
  SetView(map);
  Start();
  job_->Add(Replace(10));
  WaitForEmptyQueue({2});
  EXPECT_EQ(Queued(1), 10);
  SetView(TestMap(3));
  WaitForEmptyQueue({1});
}

TEST_F(RemovalJobTest, NothingIsUnlinkedWhileTheClusterServesNothing) {
  SetView(TestMap(3), "the index is lost");
  Start();
  job_->Add(Replace(10));
  job_->Stop();
  EXPECT_THAT(agents_.unlinked(), SizeIs(0));
  EXPECT_EQ(Queued(1), 10);
}

TEST_F(RemovalJobTest, OldTombstonesAreForgottenWithTheirBlobs) {
  index::Mutation put = TestPut("k", "1", kNowMs, {1, 2});
  index::Mutation del;
  del.kind = index::Mutation::Kind::kDelete;
  del.key = "k";
  del.record.mutable_version()->set_time_ms(kNowMs + 1);
  del.record.mutable_version()->set_writer_id(1);
  index::Mutation replicas = del;
  replicas.kind = index::Mutation::Kind::kTombstoneReplicas;
  replicas.record.set_tombstone(true);
  replicas.record.add_replicas()->set_volume_id(3);
  const std::vector<index::Mutation> group = {put, del, replicas};
  const auto results = *index_->Commit(group, kNowMs);
  for (const auto& result : results) {
    ASSERT_TRUE(result.status.ok()) << result.status;
    ASSERT_TRUE(index_->FinishRemovals(result.removals).ok());
  }
  {
    base::MutexLock lock(&mu_);
    now_ms_ = kNowMs + 121'000;
  }
  Start();
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (agents_.unlinked().empty() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  EXPECT_THAT(agents_.unlinked(), testing::ElementsAre("3/0 k"));
  EXPECT_EQ(index_->Stats().tombstones_count, 0);
}

TEST_F(RemovalJobTest, WhatAJobHoldsIsLeftUntilItLetsGo) {
  const auto removals = Replace(2);
  ASSERT_EQ(removals.size(), 4u);  // On volumes 1 and 2.
  ASSERT_TRUE(held_.TryHold(removals[0]));
  Start();
  job_->Add(removals);
  while (Queued(1) + Queued(2) > 1) absl::SleepFor(absl::Milliseconds(2));
  EXPECT_THAT(agents_.unlinked(), SizeIs(3));
  held_.Release(removals[0]);
  job_->NoteBacklog(removals[0].volume_id);
  WaitForEmptyQueue({1, 2});
  // Nothing is at work on it any more.
  while (!held_.TryHold(removals[0])) absl::SleepFor(absl::Milliseconds(2));
}

}  // namespace
}  // namespace cairn::master
