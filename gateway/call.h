// One request on its way through the gateway: what the handlers share.

#ifndef CAIRN_GATEWAY_CALL_H_
#define CAIRN_GATEWAY_CALL_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/logging.h"
#include "client/store_client.h"
#include "gateway/conditions.h"
#include "gateway/http/exchange.h"
#include "gateway/request_target.h"

namespace cairn::gateway {

// What every request needs. Immutable; outlives all requests.
struct Services {
  client::StoreClient* store = nullptr;
  base::AccessLog* access_log = nullptr;  // May be nullptr.
  // Stream large values through the gateway, never redirect.
  bool proxy_reads = false;
  // host:port, for the way back from a volume when a request has no Host.
  std::string listen_address;
  std::string master_address;  // For messages.
};

// The line of one request in the access log. Written once: by Write(), or, for
// a client that left before it got an answer, by the destructor with status
// 499. Set by one thread at a time.
class AccessNote {
 public:
  AccessNote(base::AccessLog* log, const http::Exchange& exchange);
  ~AccessNote();
  AccessNote(const AccessNote&) = delete;
  AccessNote& operator=(const AccessNote&) = delete;

  // `ok`: the whole answer left.
  void Write(int status, int64_t body_bytes, bool ok);

  std::string key;
  std::string request_id;
  // Where the bytes came from: "0a1b2c3d/2", "index", or empty.
  std::string replica;

 private:
  base::AccessLog* const log_;
  const std::string peer_;
  const std::string method_;
  const int64_t start_us_;
  bool written_ = false;
};

// Thread safety: the methods may be called from any thread; Respond*() once.
struct Call {
  const Services* services = nullptr;
  std::shared_ptr<http::Exchange> exchange;
  // Belongs to the exchange too. Change it only before Respond*().
  std::shared_ptr<AccessNote> note;
  RequestTarget target;
  std::string request_id;

  const http::RequestHead& head() const { return exchange->head(); }
  client::StoreClient& store() const { return *services->store; }

  // Adds X-Request-Id and sends.
  void Respond(http::Response response) const;
  void RespondProblem(int status, absl::string_view sentence) const;
  // The status code that stands for `status` (never 404 for "no answer").
  void RespondError(const absl::Status& status) const;
};
using CallPtr = std::shared_ptr<const Call>;

// 400 404 409 412 500 503 504 507. `write`: an outcome that is not known is
// 503, never 504.
int HttpStatusOf(const absl::Status& status, bool write);

// The client's X-Request-Id if it is 1 to 64 letters, digits, '.', '_' or '-';
// else one that is new in all likelihood.
std::string RequestIdOf(const http::RequestHead& head);

// All lines of one header joined with ", "; nullopt if there is none.
absl::optional<std::string> JoinedHeader(const http::RequestHead& head,
                                         absl::string_view lower_name);
Conditions ConditionsOf(const http::RequestHead& head);

// `"<md5 in hexadecimal>"`, with the quotes.
std::string EtagOf(const v1::Record& record);
// Last-Modified in seconds since 1970.
int64_t MtimeOf(const v1::Record& record);

// OK once the master has told the cluster map; else a sentence (kUnavailable).
absl::Status CheckView(const Services& services,
                       const client::ClusterView* view);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_CALL_H_
