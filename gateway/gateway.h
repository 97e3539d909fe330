// The gateway's public port: REST over keys. Each request goes to the handler
// of its method; see docs/http_api.md.

#ifndef CAIRN_GATEWAY_GATEWAY_H_
#define CAIRN_GATEWAY_GATEWAY_H_

#include <memory>

#include "absl/strings/string_view.h"
#include "gateway/call.h"
#include "gateway/http/exchange.h"

namespace cairn::gateway {

// Thread safety: as http::Handler. Keeps no state of its own but `services`,
// whose parts must outlive it and every request.
class Gateway final : public http::Handler {
 public:
  explicit Gateway(Services services);

  void OnRequest(const std::shared_ptr<http::Exchange>& exchange) override;
  void OnSent(const http::Exchange& exchange, int status, int64_t body_bytes,
              bool ok) override;
  // What one round submits to the master and the agents leaves as one batch.
  void OnRoundBegin() override;
  void OnRoundEnd() override;
  void OnRejected(absl::string_view peer, int status,
                  absl::string_view reason) override;

 private:
  const Services services_;
};

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_GATEWAY_H_
