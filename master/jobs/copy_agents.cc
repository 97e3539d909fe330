#include "master/jobs/copy_agents.h"

#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "proto/convert.h"
#include "rpc/server.h"

namespace cairn::master {
namespace {

void SetTimeout(absl::Duration timeout, grpc::ClientContext* context) {
  context->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

absl::Status FromVolume(const v1::Volume& volume, const grpc::Status& status) {
  return base::Annotate(
      rpc::FromGrpc(status),
      absl::StrCat("volume ", VolumeIdText(volume.volume_id())));
}

}  // namespace

absl::Status GrpcCopyAgents::CopyMany(const v1::Volume& target,
                                      const v1::CopyBlobsRequest& request,
                                      absl::Duration timeout,
                                      v1::CopyBlobsResponse* response) {
  grpc::ClientContext context;
  SetTimeout(timeout, &context);
  return FromVolume(target,
                    StubOf(target)->CopyBlobs(&context, request, response));
}

absl::Status GrpcCopyAgents::Copy(const v1::Volume& target,
                                  const v1::CopyBlobRequest& request,
                                  absl::Duration timeout) {
  grpc::ClientContext context;
  SetTimeout(timeout, &context);
  v1::CopyBlobResponse response;
  return FromVolume(target, StubOf(target)->Copy(&context, request, &response));
}

absl::Status GrpcCopyAgents::Count(const v1::Volume& volume,
                                   absl::Duration timeout,
                                   v1::CountBlobsResponse* response) {
  grpc::ClientContext context;
  SetTimeout(timeout, &context);
  v1::CountBlobsRequest request;
  request.set_volume_id(volume.volume_id());
  return FromVolume(volume,
                    StubOf(volume)->CountBlobs(&context, request, response));
}

std::shared_ptr<v1::VolumeService::Stub> GrpcCopyAgents::StubOf(
    const v1::Volume& volume) {
  base::MutexLock lock(&mu_);
  auto& stub = stubs_[volume.grpc_address()];
  if (stub == nullptr) {
    stub = v1::VolumeService::NewStub(
        rpc::NewChannel(volume.grpc_address(), "copies"));
  }
  return stub;
}

}  // namespace cairn::master
