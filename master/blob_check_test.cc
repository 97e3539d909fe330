#include "master/blob_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "index/memory_index_store.h"
#include "master/test_cluster.h"

namespace cairn::master {
namespace {

using V = v1::CheckBlobsResponse;
constexpr int64_t kNowMs = 1'000'000;

class BlobCheckTest : public testing::Test {
 protected:
  void Commit(index::Mutation mutation) {
    const std::vector<index::Mutation> group = {std::move(mutation)};
    ASSERT_TRUE(index_->Commit(group, kNowMs)->front().status.ok());
  }
  // Of the blob of key "k" at `time_ms` on volume 1, asked `age_ms` later.
  V::Verdict Ask(int64_t time_ms, int64_t age_ms, int subvolume = 0) {
    v1::CheckBlobsRequest request;
    request.set_volume_id(1);
    v1::BlobId* blob = request.add_blobs();
    blob->set_key("k");
    blob->set_subvolume(subvolume);
    *blob->mutable_version() = TestPut("k", "v", time_ms, {}).record.version();
    const auto verdicts = CheckBlobs(index_.get(), request, time_ms + age_ms);
    EXPECT_TRUE(verdicts.ok()) << verdicts.status();
    return verdicts->front();
  }
  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore();
};

TEST_F(BlobCheckTest, ABlobThatTheRecordNamesIsCommitted) {
  Commit(TestPut("k", "v", kNowMs, {1, 2}));
  EXPECT_EQ(Ask(kNowMs, 0), V::VERDICT_COMMITTED);
  EXPECT_EQ(Ask(kNowMs, 1'000'000), V::VERDICT_COMMITTED);
}

TEST_F(BlobCheckTest, AYoungBlobMayStillBeCommitted) {
  EXPECT_EQ(Ask(kNowMs, 119'999), V::VERDICT_PENDING);
  EXPECT_EQ(Ask(kNowMs, -3'000), V::VERDICT_PENDING);
}

TEST_F(BlobCheckTest, AnOldBlobThatTheIndexDoesNotNameIsDisowned) {
  EXPECT_EQ(Ask(kNowMs, 120'000), V::VERDICT_DISOWNED);
}

TEST_F(BlobCheckTest, AReplicaThatTheWriterReplacedIsDisowned) {
  Commit(TestPut("k", "v", kNowMs, {2, 3}));
  EXPECT_EQ(Ask(kNowMs, 120'000), V::VERDICT_DISOWNED);
  Commit(TestPut("k", "w", kNowMs + 1, {1, 3}));
  EXPECT_EQ(Ask(kNowMs + 1, 120'000, /*subvolume=*/1), V::VERDICT_DISOWNED);
}

TEST_F(BlobCheckTest, AYoungBlobInTheRemovalQueueIsDisowned) {
  Commit(TestPut("k", "v", kNowMs, {1, 2}));
  Commit(TestPut("k", "w", kNowMs + 1, {2, 3}));
  EXPECT_EQ(Ask(kNowMs, 10), V::VERDICT_DISOWNED);
}

TEST_F(BlobCheckTest, WhatAJobMakesJustNowIsPending) {
  HeldBlobs held;
  v1::CheckBlobsRequest request;
  request.set_volume_id(1);
  v1::BlobId* const blob = request.add_blobs();
  blob->set_key("k");
  *blob->mutable_version() = TestPut("k", "v", kNowMs, {}).record.version();
  ASSERT_TRUE(held.TryHold({1, *blob}));
  const auto ask = [&] {
    return CheckBlobs(index_.get(), request, kNowMs + 1'000'000, &held)
        ->front();
  };
  EXPECT_EQ(ask(), V::VERDICT_PENDING);
  held.Release({1, *blob});
  EXPECT_EQ(ask(), V::VERDICT_DISOWNED);
}

}  // namespace
}  // namespace cairn::master
