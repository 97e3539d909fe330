#include "gateway/admin_server.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace cairn::gateway {
namespace {

// Whoever asks for readiness has a deadline of seconds of their own.
constexpr absl::Duration kProbeDeadline = absl::Seconds(2);

void RespondText(http::Exchange* exchange, std::string text) {
  http::Response response;
  response.headers.emplace_back("Content-Type", "text/plain; charset=utf-8");
  response.head_content_length = text.size();
  response.body = std::move(text);
  exchange->Respond(std::move(response));
}

// What a lookup of a key that nobody has says of the index.
absl::Status ProbeStatus(const absl::StatusOr<v1::OpResult>& result) {
  if (!result.ok()) return result.status();
  const auto code = static_cast<absl::StatusCode>(result->code());
  if (code == absl::StatusCode::kNotFound) return absl::OkStatus();
  return absl::Status(code, result->message());
}

}  // namespace

AdminServer::AdminServer(client::MetadataClient* metadata,
                         std::string master_address)
    : metadata_(metadata), master_address_(std::move(master_address)) {}

void AdminServer::SetDraining() { draining_ = true; }

void AdminServer::OnRequest(const std::shared_ptr<http::Exchange>& exchange) {
  const http::RequestHead& head = exchange->head();
  if (head.method != "GET" && head.method != "HEAD") {
    http::Response response =
        http::ProblemResponse(405, "the admin port takes GET and HEAD alone");
    response.headers.emplace_back("Allow", "GET, HEAD");
    return exchange->Respond(std::move(response));
  }
  const std::string path = head.target.substr(0, head.target.find('?'));
  if (path == "/healthz") return RespondText(exchange.get(), "ok\n");
  if (path == "/readyz") return AnswerReady(exchange);
  exchange->Respond(http::ProblemResponse(
      404, "the admin port has /healthz and /readyz; keys are on the other"));
}

void AdminServer::AnswerReady(const std::shared_ptr<http::Exchange>& exchange) {
  if (draining_) {
    return exchange->Respond(
        http::ProblemResponse(503, "the gateway is being stopped"));
  }
  const auto view = metadata_->view();
  if (view == nullptr) {
    return exchange->Respond(http::ProblemResponse(
        503,
        absl::StrCat("the master at ", master_address_, " does not answer")));
  }
  if (!view->unavailable_reason.empty()) {
    return exchange->Respond(
        http::ProblemResponse(503, view->unavailable_reason));
  }
  v1::LookupOp op;
  op.set_key(std::string(1, '\0'));
  metadata_->Lookup(
      std::move(op), absl::Now() + kProbeDeadline,
      [exchange](const absl::StatusOr<v1::OpResult>& result) {
        const absl::Status status = ProbeStatus(result);
        if (status.ok()) return RespondText(exchange.get(), "ready\n");
        exchange->Respond(http::ProblemResponse(503, status.message()));
      });
}

}  // namespace cairn::gateway
