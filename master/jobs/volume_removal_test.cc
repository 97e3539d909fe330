#include "master/jobs/volume_removal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "index/memory_index_store.h"
#include "master/index_mark.h"
#include "master/test_cluster.h"

namespace cairn::master {
namespace {

using testing::HasSubstr;
using Code = absl::StatusCode;

constexpr int64_t kNowMs = 1'000'000;

class VolumeRemovalTest : public testing::Test {
 protected:
  VolumeRemovalTest() : mark_(*IndexMark::Open(index_.get())) {
    Membership::Options options;
    options.index = index_.get();
    options.mark = mark_.get();
    options.map = TestMap(0);
    members_ = std::make_unique<Membership>(std::move(options));
    for (uint32_t id = 1; id <= 3; ++id) {
      EXPECT_TRUE(members_->Join(TestJoin(id)).ok());
    }
    CommitQueue::Options commits;
    commits.index = index_.get();
    commits.now_ms = [] { return kNowMs; };
    commits.check = [this](const index::Mutation& mutation) {
      return removal_->CheckMutation(mutation);
    };
    commits_ = std::make_unique<CommitQueue>(std::move(commits));
    removal_ = std::make_unique<VolumeRemoval>(index_.get(), members_.get(),
                                               commits_.get());
  }
  void Commit(index::Mutation mutation) {
    const std::vector<index::Mutation> group = {std::move(mutation)};
    ASSERT_TRUE(index_->Commit(group, kNowMs)->front().status.ok());
  }

  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore();
  std::unique_ptr<IndexMark> mark_;
  std::unique_ptr<Membership> members_;
  std::unique_ptr<CommitQueue> commits_;
  std::unique_ptr<VolumeRemoval> removal_;
};

TEST_F(VolumeRemovalTest, AVolumeThatTakesNewValuesIsDrainedFirst) {
  const absl::Status refused = removal_->Remove(1, /*dry_run=*/false);
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_THAT(refused.message(), HasSubstr("cairn volume drain 00000001"));
  ASSERT_TRUE(members_->SetDraining(1, true).ok());
  EXPECT_TRUE(removal_->Remove(1, /*dry_run=*/true).ok());
  EXPECT_EQ(members_->Volumes().size(), 3u);
  EXPECT_TRUE(removal_->Remove(1, /*dry_run=*/false).ok());
  EXPECT_EQ(members_->Volumes().size(), 2u);
  EXPECT_EQ(removal_->Remove(1, /*dry_run=*/false).code(), Code::kNotFound);
  EXPECT_EQ(removal_->Remove(2, /*dry_run=*/false).code(),
            Code::kFailedPrecondition)
      << "two volumes for two replicas";
}

TEST_F(VolumeRemovalTest, NoVolumeGoesWhileAKeyOrATombstoneNamesIt) {
  Commit(TestPut("a", "v", kNowMs, {1, 2}));
  ASSERT_TRUE(members_->SetDraining(1, true).ok());
  const absl::Status named = removal_->Remove(1, false);
  EXPECT_EQ(named.code(), Code::kFailedPrecondition);
  EXPECT_THAT(named.message(),
              HasSubstr("1 key has a copy on volume 00000001 (a)"));
  index::Mutation gone;
  gone.kind = index::Mutation::Kind::kDelete;
  gone.key = "a";
  gone.record.mutable_version()->set_time_ms(kNowMs + 1);
  gone.record.mutable_version()->set_writer_id(9);
  Commit(gone);
  index::Mutation blobs = gone;
  blobs.kind = index::Mutation::Kind::kTombstoneReplicas;
  blobs.record.add_replicas()->set_volume_id(1);
  Commit(blobs);
  EXPECT_EQ(removal_->Remove(1, false).code(), Code::kFailedPrecondition);
}

TEST_F(VolumeRemovalTest, WhatWasQueuedForItIsForgotten) {
  Commit(TestPut("a", "v", kNowMs, {1, 2}));
  Commit(TestPut("a", "w", kNowMs + 1, {2, 3}));
  ASSERT_TRUE(members_->SetDraining(1, true).ok());
  ASSERT_TRUE(removal_->Remove(1, false).ok());
  EXPECT_EQ(index_->Stats().removals_count, 1) << "that of volume 2 stays";
  // As if the master had died before it was.
  ASSERT_TRUE(index_->AddRemovals({{1, v1::BlobId()}}).ok());
  ASSERT_TRUE(removal_->ForgetQueues().ok());
  EXPECT_EQ(index_->Stats().removals_count, 1);
}

}  // namespace
}  // namespace cairn::master
