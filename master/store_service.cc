#include "master/store_service.h"

#include <utility>

#include "absl/status/statusor.h"
#include "base/limits.h"
#include "master/await.h"
#include "master/stall_guard.h"
#include "master/value_get.h"
#include "master/value_put.h"
#include "master/value_stat.h"
#include "rpc/server.h"

namespace cairn::master {

grpc::Status StoreService::Put(grpc::ServerContext* context,
                               grpc::ServerReader<v1::PutRequest>* reader,
                               v1::PutResponse* response) {
  StallGuard guard(loop_, context, base::kBlobPieceDeadline);
  v1::PutRequest request;
  if (!reader->Read(&request) || !request.has_header()) {
    return rpc::ToGrpc(absl::InvalidArgumentError(
        "the first message of a put is its header: send that first"));
  }
  const std::string key = request.header().key();
  ValuePut put(store_, request.header(), rpc::RequestId(*context));
  absl::Status status = put.status();
  while (status.ok() && reader->Read(&request)) {
    guard.Progress();
    status = request.has_data()
                 ? put.Append(request.data())
                 : absl::InvalidArgumentError(
                       "only the first message of a put is a header");
  }
  if (!status.ok()) return rpc::ToGrpc(status);
  auto outcome = put.Finish([context] { return context->IsCancelled(); });
  if (!outcome.ok()) return rpc::ToGrpc(outcome.status());
  FillStat(key, outcome->record, store_->metadata().view()->map,
           response->mutable_stat());
  response->set_replaced(outcome->replaced);
  return grpc::Status::OK;
}

grpc::Status StoreService::Get(grpc::ServerContext* context,
                               const v1::GetRequest* request,
                               grpc::ServerWriter<v1::GetResponse>* writer) {
  StallGuard guard(loop_, context, base::kBlobPieceDeadline);
  return rpc::ToGrpc(GetValue(store_, *request, rpc::RequestId(*context),
                              [&](const v1::GetResponse& response) {
                                const bool written = writer->Write(response);
                                guard.Progress();
                                return written;
                              }));
}

grpc::Status StoreService::Stat(grpc::ServerContext* context,
                                const v1::StatRequest* request,
                                v1::StatResponse* response) {
  Await<absl::StatusOr<client::GetOutcome>> found;
  store_->Get(request->key(), /*with_value=*/false, rpc::RequestId(*context),
              found.Setter());
  const auto outcome = found.Get();
  if (!outcome.ok()) return rpc::ToGrpc(outcome.status());
  FillStat(request->key(), outcome->record, store_->metadata().view()->map,
           response->mutable_stat());
  return grpc::Status::OK;
}

grpc::Status StoreService::Delete(grpc::ServerContext* context,
                                  const v1::DeleteRequest* request,
                                  v1::DeleteResponse* response) {
  auto precondition =
      MakePrecondition(/*must_be_new=*/false, request->if_match());
  if (!precondition.ok()) return rpc::ToGrpc(precondition.status());
  Await<absl::Status> deleted;
  store_->Delete(request->key(), *std::move(precondition),
                 rpc::RequestId(*context), deleted.Setter());
  return rpc::ToGrpc(deleted.Get());
}

grpc::Status StoreService::List(grpc::ServerContext* context,
                                const v1::ListRequest* request,
                                v1::ListResponse* response) {
  v1::ListKeysRequest list;
  list.set_prefix(request->prefix());
  list.set_start(request->page_token());
  list.set_page_size(request->page_size());
  list.set_delimiter(request->delimiter());
  Await<absl::StatusOr<v1::ListKeysResponse>> listed;
  store_->ListKeys(std::move(list), listed.Setter());
  auto page = listed.Get();
  if (!page.ok()) return rpc::ToGrpc(page.status());
  *response->mutable_keys() = std::move(*page->mutable_keys());
  response->set_next_page_token(std::move(*page->mutable_next()));
  return grpc::Status::OK;
}

}  // namespace cairn::master
