#include "master/commit_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "index/memory_index_store.h"
#include "master/commit_check.h"
#include "master/test_cluster.h"
#include "rpc/cork.h"

namespace cairn::master {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kNowMs = 1'000'000;

// Collects what it is told until a number of answers has come.
class Collector final : public CommitSink {
 public:
  void OnCommitted(int64_t op_id, index::MutationResult result) override {
    base::MutexLock lock(&mu_);
    codes_.push_back(result.status.code());
    ids_.push_back(op_id);
    came_.Signal();
  }
  void OnGroupEnd() override {
    base::MutexLock lock(&mu_);
    ++groups_;
    came_.Signal();
  }
  std::vector<absl::StatusCode> Wait(size_t answers) {
    base::MutexLock lock(&mu_);
    while (codes_.size() < answers || groups_ == 0) came_.Wait(&mu_);
    return codes_;
  }
  std::vector<int64_t> ids() {
    base::MutexLock lock(&mu_);
    return ids_;
  }
  int groups() {
    base::MutexLock lock(&mu_);
    return groups_;
  }

 private:
  base::Mutex mu_;
  base::CondVar came_;
  std::vector<absl::StatusCode> codes_ ABSL_GUARDED_BY(mu_);
  std::vector<int64_t> ids_ ABSL_GUARDED_BY(mu_);
  int groups_ ABSL_GUARDED_BY(mu_) = 0;
};

class CommitQueueTest : public testing::Test {
 protected:
  void Start(bool write_here = false) {
    CommitQueue::Options options;
    options.write_here = write_here;
    options.index = index_.get();
    options.now_ms = [] { return kNowMs; };
    options.check = [this](const index::Mutation& mutation) {
      if (!check_.ok()) return check_;
      return CheckPut(map_, mutation);
    };
    options.on_written = [this](std::vector<index::Removal> fresh) {
      base::MutexLock lock(&mu_);
      ++groups_written_;
      removals_ += fresh.size();
    };
    queue_ = std::make_unique<CommitQueue>(std::move(options));
  }
  void Submit(std::vector<index::Mutation> mutations) {
    std::vector<PendingCommit> commits;
    for (index::Mutation& mutation : mutations) {
      commits.push_back({std::move(mutation), sink_, ++last_id_});
    }
    queue_->Submit(std::move(commits));
  }

  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore();
  v1::ClusterMap map_ = TestMap(3);
  absl::Status check_;
  const std::shared_ptr<Collector> sink_ = std::make_shared<Collector>();
  int64_t last_id_ = 0;
  base::Mutex mu_;
  int groups_written_ ABSL_GUARDED_BY(mu_) = 0;
  size_t removals_ ABSL_GUARDED_BY(mu_) = 0;
  std::unique_ptr<CommitQueue> queue_;
};

TEST_F(CommitQueueTest, CommitsOfOneCallAreAnsweredInOrderAsOneGroup) {
  Start();
  Submit({TestPut("a", "1", kNowMs, {1, 2}),
          TestPut("a", "2", kNowMs + 1, {2, 3}),
          TestPut("a", "0", kNowMs - 1, {1, 3})});
  EXPECT_THAT(sink_->Wait(3),
              ElementsAre(absl::StatusCode::kOk, absl::StatusCode::kOk,
                          absl::StatusCode::kAborted));
  EXPECT_THAT(sink_->ids(), ElementsAre(1, 2, 3));
  queue_->Stop();
  EXPECT_EQ(sink_->groups(), 1);
  base::MutexLock lock(&mu_);
  EXPECT_EQ(groups_written_, 1);
  EXPECT_EQ(removals_, 2);  // The blobs of "1".
}

// Sends something for each answer, as a delete does.
class Sender final : public CommitSink,
                     public rpc::Cork::Waiter,
                     public std::enable_shared_from_this<Sender> {
 public:
  void OnCommitted(int64_t, index::MutationResult) override {
    ++answers_;
    EXPECT_TRUE(rpc::Cork::Defer(shared_from_this()));
  }
  void OnGroupEnd() override {}
  void OnRelease() override { answers_at_release.push_back(answers_); }

  std::vector<int> answers_at_release;

 private:
  int answers_ = 0;
};

TEST_F(CommitQueueTest, WhatTheAnswersOfAGroupSendLeavesTogether) {
  Start(/*write_here=*/true);
  const auto sender = std::make_shared<Sender>();
  std::vector<PendingCommit> commits;
  for (const char* key : {"a", "b", "c"}) {
    commits.push_back({TestPut(key, "1", kNowMs, {1, 2}), sender, 1});
  }
  queue_->SubmitHere(std::move(commits));
  EXPECT_THAT(sender->answers_at_release, ElementsAre(3));
}

TEST_F(CommitQueueTest, ARefusedCommitLeavesTheOthersOfItsGroupAlone) {
  Start();
  Submit(
      {TestPut("a", "1", kNowMs, {1, 9}), TestPut("b", "1", kNowMs, {1, 2})});
  EXPECT_THAT(sink_->Wait(2), ElementsAre(absl::StatusCode::kFailedPrecondition,
                                          absl::StatusCode::kOk));
}

TEST_F(CommitQueueTest, NothingIsWrittenWhileTheClusterServesNothing) {
  check_ = absl::UnavailableError("the index is lost");
  Start();
  Submit({TestPut("a", "1", kNowMs, {1, 2})});
  EXPECT_THAT(sink_->Wait(1), ElementsAre(absl::StatusCode::kUnavailable));
  EXPECT_TRUE(absl::IsNotFound(
      index_->Lookup(std::vector<std::string>{"a"}, false)->front().status()));
}

TEST_F(CommitQueueTest, SubmitHereHasWrittenWhenItReturns) {
  Start(/*write_here=*/true);
  std::vector<PendingCommit> commits;
  commits.push_back({TestPut("a", "1", kNowMs, {1, 2}), sink_, 1});
  queue_->SubmitHere(std::move(commits));
  EXPECT_THAT(sink_->ids(), ElementsAre(1));
  EXPECT_TRUE(
      index_->Lookup(std::vector<std::string>{"a"}, false)->front().ok());
}

// The writing thread changes all the time; the order of one key's commits
// shows whether two ever write at once.
TEST_F(CommitQueueTest, SubmitHereAndTheQueuesThreadTakeTurns) {
  Start(/*write_here=*/true);
  constexpr int kThreads = 3;
  constexpr int kCommits = 2000;
  std::vector<std::shared_ptr<Collector>> sinks;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    sinks.push_back(std::make_shared<Collector>());
    threads.emplace_back([this, t, sink = sinks.back()] {
      for (int i = 0; i < kCommits; ++i) {
        std::vector<PendingCommit> commits;
        commits.push_back(
            {TestPut(absl::StrCat("k", t), absl::StrCat(i), kNowMs + i, {1, 2}),
             sink, i});
        if (i % 3 == 0) {
          queue_->Submit(std::move(commits));
        } else {
          queue_->SubmitHere(std::move(commits));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& sink : sinks) {
    EXPECT_THAT(sink->Wait(kCommits), testing::Each(absl::StatusCode::kOk));
    const std::vector<int64_t> ids = sink->ids();
    EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
  }
  queue_->Stop();
}

TEST_F(CommitQueueTest, StopWritesWhatWaitsAndRefusesWhatComesLater) {
  Start();
  for (int i = 0; i < 1000; ++i) {
    Submit({TestPut(absl::StrCat("k", i), "v", kNowMs, {1, 2})});
  }
  queue_->Stop();
  EXPECT_EQ(sink_->Wait(1000),
            std::vector<absl::StatusCode>(1000, absl::StatusCode::kOk));
  Submit({TestPut("late", "v", kNowMs, {1, 2})});
  EXPECT_EQ(sink_->Wait(1001).back(), absl::StatusCode::kUnavailable);
}

TEST_F(CommitQueueTest, TooMuchAtOnceIsShed) {
  Start();
  std::vector<index::Mutation> many(base::kCommitsWaitingMax + 1,
                                    TestPut("a", "", kNowMs, {1, 2}));
  Submit(std::move(many));
  EXPECT_EQ(sink_->Wait(1).front(), absl::StatusCode::kUnavailable);
}

// What CheckPut() refuses, one test a rule.
class CommitCheckTest : public testing::Test {
 protected:
  std::string Refusal(
      absl::StatusCode code = absl::StatusCode::kInvalidArgument) {
    const absl::Status status = CheckPut(map_, put_);
    EXPECT_EQ(status.code(), code) << status;
    return std::string(status.message());
  }
  v1::ClusterMap map_ = TestMap(3);
  index::Mutation put_ = TestPut("key", "value", kNowMs, {1, 2});
};

TEST_F(CommitCheckTest, AWholeCommitPasses) {
  EXPECT_TRUE(CheckPut(map_, put_).ok());
}
TEST_F(CommitCheckTest, TooFewReplicas) {
  put_.record.mutable_replicas()->RemoveLast();
  EXPECT_THAT(Refusal(), HasSubstr("2 replicas"));
}
TEST_F(CommitCheckTest, TwoReplicasOnOneVolume) {
  put_.record.mutable_replicas(1)->set_volume_id(1);
  EXPECT_THAT(Refusal(), HasSubstr("distinct volumes"));
}
TEST_F(CommitCheckTest, ARemovedVolume) {
  map_.mutable_volumes(1)->set_state(v1::VOLUME_STATE_REMOVED);
  EXPECT_THAT(Refusal(absl::StatusCode::kFailedPrecondition),
              HasSubstr("volume 00000002 is not in the cluster"));
}
TEST_F(CommitCheckTest, ASubvolumeThatIsNotThere) {
  put_.record.mutable_replicas(0)->set_subvolume(4);
  EXPECT_THAT(Refusal(), HasSubstr("subvolume"));
}
TEST_F(CommitCheckTest, AnInlinedValueThatIsAnother) {
  put_.inline_value = "VALUE";
  EXPECT_THAT(Refusal(), HasSubstr("digest"));
  put_.inline_value = "long value";
  EXPECT_THAT(Refusal(), HasSubstr("10 bytes"));
}
TEST_F(CommitCheckTest, AKeyThatIsTooLong) {
  put_.key = std::string(base::kKeyBytesMax + 1, 'k');
  Refusal();
}
TEST_F(CommitCheckTest, NoWriterId) {
  put_.record.mutable_version()->set_writer_id(0);
  EXPECT_THAT(Refusal(), HasSubstr("writer id"));
}

}  // namespace
}  // namespace cairn::master
