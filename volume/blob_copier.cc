#include "volume/blob_copier.h"

#include <grpcpp/grpcpp.h>

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "proto/cairn/v1/volume.grpc.pb.h"
#include "rpc/server.h"
#include "volume/large_blob_writer.h"

namespace cairn::volume {
namespace {

absl::StatusOr<v1::StatBlobResponse> StatAtPeer(
    v1::VolumeService::Stub* stub, const v1::CopyBlobRequest& request,
    const v1::BlobId& source, std::chrono::system_clock::time_point deadline) {
  grpc::ClientContext context;
  context.set_deadline(deadline);
  v1::StatBlobRequest stat;
  stat.set_volume_id(request.source_volume_id());
  *stat.mutable_blob() = source;
  v1::StatBlobResponse response;
  RETURN_IF_ERROR(rpc::FromGrpc(stub->Stat(&context, stat, &response)));
  if (!response.whole()) {
    return absl::DataLossError("the peer's blob is not whole");
  }
  return response;
}

absl::Status CopyTombstone(BlobStore* store, const v1::BlobId& target,
                           const v1::StatBlobResponse& stat) {
  v1::SmallPutOp op;
  *op.mutable_blob() = target;
  op.set_replicas(stat.replicas());
  ASSIGN_OR_RETURN(Unsynced change, store->Put(op));
  return store->Sync({&change})[0];
}

absl::Status CopyBytes(v1::VolumeService::Stub* stub,
                       const v1::GetBlobRequest& get,
                       std::chrono::system_clock::time_point deadline,
                       LargeBlobWriter* writer) {
  grpc::ClientContext context;
  context.set_deadline(deadline);
  const auto reader = stub->Get(&context, get);
  v1::GetBlobResponse piece;
  while (reader->Read(&piece)) {
    const absl::Status status = writer->Append(piece.data());
    if (!status.ok()) {
      context.TryCancel();
      reader->Finish();
      return status;
    }
  }
  return rpc::FromGrpc(reader->Finish());
}

}  // namespace

absl::Status CopyBlob(BlobStore* store, const v1::CopyBlobRequest& request,
                      std::chrono::system_clock::time_point deadline) {
  const std::string& address = request.source_grpc_address();
  const auto stub =
      v1::VolumeService::NewStub(rpc::NewChannel(address, "copy"));
  v1::BlobId source = request.blob();
  source.set_subvolume(request.source_subvolume());
  const auto stat = StatAtPeer(stub.get(), request, source, deadline);
  if (!stat.ok()) return base::Annotate(stat.status(), address);
  if (request.has_digest() &&
      (stat->digest().xxh3() != request.digest().xxh3() ||
       stat->digest().md5() != request.digest().md5())) {
    return absl::DataLossError(
        absl::StrCat(address, ": its blob has other hashes than the index"));
  }
  if (request.blob().tombstone()) {
    return CopyTombstone(store, request.blob(), *stat);
  }
  v1::PutBlobRequest::Header header;
  header.set_subvolume(request.blob().subvolume());
  header.set_key(request.blob().key());
  *header.mutable_metadata() = stat->metadata();
  header.set_replicas(stat->replicas());
  header.set_durability(v1::DURABILITY_FSYNC);
  header.set_size_bytes_expected(stat->size_bytes());
  ASSIGN_OR_RETURN(const std::unique_ptr<LargeBlobWriter> writer,
                   LargeBlobWriter::Start(store, header));
  v1::GetBlobRequest get;
  get.set_volume_id(request.source_volume_id());
  *get.mutable_blob() = source;
  RETURN_IF_ERROR(base::Annotate(
      CopyBytes(stub.get(), get, deadline, writer.get()), address));
  v1::PutBlobRequest::Trailer trailer;
  *trailer.mutable_version() = request.blob().version();
  trailer.set_size_bytes(stat->size_bytes());
  *trailer.mutable_digest() = stat->digest();
  return writer->Commit(trailer);
}

}  // namespace cairn::volume
