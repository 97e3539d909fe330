#include "gateway/gateway.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/delete_handler.h"
#include "gateway/get_handler.h"
#include "gateway/list_handler.h"
#include "gateway/put_handler.h"
#include "rpc/cork.h"

namespace cairn::gateway {
namespace {

void RespondMethodNotAllowed(const Call& call, absl::string_view allowed,
                             absl::string_view sentence) {
  http::Response response = http::ProblemResponse(405, sentence);
  response.headers.emplace_back("Allow", std::string(allowed));
  call.Respond(std::move(response));
}

void Dispatch(CallPtr call) {
  const std::string& method = call->head().method;
  if (call->target.list) {
    if (method == "GET") return HandleList(std::move(call));
    // Nobody who writes ?list means to write or delete the prefix itself.
    return RespondMethodNotAllowed(*call, "GET",
                                   "keys are listed with GET /prefix?list");
  }
  if (method == "GET" || method == "HEAD") return HandleGet(std::move(call));
  if (method == "PUT" || method == "POST") return HandlePut(std::move(call));
  if (method == "DELETE") return HandleDelete(std::move(call));
  RespondMethodNotAllowed(*call, "GET, HEAD, PUT, POST, DELETE",
                          "use GET, HEAD, PUT, POST or DELETE");
}

}  // namespace

Gateway::Gateway(Services services) : services_(std::move(services)) {}

void Gateway::OnRequest(const std::shared_ptr<http::Exchange>& exchange) {
  auto note = std::make_shared<AccessNote>(services_.access_log, *exchange);
  exchange->note = note;
  auto call = std::make_shared<Call>();
  call->services = &services_;
  call->exchange = exchange;
  call->request_id = RequestIdOf(exchange->head());
  note->request_id = call->request_id;
  call->note = std::move(note);
  auto target = ParseRequestTarget(exchange->head().target);
  if (!target.ok()) return call->RespondError(target.status());
  call->target = *std::move(target);
  call->note->key = call->target.key;
  Dispatch(std::move(call));
}

void Gateway::OnSent(const http::Exchange& exchange, int status,
                     int64_t body_bytes, bool ok) {
  if (exchange.note == nullptr) return;
  static_cast<AccessNote*>(exchange.note.get())->Write(status, body_bytes, ok);
}

void Gateway::OnRoundBegin() { rpc::Cork::Hold(); }

void Gateway::OnRoundEnd() { rpc::Cork::Release(); }

void Gateway::OnRejected(absl::string_view peer, int status,
                         absl::string_view reason) {
  if (services_.access_log == nullptr) return;
  const std::string status_text = absl::StrCat(status);
  services_.access_log->Write(
      {{"peer", peer}, {"status", status_text}, {"rejected", reason}});
}

}  // namespace cairn::gateway
