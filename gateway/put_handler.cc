#include "gateway/put_handler.h"

#include <memory>
#include <string>
#include <utility>

#include "base/blob_name.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/status.h"
#include "gateway/json_checker.h"
#include "gateway/put_request.h"
#include "gateway/upload_sink.h"
#include "gateway/write_conditions.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::gateway {
namespace {

void RespondPut(const Call& call,
                const absl::StatusOr<client::PutOutcome>& outcome) {
  if (!outcome.ok()) {
    const bool refused = absl::IsFailedPrecondition(outcome.status()) ||
                         absl::IsAlreadyExists(outcome.status());
    if (!refused) return call.RespondError(outcome.status());
    // The index says that the precondition failed, or, where there was none,
    // that it will not have this write now (a volume is being removed).
    if (call.head().method == "POST" || ConditionsOf(call.head()).any()) {
      return call.RespondError(PreconditionFailed(call));
    }
    return call.RespondProblem(503, outcome.status().message());
  }
  http::Response response;
  response.status = outcome->replaced ? 204 : 201;
  response.headers.emplace_back("ETag", EtagOf(outcome->record));
  response.headers.emplace_back("Cairn-Version",
                                FromProto(outcome->record.version()).ToHex());
  call.Respond(std::move(response));
}

// All that is known before the conditions are looked at.
absl::Status CheckBeforeBody(const Call& call) {
  RETURN_IF_ERROR(base::CheckKey(call.target.key));
  const auto view = call.store().metadata().view();
  RETURN_IF_ERROR(CheckView(*call.services, view.get()));
  if (!view->unavailable_reason.empty()) {
    return absl::UnavailableError(view->unavailable_reason);
  }
  return placement::CheckWritable(view->map);
}

absl::Status CheckBody(const PutRequest& request, const std::string& body,
                       const base::Digest& digest) {
  RETURN_IF_ERROR(CheckContentMd5(request, digest));
  if (!request.json) return absl::OkStatus();
  JsonChecker json;
  RETURN_IF_ERROR(json.Update(body));
  return json.Finish();
}

void PutWhole(const CallPtr& call, PutRequest request,
              client::PutOptions options) {
  call->exchange->ReadBody(
      base::kSmallBlobBytesMax,
      [call, request = std::move(request),
       options = std::move(options)](std::string body) mutable {
        const base::Digest digest = base::DigestOf(body);
        const absl::Status status = CheckBody(request, body, digest);
        if (!status.ok()) return call->RespondError(status);
        call->store().PutSmall(
            call->target.key, std::move(body), digest, std::move(options),
            [call](const absl::StatusOr<client::PutOutcome>& outcome) {
              RespondPut(*call, outcome);
            });
      });
}

void PutStreamed(const CallPtr& call, PutRequest request,
                 client::PutOptions options) {
  auto sink = std::make_shared<UploadSink>(call, std::move(request),
                                           std::move(options), &RespondPut);
  const int64_t size_bytes = call->head().content_length;
  if (size_bytes > 0) {
    const absl::Status opened = sink->Open(size_bytes);
    if (!opened.ok()) return call->RespondError(opened);
  }
  call->exchange->StreamBody(std::move(sink));
}

}  // namespace

void HandlePut(CallPtr call) {
  const http::RequestHead& head = call->head();
  auto request = ParsePutRequest(head);
  if (!request.ok()) return call->RespondError(request.status());
  if (head.content_length > base::kValueBytesMax) {
    return call->RespondProblem(
        413, "the value is larger than 5 TiB, the most a key can hold");
  }
  const absl::Status ready = CheckBeforeBody(*call);
  if (!ready.ok()) return call->RespondError(ready);
  const bool whole = head.content_length >= 0 &&
                     head.content_length <= base::kSmallBlobBytesMax;
  const bool check_now = !whole || head.HasHeader("expect");
  ResolveWriteConditions(
      call, check_now,
      [call, whole, request = *std::move(request)](
          absl::StatusOr<v1::Precondition> precondition) mutable {
        if (!precondition.ok()) {
          return call->RespondError(precondition.status());
        }
        client::PutOptions options;
        options.metadata = request.metadata;
        options.precondition = *std::move(precondition);
        options.request_id = call->request_id;
        if (whole) {
          PutWhole(call, std::move(request), std::move(options));
        } else {
          PutStreamed(call, std::move(request), std::move(options));
        }
      });
}

}  // namespace cairn::gateway
