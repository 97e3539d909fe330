#include "volume/volume_service.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"
#include "proto/convert.h"
#include "rpc/server.h"
#include "volume/batch_copier.h"
#include "volume/blob_copier.h"
#include "volume/blob_verifier.h"
#include "volume/large_blob_writer.h"

namespace cairn::volume {
namespace {

// For the last answers to leave before the streams are cut.
// How long a call waits for the volume to join.
constexpr absl::Duration kJoinWait = absl::Seconds(1);
constexpr absl::Duration kFlushGrace = absl::Milliseconds(500);

}  // namespace

class VolumeServer::StreamSink final : public ResponseSink {
 public:
  explicit StreamSink(Stream stream) : stream_(std::move(stream)) {}
  void Send(v1::BlobBatchResponse response) override {
    stream_->Send(std::move(response));
  }

 private:
  const Stream stream_;
};

class VolumeServer::Service final
    : public v1::VolumeService::WithAsyncMethod_Batch<
          v1::VolumeService::Service> {
 public:
  explicit Service(VolumeServer* server) : server_(server) {}

  grpc::Status Put(grpc::ServerContext* context,
                   grpc::ServerReader<v1::PutBlobRequest>* reader,
                   v1::PutBlobResponse*) override {
    if (!server_->StartUpload()) {
      return rpc::ToGrpc(absl::UnavailableError(absl::StrCat(
          "the volume receives ", base::kUploadsMax, " uploads already")));
    }
    const absl::Status status = Receive(reader);
    server_->EndUpload();
    if (!status.ok() && !context->IsCancelled()) {
      base::LogInfo("upload ", rpc::RequestId(*context),
                    " failed: ", status.message());
    }
    return rpc::ToGrpc(status);
  }

  grpc::Status Get(grpc::ServerContext*, const v1::GetBlobRequest* request,
                   grpc::ServerWriter<v1::GetBlobResponse>* writer) override {
    return rpc::ToGrpc(Send(*request, writer));
  }

  grpc::Status Delete(grpc::ServerContext*,
                      const v1::DeleteBlobsRequest* request,
                      v1::DeleteBlobsResponse* response) override {
    return rpc::ToGrpc(Remove(*request, response));
  }

  grpc::Status List(
      grpc::ServerContext* context, const v1::ListBlobsRequest* request,
      grpc::ServerWriter<v1::ListBlobsResponse>* writer) override {
    const absl::Status call =
        server_->CheckCall(request->volume_id(), /*write=*/false);
    if (!call.ok()) return rpc::ToGrpc(call);
    return rpc::ToGrpc(SendList(*request, context, writer));
  }

  grpc::Status GetVolumeState(grpc::ServerContext*,
                              const v1::GetVolumeStateRequest* request,
                              v1::GetVolumeStateResponse* response) override {
    const absl::Status call =
        server_->CheckCall(request->volume_id(), /*write=*/false);
    if (!call.ok()) return rpc::ToGrpc(call);
    response->set_cluster_id(server_->directory_->cluster_id());
    *response->mutable_map() = server_->directory_->cluster_map();
    response->set_mark(server_->directory_->mark());
    return grpc::Status::OK;
  }

  grpc::Status Copy(grpc::ServerContext* context,
                    const v1::CopyBlobRequest* request,
                    v1::CopyBlobResponse*) override {
    return rpc::ToGrpc(Pull(*request, context->deadline()));
  }

  grpc::Status VerifyBlobs(grpc::ServerContext* context,
                           const v1::VerifyBlobsRequest* request,
                           v1::VerifyBlobsResponse* response) override {
    const absl::Status call =
        server_->CheckCall(request->volume_id(), /*write=*/false);
    if (!call.ok()) return rpc::ToGrpc(call);
    if (request->blobs_size() > base::kVerifyBlobsMax) {
      return rpc::ToGrpc(absl::InvalidArgumentError(absl::StrCat(
          "at most ", base::kVerifyBlobsMax, " blobs are verified at once")));
    }
    for (const v1::ExpectedBlob& expected : request->blobs()) {
      *response->add_results() =
          VerifyBlob(server_->store_, expected, request->attributes_only(),
                     [context] { return !context->IsCancelled(); });
      if (context->IsCancelled()) return grpc::Status::CANCELLED;
    }
    return grpc::Status::OK;
  }

  grpc::Status Stat(grpc::ServerContext*, const v1::StatBlobRequest* request,
                    v1::StatBlobResponse* response) override {
    const absl::Status call =
        server_->CheckCall(request->volume_id(), /*write=*/false);
    if (!call.ok()) return rpc::ToGrpc(call);
    auto stat = server_->store_->Stat(request->blob());
    if (!stat.ok()) return rpc::ToGrpc(stat.status());
    response->Swap(&*stat);
    return grpc::Status::OK;
  }

  grpc::Status CopyBlobs(grpc::ServerContext* context,
                         const v1::CopyBlobsRequest* request,
                         v1::CopyBlobsResponse* response) override {
    return rpc::ToGrpc(PullMany(*request, context->deadline(), response));
  }

  grpc::Status ReadBlobs(
      grpc::ServerContext*, const v1::ReadBlobsRequest* request,
      grpc::ServerWriter<v1::ReadBlobsResponse>* writer) override {
    const absl::Status call =
        server_->CheckCall(request->volume_id(), /*write=*/false);
    if (!call.ok()) return rpc::ToGrpc(call);
    return rpc::ToGrpc(volume::ReadBlobs(
        server_->store_, *request, [writer](const v1::ReadBlobsResponse& some) {
          return writer->Write(some);
        }));
  }

  grpc::Status CountBlobs(grpc::ServerContext*,
                          const v1::CountBlobsRequest* request,
                          v1::CountBlobsResponse* response) override {
    return rpc::ToGrpc(Count(*request, response));
  }

 private:
  // Leaves nothing behind unless it returns OK.
  absl::Status Receive(grpc::ServerReader<v1::PutBlobRequest>* reader) {
    v1::PutBlobRequest request;
    if (!reader->Read(&request) || !request.has_header()) {
      return absl::InvalidArgumentError("an upload begins with its header");
    }
    RETURN_IF_ERROR(server_->CheckCall(request.header().volume_id(), true));
    if (!server_->committer_->takes_new_blobs()) {
      return absl::UnavailableError("the volume is being drained");
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<LargeBlobWriter> writer,
                     LargeBlobWriter::Start(server_->store_, request.header()));
    reader->SendInitialMetadata();  // It is accepted.
    while (reader->Read(&request)) {
      switch (request.part_case()) {
        case v1::PutBlobRequest::kData:
          if (request.data().size() > base::kPieceBytesMax) {
            return absl::InvalidArgumentError("a piece is too large");
          }
          RETURN_IF_ERROR(writer->Append(request.data()));
          break;
        case v1::PutBlobRequest::kTrailer:
          return writer->Commit(request.trailer());
        default:
          return absl::InvalidArgumentError(
              "an upload is a header, pieces and a trailer");
      }
    }
    return absl::CancelledError("the upload ended before its trailer");
  }

  absl::Status SendList(const v1::ListBlobsRequest& request,
                        grpc::ServerContext* context,
                        grpc::ServerWriter<v1::ListBlobsResponse>* writer) {
    const BlobStore::ListOptions options = {request.first_directory(),
                                            request.value_bytes_max()};
    if (options.first_directory < 0 ||
        options.first_directory >= base::kDirectoriesPerSubvolume ||
        options.value_bytes_max < 0 ||
        options.value_bytes_max > base::kInlineBytesMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          "first_directory is 0 to ", base::kDirectoriesPerSubvolume - 1,
          ", value_bytes_max 0 to ", base::kInlineBytesMax));
    }
    v1::ListBlobsResponse page;
    int64_t value_bytes = 0;
    const auto flush = [&] {
      const bool open = writer->Write(page) && !context->IsCancelled();
      page.clear_blobs();
      value_bytes = 0;
      return open;
    };
    const auto add = [&](v1::StatBlobResponse* blob) {
      value_bytes += static_cast<int64_t>(blob->value().size());
      page.add_blobs()->Swap(blob);
      return (page.blobs_size() < base::kListBlobsPage &&
              value_bytes < base::kPieceBytes) ||
             flush();
    };
    const auto directory_done = [&](int next) {
      page.set_directories_done(next);
      return flush();
    };
    return server_->store_->List(request.subvolume(), options, add,
                                 directory_done);
  }

  absl::Status Send(const v1::GetBlobRequest& request,
                    grpc::ServerWriter<v1::GetBlobResponse>* writer) {
    RETURN_IF_ERROR(server_->CheckCall(request.volume_id(), false));
    ASSIGN_OR_RETURN(const BlobStore::OpenBlob blob,
                     server_->store_->Open(request.blob()));
    int64_t offset = request.offset();
    if (offset < 0 || offset > blob.size_bytes || request.length() < 0) {
      return absl::OutOfRangeError(
          absl::StrCat("the blob has ", blob.size_bytes, " bytes"));
    }
    int64_t left = blob.size_bytes - offset;
    if (request.length() > 0) left = std::min(left, request.length());
    v1::GetBlobResponse response;
    while (left > 0) {
      const int64_t size = std::min(left, base::kPieceBytes);
      RETURN_IF_ERROR(
          server_->store_->Read(blob, offset, size, response.mutable_data()));
      const auto count = static_cast<int64_t>(response.data().size());
      if (count == 0) return absl::DataLossError("the blob became shorter");
      if (!writer->Write(response)) {
        return absl::CancelledError("the reader is gone");
      }
      offset += count;
      left -= count;
    }
    return absl::OkStatus();
  }

  absl::Status Remove(const v1::DeleteBlobsRequest& request,
                      v1::DeleteBlobsResponse* response) {
    RETURN_IF_ERROR(server_->CheckCall(request.volume_id(), true));
    if (request.blobs_size() > base::kDeleteBlobsMax) {
      return absl::InvalidArgumentError(absl::StrCat(
          "at most ", base::kDeleteBlobsMax, " blobs are deleted at once"));
    }
    if (request.fencing_number() > 0) {
      RETURN_IF_ERROR(
          server_->directory_->CheckFencingNumber(request.fencing_number()));
    }
    v1::BlobBatchRequest batch;
    for (const v1::BlobId& blob : request.blobs()) {
      v1::UnlinkOp* const op = batch.add_unlinks();
      op->set_op_id(batch.unlinks_size());
      *op->mutable_blob() = blob;
      op->set_fencing_number(request.fencing_number());
    }
    for (auto& result : RunBatch(server_->committer_, &batch)) {
      response->add_results()->Swap(&result);
    }
    return absl::OkStatus();
  }

  absl::Status Pull(const v1::CopyBlobRequest& request,
                    std::chrono::system_clock::time_point deadline) {
    RETURN_IF_ERROR(server_->CheckCall(request.volume_id(), true));
    RETURN_IF_ERROR(
        server_->directory_->CheckFencingNumber(request.fencing_number()));
    if (!server_->StartUpload()) {
      return absl::UnavailableError("the volume receives too many uploads");
    }
    const absl::Status status = CopyBlob(server_->store_, request, deadline);
    server_->EndUpload();
    return status;
  }

  absl::Status PullMany(const v1::CopyBlobsRequest& request,
                        std::chrono::system_clock::time_point deadline,
                        v1::CopyBlobsResponse* response) {
    RETURN_IF_ERROR(server_->CheckCall(request.volume_id(), true));
    RETURN_IF_ERROR(
        server_->directory_->CheckFencingNumber(request.fencing_number()));
    if (!server_->StartUpload()) {
      return absl::UnavailableError("the volume receives too many uploads");
    }
    const absl::Status status =
        server_->copier_->Copy(request, deadline, response);
    server_->EndUpload();
    return status;
  }

  absl::Status Count(const v1::CountBlobsRequest& request,
                     v1::CountBlobsResponse* response) {
    RETURN_IF_ERROR(server_->CheckCall(request.volume_id(), false));
    // Before the files: an upload that ends meanwhile counts twice, not never.
    response->set_uploads_count(server_->uploads());
    for (int i = 0; i < server_->store_->subvolume_count(); ++i) {
      const auto counts = server_->store_->Count(i);
      if (absl::IsUnavailable(counts.status())) {
        response->add_failed_subvolumes(i);
        continue;
      }
      RETURN_IF_ERROR(counts.status());
      response->set_blobs_count(response->blobs_count() + counts->values);
      response->set_tombstones_count(response->tombstones_count() +
                                     counts->tombstones);
    }
    return absl::OkStatus();
  }

  VolumeServer* const server_;
};

VolumeServer::VolumeServer(BlobStore* store, GroupCommitter* committer,
                           VolumeDirectory* directory)
    : store_(store),
      committer_(committer),
      directory_(directory),
      copier_(std::make_unique<BatchCopier>(committer)),
      service_(std::make_unique<Service>(this)) {}

VolumeServer::~VolumeServer() { Stop(absl::ZeroDuration()); }

absl::Status VolumeServer::Start(const std::string& address) {
  grpc::ServerBuilder builder;
  rpc::ConfigureServer(&builder);
  builder.RegisterService(service_.get());
  loop_ = std::make_unique<rpc::EventLoop>(&builder);
  rpc::BatchHandler<Request, Response>* const handler = this;
  batches_ = std::make_unique<rpc::BatchServer<Request, Response>>(
      handler, [this](auto* context, auto* stream, void* tag) {
        auto* const cq = loop_->server_cq();
        service_->RequestBatch(context, stream, cq, cq, tag);
      });
  ASSIGN_OR_RETURN(server_, rpc::StartServer(&builder, address));
  batches_->Start();
  return absl::OkStatus();
}

void VolumeServer::SetJoined() {
  base::MutexLock lock(&mu_);
  joined_.store(true, std::memory_order_release);
  joined_changed_.SignalAll();
}

bool VolumeServer::WaitJoined() {
  if (joined_.load(std::memory_order_acquire)) return true;
  const absl::Time deadline = absl::Now() + kJoinWait;
  base::MutexLock lock(&mu_);
  while (!joined_.load(std::memory_order_relaxed) &&
         !stopping_.load(std::memory_order_relaxed)) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    joined_changed_.WaitFor(&mu_, left);
  }
  return joined_.load(std::memory_order_relaxed);
}

absl::Status VolumeServer::CheckCall(uint32_t volume_id, bool write) {
  if (volume_id != directory_->volume_id()) {
    return absl::FailedPreconditionError(
        absl::StrCat("this is volume ", VolumeIdText(directory_->volume_id()),
                     ", the call is for ", VolumeIdText(volume_id)));
  }
  if (!WaitJoined()) {
    return absl::UnavailableError("the volume has not joined the cluster yet");
  }
  if (write && stopping_.load(std::memory_order_relaxed)) {
    return absl::UnavailableError("the volume agent is stopping");
  }
  return absl::OkStatus();
}

void VolumeServer::OnRequest(const Stream& stream, Request* request) {
  const absl::Status status = CheckCall(request->volume_id(), /*write=*/false);
  if (!status.ok()) return stream->Fail(rpc::ToGrpc(status));
  if (stream->context == nullptr) {
    stream->context = std::make_shared<StreamSink>(stream);
  }
  // The sink holds the stream and the stream holds the sink, until OnClosed().
  const auto sink = std::static_pointer_cast<StreamSink>(stream->context);
  if (!stopping_.load(std::memory_order_relaxed)) {
    return committer_->Submit(sink, request);
  }
  stream->Fail(
      rpc::ToGrpc(absl::UnavailableError("the volume agent is stopping")));
}

void VolumeServer::OnClosed(const Stream& stream) { stream->context = nullptr; }

bool VolumeServer::StartUpload() {
  base::MutexLock lock(&mu_);
  if (uploads_ >= base::kUploadsMax) return false;
  ++uploads_;
  return true;
}

void VolumeServer::EndUpload() {
  base::MutexLock lock(&mu_);
  --uploads_;
  uploads_changed_.SignalAll();
}

int VolumeServer::uploads() const {
  base::MutexLock lock(&mu_);
  return uploads_;
}

void VolumeServer::Stop(absl::Duration grace) {
  if (server_ == nullptr) return;
  const absl::Time deadline = absl::Now() + grace;
  {
    base::MutexLock lock(&mu_);
    stopping_.store(true, std::memory_order_relaxed);
    joined_changed_.SignalAll();
    while (uploads_ > 0 && absl::Now() < deadline) {
      uploads_changed_.WaitFor(&mu_, deadline - absl::Now());
    }
  }
  committer_->Drain();
  server_->Shutdown(absl::ToChronoTime(absl::Now() + kFlushGrace));
  batches_->Stop();
  loop_ = nullptr;
  server_ = nullptr;
}

}  // namespace cairn::volume
