#include "gateway/delete_handler.h"

#include <utility>

#include "base/blob_name.h"
#include "gateway/write_conditions.h"

namespace cairn::gateway {
namespace {

void RespondDeleted(const Call& call, const absl::Status& status) {
  if (absl::IsFailedPrecondition(status)) {
    return call.RespondError(PreconditionFailed(call));
  }
  if (absl::IsNotFound(status)) {
    return call.RespondProblem(404, "no value lies under this key");
  }
  if (!status.ok()) return call.RespondError(status);
  http::Response response;
  response.status = 204;
  call.Respond(std::move(response));
}

}  // namespace

void HandleDelete(CallPtr call) {
  absl::Status status = base::CheckKey(call->target.key);
  if (status.ok()) {
    status = CheckView(*call->services, call->store().metadata().view().get());
  }
  if (!status.ok()) return call->RespondError(status);
  ResolveWriteConditions(
      call, /*check_now=*/false,
      [call](absl::StatusOr<v1::Precondition> precondition) {
        if (!precondition.ok()) {
          return call->RespondError(precondition.status());
        }
        call->store().Delete(
            call->target.key, *std::move(precondition), call->request_id,
            [call](const absl::Status& done) { RespondDeleted(*call, done); });
      });
}

}  // namespace cairn::gateway
