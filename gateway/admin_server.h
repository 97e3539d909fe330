// The gateway's admin port: is it alive, can it serve? Never the users' keys.

#ifndef CAIRN_GATEWAY_ADMIN_SERVER_H_
#define CAIRN_GATEWAY_ADMIN_SERVER_H_

#include <atomic>
#include <memory>
#include <string>

#include "client/metadata_client.h"
#include "gateway/http/exchange.h"

namespace cairn::gateway {

// GET and HEAD of:
// * /healthz: 200 "ok" while the process answers at all.
// * /readyz: 200 "ready" when the index answers a lookup now; else 503 with
//   the sentence why not: no master, a lost index, draining.
// Anything else is 404. Thread safety: as http::Handler.
class AdminServer final : public http::Handler {
 public:
  // `metadata` must outlive the server and every request.
  AdminServer(client::MetadataClient* metadata, std::string master_address);

  // From now on /readyz is 503: the process is about to end.
  void SetDraining();

  void OnRequest(const std::shared_ptr<http::Exchange>& exchange) override;

 private:
  void AnswerReady(const std::shared_ptr<http::Exchange>& exchange);

  client::MetadataClient* const metadata_;
  const std::string master_address_;
  // Says one thing alone: needs no lock and no order.
  std::atomic<bool> draining_{false};
};

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_ADMIN_SERVER_H_
