#include "volume/batch_copier.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/status.h"
#include "rpc/server.h"

namespace cairn::volume {
namespace {

// Waits for the results of operations that one call has submitted.
class WaitingSink final : public ResponseSink {
 public:
  void Send(v1::BlobBatchResponse response) override {
    base::MutexLock lock(&mu_);
    for (auto& result : *response.mutable_results()) {
      results_.push_back(std::move(result));
    }
    changed_.SignalAll();
  }

  // In the order of op_id.
  std::vector<v1::BlobOpResult> Wait(size_t count) {
    base::MutexLock lock(&mu_);
    while (results_.size() < count) changed_.Wait(&mu_);
    std::sort(results_.begin(), results_.end(),
              [](const v1::BlobOpResult& a, const v1::BlobOpResult& b) {
                return a.op_id() < b.op_id();
              });
    return std::move(results_);
  }

 private:
  base::Mutex mu_;
  base::CondVar changed_;
  std::vector<v1::BlobOpResult> results_ ABSL_GUARDED_BY(mu_);
};

void SetResult(const absl::Status& status, v1::BlobOpResult* result) {
  result->set_code(static_cast<int>(status.code()));
  result->set_message(std::string(status.message()));
}

// OK: what the peer sent is the blob that the index knows.
absl::Status CheckRead(const v1::CopiedBlob& wanted, const v1::ReadBlob& read) {
  if (read.code() != 0) {
    return absl::Status(static_cast<absl::StatusCode>(read.code()),
                        read.message());
  }
  const v1::Digest& digest = read.stat().digest();
  if (!read.stat().whole() || digest.xxh3() != wanted.digest().xxh3() ||
      digest.md5() != wanted.digest().md5() ||
      static_cast<int64_t>(read.data().size()) != wanted.size_bytes()) {
    return absl::DataLossError(
        "the peer's blob is not the one that the index knows");
  }
  return absl::OkStatus();  // The bytes are checked when they are written.
}

absl::Status CheckRequest(const v1::CopyBlobsRequest& request) {
  if (request.blobs_size() > base::kMoveGroupKeys) {
    return absl::InvalidArgumentError(
        absl::StrCat("at most ", base::kMoveGroupKeys,
                     " blobs are copied at once, not ", request.blobs_size()));
  }
  for (const v1::CopiedBlob& blob : request.blobs()) {
    if (blob.blob().tombstone() || blob.size_bytes() < 0 ||
        blob.size_bytes() > base::kSmallBlobBytesMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("CopyBlobs takes values of at most ",
                       base::kSmallBlobBytesMax, " bytes: use Copy"));
    }
  }
  return absl::OkStatus();
}

v1::SmallPutOp PutOf(const v1::CopiedBlob& wanted, v1::ReadBlob* read) {
  v1::SmallPutOp op;
  *op.mutable_blob() = wanted.blob();
  op.mutable_data()->swap(*read->mutable_data());
  *op.mutable_digest() = wanted.digest();
  op.mutable_metadata()->Swap(read->mutable_stat()->mutable_metadata());
  op.set_replicas(read->stat().replicas());
  // Whatever the cluster promises its clients: the copy that it is made from
  // is removed next.
  op.set_durability(v1::DURABILITY_FSYNC);
  return op;
}

absl::Status ReadOne(BlobStore* store, const v1::BlobId& blob,
                     v1::ReadBlob* read) {
  ASSIGN_OR_RETURN(*read->mutable_stat(), store->Stat(blob));
  ASSIGN_OR_RETURN(const BlobStore::OpenBlob open, store->Open(blob));
  if (open.size_bytes > base::kSmallBlobBytesMax) {
    return absl::OutOfRangeError(absl::StrCat("the blob has ", open.size_bytes,
                                              " bytes: read it with Get"));
  }
  return store->Read(open, 0, open.size_bytes, read->mutable_data());
}

}  // namespace

absl::Status BatchCopier::Copy(const v1::CopyBlobsRequest& request,
                               std::chrono::system_clock::time_point deadline,
                               v1::CopyBlobsResponse* response) {
  RETURN_IF_ERROR(CheckRequest(request));
  v1::ReadBlobsRequest wanted;
  wanted.set_volume_id(request.source_volume_id());
  for (const v1::CopiedBlob& blob : request.blobs()) {
    v1::BlobId* const source = wanted.add_blobs();
    *source = blob.blob();
    source->set_subvolume(blob.source_subvolume());
    SetResult(absl::DataLossError("the peer did not answer for this blob"),
              response->add_results());
  }
  grpc::ClientContext context;
  context.set_deadline(deadline);
  const auto peer = PeerAt(request.source_grpc_address());
  const auto reader = peer->ReadBlobs(&context, wanted);
  v1::BlobBatchRequest batch;
  std::vector<int> places;  // Of the puts.
  v1::ReadBlobsResponse some;
  while (reader->Read(&some)) {
    for (v1::ReadBlob& read : *some.mutable_blobs()) {
      if (read.place() < 0 || read.place() >= request.blobs_size()) continue;
      const v1::CopiedBlob& blob = request.blobs(read.place());
      const absl::Status good = CheckRead(blob, read);
      SetResult(good, response->mutable_results(read.place()));
      if (!good.ok()) continue;
      *batch.add_puts() = PutOf(blob, &read);
      batch.mutable_puts()->rbegin()->set_op_id(batch.puts_size());
      places.push_back(read.place());
    }
  }
  RETURN_IF_ERROR(base::Annotate(rpc::FromGrpc(reader->Finish()),
                                 request.source_grpc_address()));
  if (places.empty()) return absl::OkStatus();
  const auto results = RunBatch(committer_, &batch);
  for (size_t i = 0; i < places.size(); ++i) {
    *response->mutable_results(places[i]) = results[i];
    response->mutable_results(places[i])->clear_op_id();
  }
  return absl::OkStatus();
}

std::shared_ptr<v1::VolumeService::Stub> BatchCopier::PeerAt(
    const std::string& address) {
  base::MutexLock lock(&mu_);
  auto& peer = peers_[address];
  if (peer == nullptr) {
    peer = v1::VolumeService::NewStub(rpc::NewChannel(address, "copies"));
  }
  return peer;
}

absl::Status ReadBlobs(
    BlobStore* store, const v1::ReadBlobsRequest& request,
    const std::function<bool(const v1::ReadBlobsResponse&)>& write) {
  if (request.blobs_size() > base::kMoveGroupKeys) {
    return absl::InvalidArgumentError(
        absl::StrCat("at most ", base::kMoveGroupKeys,
                     " blobs are read at once, not ", request.blobs_size()));
  }
  v1::ReadBlobsResponse some;
  int64_t bytes = 0;
  for (int i = 0; i < request.blobs_size(); ++i) {
    v1::ReadBlob* const read = some.add_blobs();
    const absl::Status status = ReadOne(store, request.blobs(i), read);
    read->set_place(i);
    read->set_code(static_cast<int>(status.code()));
    read->set_message(std::string(status.message()));
    bytes += static_cast<int64_t>(read->data().size());
    if (bytes < base::kPieceBytes && i + 1 < request.blobs_size()) continue;
    if (!write(some)) return absl::CancelledError("the reader is gone");
    some.clear_blobs();
    bytes = 0;
  }
  return absl::OkStatus();
}

std::vector<v1::BlobOpResult> RunBatch(GroupCommitter* committer,
                                       v1::BlobBatchRequest* batch) {
  const size_t count =
      batch->puts_size() + batch->renames_size() + batch->unlinks_size();
  const auto sink = std::make_shared<WaitingSink>();
  committer->Submit(sink, batch);
  return sink->Wait(count);
}

}  // namespace cairn::volume
