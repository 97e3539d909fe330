#include "volume/group_committer.h"

#include <gmock/gmock.h>

#include <cerrno>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "volume/blob_store_fixture.h"

namespace cairn::volume {
namespace {

using Code = absl::StatusCode;

class CollectingSink final : public ResponseSink {
 public:
  void Send(v1::BlobBatchResponse response) override {
    base::MutexLock lock(&mu_);
    ++messages_;
    for (const auto& result : response.results()) {
      EXPECT_TRUE(codes_.emplace(result.op_id(), result.code()).second)
          << "answered twice: " << result.op_id();
    }
    changed_.SignalAll();
  }

  std::map<int64_t, int> Wait(size_t count) {
    base::MutexLock lock(&mu_);
    while (codes_.size() < count) changed_.Wait(&mu_);
    return codes_;
  }
  int messages() {
    base::MutexLock lock(&mu_);
    return messages_;
  }

 private:
  base::Mutex mu_;
  base::CondVar changed_;
  std::map<int64_t, int> codes_ ABSL_GUARDED_BY(mu_);
  int messages_ ABSL_GUARDED_BY(mu_) = 0;
};

class GroupCommitterTest : public BlobStoreFixture {
 protected:
  void Start(int writers = 2) {
    committer_ = std::make_unique<GroupCommitter>(store_.get(),
                                                  directory_.get(), writers);
  }
  ~GroupCommitterTest() override { committer_ = nullptr; }

  void AddPut(v1::BlobBatchRequest* request, int op_id,
              const std::string& key) {
    *request->add_puts() = PutOp(Blob(key), "v" + key);
    request->mutable_puts()->rbegin()->set_op_id(op_id);
  }
  int PutOne(int op_id, const std::string& key) {
    v1::BlobBatchRequest request;
    AddPut(&request, op_id, key);
    const auto sink = std::make_shared<CollectingSink>();
    committer_->Submit(sink, &request);
    return sink->Wait(1).at(op_id);
  }
  int UnlinkOne(const v1::BlobId& blob, int64_t fencing_number) {
    v1::BlobBatchRequest request;
    v1::UnlinkOp* const op = request.add_unlinks();
    op->set_op_id(1);
    *op->mutable_blob() = blob;
    op->set_fencing_number(fencing_number);
    const auto sink = std::make_shared<CollectingSink>();
    committer_->Submit(sink, &request);
    return sink->Wait(1).at(1);
  }

  std::unique_ptr<GroupCommitter> committer_;
};

TEST_F(GroupCommitterTest, EveryOperationIsAnsweredOnceAndDone) {
  Start();
  const auto sink = std::make_shared<CollectingSink>();
  for (int batch = 0; batch < 20; ++batch) {
    v1::BlobBatchRequest request;
    for (int i = 0; i < 50; ++i) {
      const int op_id = batch * 50 + i + 1;
      AddPut(&request, op_id, std::to_string(op_id));
    }
    committer_->Submit(sink, &request);
  }
  for (const auto& [op_id, code] : sink->Wait(1000)) {
    EXPECT_EQ(code, 0) << op_id;
    EXPECT_EQ(ReadAll(Blob(std::to_string(op_id))),
              "v" + std::to_string(op_id));
  }
}

TEST_F(GroupCommitterTest, OneMessageIsOneGroupWithOneSyncAndOneAnswer) {
  Start(/*writers=*/1);
  v1::BlobBatchRequest request;
  for (int i = 1; i <= 40; ++i) AddPut(&request, i, std::to_string(i));
  const auto sink = std::make_shared<CollectingSink>();
  committer_->Submit(sink, &request);
  sink->Wait(40);
  EXPECT_EQ(file_system_.Calls("SyncFs"), 1);
  EXPECT_EQ(file_system_.Calls("Fsync"), 0);
  EXPECT_EQ(sink->messages(), 1);
}

TEST_F(GroupCommitterTest, ASmallGroupSyncsItsFileAndDirectory) {
  Start();
  EXPECT_EQ(PutOne(1, "foo"), 0);
  EXPECT_EQ(file_system_.Calls("SyncFs"), 0);
  EXPECT_EQ(file_system_.Calls("Fsync"), 2);
}

TEST_F(GroupCommitterTest, DurabilityOsSyncsNothing) {
  Start();
  v1::BlobBatchRequest request;
  for (int i = 1; i <= 3; ++i) AddPut(&request, i, std::to_string(i));
  for (auto& put : *request.mutable_puts()) {
    put.set_durability(v1::DURABILITY_OS);
  }
  const auto sink = std::make_shared<CollectingSink>();
  committer_->Submit(sink, &request);
  sink->Wait(3);
  committer_->SetUnsynced(true);
  EXPECT_EQ(UnlinkOne(Blob("1"), 1), 0);
  EXPECT_EQ(file_system_.Calls("SyncFs") + file_system_.Calls("Fsync"), 0);
  committer_->SetUnsynced(false);
  EXPECT_EQ(UnlinkOne(Blob("2"), 1), 0);
  EXPECT_EQ(file_system_.Calls("Fsync"), 1);
}

TEST_F(GroupCommitterTest, WhereNothingIsSyncedASmallMessageIsDoneAtOnce) {
  Start();
  committer_->SetUnsynced(true);
  const auto submit = [this](int puts, v1::Durability durability) {
    v1::BlobBatchRequest request;
    for (int i = 1; i <= puts; ++i) {
      AddPut(&request, i, absl::StrCat(puts, "-", i));
      request.mutable_puts()->rbegin()->set_durability(durability);
      *request.add_committed() = Blob(absl::StrCat(puts, "-", i));
    }
    const auto sink = std::make_shared<CollectingSink>();
    committer_->Submit(sink, &request);
    return sink;
  };
  EXPECT_EQ(submit(base::kOpsHereMax, v1::DURABILITY_OS)->messages(), 1);
  EXPECT_EQ(store_->unmarked().size(), 0u);  // Marked, too.
  // These go to the writers; all are answered.
  submit(base::kOpsHereMax + 1, v1::DURABILITY_OS)->Wait(base::kOpsHereMax + 1);
  submit(1, v1::DURABILITY_FSYNC)->Wait(1);
  EXPECT_EQ(file_system_.Calls("Fsync"), 2);
  committer_->Drain();
  EXPECT_EQ(submit(2, v1::DURABILITY_OS)->Wait(2).at(1),
            static_cast<int>(Code::kUnavailable));
}

TEST_F(GroupCommitterTest, OneBadOperationDoesNotSpoilItsGroup) {
  Start(/*writers=*/1);
  v1::BlobBatchRequest request;
  for (int i = 1; i <= 5; ++i) AddPut(&request, i, std::to_string(i));
  request.mutable_puts(2)->set_data("other bytes");
  v1::RenameOp* const rename = request.add_renames();
  rename->set_op_id(6);
  *rename->mutable_blob() = Blob("1");
  *rename->mutable_new_version() = Version(9);
  const auto sink = std::make_shared<CollectingSink>();
  committer_->Submit(sink, &request);
  const auto codes = sink->Wait(6);
  EXPECT_EQ(codes.at(1), 0);
  EXPECT_EQ(codes.at(3), static_cast<int>(Code::kDataLoss));
  EXPECT_EQ(codes.at(5), 0);
  EXPECT_EQ(codes.at(6), 0);
  EXPECT_EQ(ReadAll(Blob("1", 9)), "v1");
}

TEST_F(GroupCommitterTest, AFailedSyncFailsTheGroupAndAllThatComeAfter) {
  Start(/*writers=*/1);
  file_system_.Fail("SyncFs", EIO);
  v1::BlobBatchRequest request;
  for (int i = 1; i <= 5; ++i) AddPut(&request, i, std::to_string(i));
  const auto sink = std::make_shared<CollectingSink>();
  committer_->Submit(sink, &request);
  for (const auto& [op_id, code] : sink->Wait(5)) {
    EXPECT_EQ(code, static_cast<int>(Code::kUnavailable)) << op_id;
  }
  EXPECT_EQ(PutOne(1, "1"), static_cast<int>(Code::kUnavailable));
}

TEST_F(GroupCommitterTest, RemovalsOfCommittedBlobsNeedTheHighestFence) {
  Start();
  ASSERT_EQ(PutOne(1, "foo"), 0);
  ASSERT_TRUE(store_->Mark(Blob("foo")).ok());
  EXPECT_EQ(UnlinkOne(Blob("foo"), 0),
            static_cast<int>(Code::kFailedPrecondition));
  ASSERT_TRUE(directory_->CheckFencingNumber(5).ok());
  EXPECT_EQ(UnlinkOne(Blob("foo"), 4),
            static_cast<int>(Code::kFailedPrecondition));
  EXPECT_TRUE(Exists(Blob("foo")));
  EXPECT_EQ(UnlinkOne(Blob("foo"), 5), 0);
  EXPECT_FALSE(Exists(Blob("foo")));
}

TEST_F(GroupCommitterTest, MarksAreDoneBeforeADrainEnds) {
  Start();
  v1::BlobBatchRequest marks;
  for (int i = 1; i <= 600; ++i) {
    ASSERT_TRUE(store_->Put(PutOp(Blob(std::to_string(i)), "v")).ok());
    *marks.add_committed() = Blob(std::to_string(i));
  }
  EXPECT_EQ(store_->unmarked().size(), 600u);
  committer_->Submit(std::make_shared<CollectingSink>(), &marks);
  committer_->Drain();
  EXPECT_EQ(store_->unmarked().size(), 0u);
  EXPECT_TRUE(store_->Stat(Blob("600"))->committed());
  // Whoever comes late is told.
  EXPECT_EQ(PutOne(1, "late"), static_cast<int>(Code::kUnavailable));
}

TEST_F(GroupCommitterTest, MoreBytesThanMayWaitHoldTheSenderUp) {
  Start(/*writers=*/1);
  const auto sink = std::make_shared<CollectingSink>();
  const std::string value(64 << 10, 'x');
  for (int batch = 0; batch < 20; ++batch) {
    v1::BlobBatchRequest request;
    for (int i = 0; i < 64; ++i) {
      const int op_id = batch * 64 + i + 1;
      *request.add_puts() = PutOp(Blob(std::to_string(op_id)), value);
      request.mutable_puts()->rbegin()->set_op_id(op_id);
      request.mutable_puts()->rbegin()->set_durability(v1::DURABILITY_OS);
    }
    committer_->Submit(sink, &request);
  }
  EXPECT_EQ(sink->Wait(20 * 64).size(), 20u * 64);
}

}  // namespace
}  // namespace cairn::volume
