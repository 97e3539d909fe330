#include "master/jobs/volume_checker.h"

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/status.h"
#include "proto/convert.h"
#include "rpc/server.h"

namespace cairn::master {

VolumeChecker::VolumeChecker(uint32_t volume_id,
                             const std::string& grpc_address)
    : volume_id_(volume_id),
      stub_(v1::VolumeService::NewStub(rpc::NewChannel(
          grpc_address, absl::StrCat("check ", VolumeIdText(volume_id))))) {}

absl::Status VolumeChecker::Verify(v1::VerifyBlobsRequest request,
                                   absl::Duration timeout,
                                   v1::VerifyBlobsResponse* response) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  request.set_volume_id(volume_id_);
  RETURN_IF_ERROR(
      rpc::FromGrpc(stub_->VerifyBlobs(&context, request, response)));
  if (response->results_size() == request.blobs_size()) return absl::OkStatus();
  return absl::InternalError("the agent did not answer for each blob");
}

absl::Status VolumeChecker::List(
    int subvolume,
    const std::function<absl::Status(const v1::ListBlobsResponse&)>& each) {
  grpc::ClientContext context;
  v1::ListBlobsRequest request;
  request.set_volume_id(volume_id_);
  request.set_subvolume(subvolume);
  const auto reader = stub_->List(&context, request);
  v1::ListBlobsResponse page;
  absl::Status stopped;
  while (stopped.ok() && reader->Read(&page)) stopped = each(page);
  if (!stopped.ok()) context.TryCancel();
  const absl::Status finished = rpc::FromGrpc(reader->Finish());
  return stopped.ok() ? finished : stopped;
}

absl::Status VolumeChecker::GetState(v1::GetVolumeStateResponse* response) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + base::kBlobOpDeadline));
  v1::GetVolumeStateRequest request;
  request.set_volume_id(volume_id_);
  return rpc::FromGrpc(stub_->GetVolumeState(&context, request, response));
}

absl::StatusOr<bool> VolumeChecker::Exists(const v1::BlobId& blob) {
  grpc::ClientContext context;
  context.set_deadline(
      absl::ToChronoTime(absl::Now() + base::kVerifyDeadlineMin));
  v1::StatBlobRequest request;
  request.set_volume_id(volume_id_);
  *request.mutable_blob() = blob;
  v1::StatBlobResponse response;
  const absl::Status status =
      rpc::FromGrpc(stub_->Stat(&context, request, &response));
  if (absl::IsNotFound(status)) return false;
  RETURN_IF_ERROR(status);
  return true;
}

absl::Status VolumeChecker::Remove(const v1::BlobId& blob,
                                   int64_t fencing_number) {
  grpc::ClientContext context;
  context.set_deadline(
      absl::ToChronoTime(absl::Now() + base::kVerifyDeadlineMin));
  v1::DeleteBlobsRequest request;
  request.set_volume_id(volume_id_);
  *request.add_blobs() = blob;
  request.set_fencing_number(fencing_number);
  v1::DeleteBlobsResponse response;
  RETURN_IF_ERROR(rpc::FromGrpc(stub_->Delete(&context, request, &response)));
  if (response.results_size() != 1) {
    return absl::InternalError("the agent did not answer for the blob");
  }
  return absl::Status(static_cast<absl::StatusCode>(response.results(0).code()),
                      response.results(0).message());
}

absl::Status VolumeChecker::Pull(v1::CopyBlobRequest request,
                                 absl::Duration timeout) {
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  request.set_volume_id(volume_id_);
  v1::CopyBlobResponse response;
  return rpc::FromGrpc(stub_->Copy(&context, request, &response));
}

}  // namespace cairn::master
