#include "master/delete_coordinator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "index/memory_index_store.h"
#include "master/await.h"
#include "master/fake_agents.h"
#include "master/test_cluster.h"
#include "placement/placement.h"

namespace cairn::master {
namespace {

using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

constexpr int64_t kNowMs = 1'000'000;

class OneDelete final : public DeleteSink {
 public:
  void OnDeleted(int64_t op_id, absl::Status status) override {
    answer_.Setter()(std::move(status));
  }
  absl::Status Get() { return answer_.Get(); }

 private:
  Await<absl::Status> answer_;
};

// A coordinator over a real commit queue and volumes 1 to 3, R = 2.
class DeleteCoordinatorTest : public testing::Test {
 protected:
  DeleteCoordinatorTest() {
    versions_.SetWriterId(1);
    versions_.Observe(kNowMs);
    CommitQueue::Options commits;
    commits.index = index_.get();
    commits.now_ms = [] { return kNowMs; };
    commits_ = std::make_unique<CommitQueue>(std::move(commits));
    DeleteCoordinator::Options options;
    options.index = index_.get();
    options.commits = commits_.get();
    options.agents = &agents_;
    options.clock = &versions_;
    options.now_ms = [] { return kNowMs; };
    options.view = [this] { return TestView(map_); };
    options.on_unconfirmed = [this](uint32_t id) {
      base::MutexLock lock(&mu_);
      unconfirmed_.push_back(id);
    };
    options.fencing_number = 5;
    deletes_ = std::make_unique<DeleteCoordinator>(std::move(options));
  }
  ~DeleteCoordinatorTest() override {
    commits_->Stop();
    deletes_->Stop();
  }

  void Put(const std::string& key, int64_t time_ms,
           const std::vector<uint32_t>& volumes) {
    const std::vector<index::Mutation> group = {
        TestPut(key, "value", time_ms, volumes)};
    ASSERT_TRUE(index_->Commit(group, kNowMs)->front().status.ok());
  }
  absl::Status Delete(const std::string& key,
                      const v1::Precondition& precondition = {}) {
    auto sink = std::make_shared<OneDelete>();
    std::vector<PendingDelete> deletes;
    deletes.push_back({key, precondition, sink, 1});
    deletes_->Submit(std::move(deletes));
    return sink->Get();
  }
  v1::Record RecordOf(const std::string& key) {
    const std::vector<std::string> keys = {key};
    return (*index_->Lookup(keys, false))[0]->record;
  }
  // Volumes with entries in the removal queue.
  std::vector<uint32_t> Queued() {
    std::vector<uint32_t> queued;
    for (uint32_t id = 1; id <= 3; ++id) {
      std::string cursor;
      const auto entries = *index_->Removals(id, 100, &cursor);
      for (const auto& entry : entries) {
        queued.push_back(entry.volume_id);
      }
    }
    return queued;
  }

  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore();
  v1::ClusterMap map_ = TestMap(3);
  FakeAgents agents_;
  base::VersionClock versions_;
  base::Mutex mu_;
  std::vector<uint32_t> unconfirmed_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<CommitQueue> commits_;
  std::unique_ptr<DeleteCoordinator> deletes_;
};

TEST_F(DeleteCoordinatorTest, UnlinksEveryBlobAndEmptiesTheQueue) {
  Put("k", kNowMs - 10, {1, 2});
  EXPECT_TRUE(Delete("k").ok());
  EXPECT_THAT(agents_.unlinked(), UnorderedElementsAre("1/0 k", "2/0 k"));
  EXPECT_EQ(agents_.fencing_number(), 5);
  EXPECT_THAT(Queued(), IsEmpty());
  EXPECT_THAT(agents_.put(), IsEmpty());
  EXPECT_TRUE(RecordOf("k").tombstone());
}

TEST_F(DeleteCoordinatorTest, BlobsOfReplacedVersionsGoToo) {
  Put("k", kNowMs - 10, {1, 2});
  Put("k", kNowMs - 9, {2, 3});
  EXPECT_TRUE(Delete("k").ok());
  EXPECT_THAT(agents_.unlinked(),
              UnorderedElementsAre("1/0 k", "2/0 k", "2/0 k", "3/0 k"));
  EXPECT_THAT(Queued(), IsEmpty());
}

TEST_F(DeleteCoordinatorTest, AnUnknownOrDeletedKeyIsNotFound) {
  EXPECT_TRUE(absl::IsNotFound(Delete("k")));
  Put("k", kNowMs - 10, {1, 2});
  EXPECT_TRUE(Delete("k").ok());
  EXPECT_TRUE(absl::IsNotFound(Delete("k")));
}

TEST_F(DeleteCoordinatorTest, AFailedPreconditionUnlinksNothing) {
  Put("k", kNowMs - 10, {1, 2});
  v1::Precondition precondition;
  precondition.add_md5_any_of("0123456789abcdef");
  EXPECT_TRUE(absl::IsFailedPrecondition(Delete("k", precondition)));
  EXPECT_THAT(agents_.unlinked(), IsEmpty());
}

TEST_F(DeleteCoordinatorTest, ADownVolumeGetsATombstoneOnOthersInstead) {
  Put("k", kNowMs - 10, {1, 2});
  agents_.SetAnswer(1, absl::UnavailableError("down"));
  EXPECT_TRUE(Delete("k").ok());
  EXPECT_THAT(agents_.unlinked(), UnorderedElementsAre("2/0 k"));
  EXPECT_THAT(agents_.put(), SizeIs(2));
  const v1::Record record = RecordOf("k");
  ASSERT_EQ(record.replicas_size(), 2);
  EXPECT_NE(record.replicas(0).volume_id(), 1);
  EXPECT_NE(record.replicas(1).volume_id(), 1);
  base::MutexLock lock(&mu_);
  EXPECT_THAT(unconfirmed_, testing::Contains(1));
}

TEST_F(DeleteCoordinatorTest, TheOldBlobStaysQueuedUntilItIsGone) {
  Put("k", kNowMs - 10, {1, 2});
  agents_.SetAnswer(1, absl::UnavailableError("down"));
  EXPECT_TRUE(Delete("k").ok());
  EXPECT_THAT(Queued(), testing::Contains(1));
  EXPECT_THAT(Queued(), testing::Not(testing::Contains(2)));
}

TEST_F(DeleteCoordinatorTest, TooFewVolumesForATombstoneIsUnavailable) {
  Put("k", kNowMs - 10, {1, 2});
  agents_.SetAnswer(1, absl::UnavailableError("down"));
  agents_.SetAnswer(2, absl::UnavailableError("down"));
  EXPECT_TRUE(absl::IsUnavailable(Delete("k")));
  // What could be noted is in the index, so that it is not forgotten on disk.
  ASSERT_EQ(RecordOf("k").replicas_size(), 1);
  EXPECT_EQ(RecordOf("k").replicas(0).volume_id(), 3);
}

TEST_F(DeleteCoordinatorTest, TakesAHigherVersionThanAWriteAheadOfItsClock) {
  Put("k", kNowMs + 4000, {1, 2});
  EXPECT_TRUE(Delete("k").ok());
  EXPECT_GE(RecordOf("k").version().time_ms(), kNowMs + 4000);
}

TEST_F(DeleteCoordinatorTest, ManyDeletesAtOnceAreAllAnswered) {
  std::vector<PendingDelete> deletes;
  std::vector<std::shared_ptr<OneDelete>> sinks;
  for (int i = 0; i < 500; ++i) {
    const std::string key = absl::StrCat("k", i);
    Put(key, kNowMs - 10, {1, 3});
    sinks.push_back(std::make_shared<OneDelete>());
    deletes.push_back({key, {}, sinks.back(), i});
  }
  deletes_->Submit(std::move(deletes));
  for (const auto& sink : sinks) EXPECT_TRUE(sink->Get().ok());
  EXPECT_THAT(agents_.unlinked(), SizeIs(1000));
}

}  // namespace
}  // namespace cairn::master
