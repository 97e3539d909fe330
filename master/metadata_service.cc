#include "master/metadata_service.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/limits.h"
#include "master/blob_check.h"
#include "master/key_lister.h"
#include "rpc/server.h"

namespace cairn::master {
namespace {

// How soon a watch notices that its client is gone.
constexpr absl::Duration kWatchPoll = absl::Seconds(1);

}  // namespace

grpc::Status MetadataService::WatchClusterMap(
    grpc::ServerContext* context, const v1::WatchClusterMapRequest* request,
    grpc::ServerWriter<v1::WatchClusterMapResponse>* writer) {
  Membership::View sent;
  while (!stopping_.load() && !context->IsCancelled()) {
    const Membership::View view =
        sent == nullptr ? options_.membership->view()
                        : options_.membership->WaitForChange(sent, kWatchPoll);
    if (view == sent) continue;
    v1::WatchClusterMapResponse response;
    *response.mutable_map() = view->map;
    response.set_unavailable_reason(view->unavailable_reason);
    if (!writer->Write(response)) break;
    sent = view;
  }
  return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the master is stopping");
}

void MetadataService::StopWatches() {
  stopping_.store(true);
  options_.membership->StopWatching();
}

grpc::Status MetadataService::ListKeys(grpc::ServerContext* context,
                                       const v1::ListKeysRequest* request,
                                       v1::ListKeysResponse* response) {
  const absl::Status serving = options_.membership->CheckServing();
  if (!serving.ok()) return rpc::ToGrpc(serving);
  auto page = master::ListKeys(options_.index, *request);
  if (page.ok()) *response = *std::move(page);
  return rpc::ToGrpc(page.status());
}

grpc::Status MetadataService::Join(grpc::ServerContext* context,
                                   const v1::JoinRequest* request,
                                   v1::JoinResponse* response) {
  auto joined = options_.membership->Join(*request);
  if (joined.ok()) *response = *std::move(joined);
  return rpc::ToGrpc(joined.status());
}

grpc::Status MetadataService::Heartbeat(grpc::ServerContext* context,
                                        const v1::HeartbeatRequest* request,
                                        v1::HeartbeatResponse* response) {
  auto beaten = options_.membership->Heartbeat(*request);
  if (!beaten.ok()) return rpc::ToGrpc(beaten.status());
  *response = *std::move(beaten);
  response->set_index_time_ms(options_.now_ms());
  return grpc::Status::OK;
}

grpc::Status MetadataService::CheckBlobs(grpc::ServerContext* context,
                                         const v1::CheckBlobsRequest* request,
                                         v1::CheckBlobsResponse* response) {
  if (request->blobs_size() > base::kCheckBlobsMax) {
    return rpc::ToGrpc(absl::InvalidArgumentError(
        absl::StrCat(request->blobs_size(), " blobs in one call: send at most ",
                     base::kCheckBlobsMax)));
  }
  const absl::Status serving = options_.membership->CheckServing();
  if (!serving.ok()) return rpc::ToGrpc(serving);
  const auto verdicts = master::CheckBlobs(options_.index, *request,
                                           options_.now_ms(), options_.held);
  if (!verdicts.ok()) {
    return rpc::ToGrpc(absl::UnavailableError(verdicts.status().message()));
  }
  for (const auto verdict : *verdicts) response->add_verdicts(verdict);
  return grpc::Status::OK;
}

}  // namespace cairn::master
