#include <unistd.h>

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "gateway/http/exchange.h"
#include "gateway/http/listener.h"
#include "gateway/http/reactor.h"

namespace cairn::http {
namespace {

class EpollEdge : public Edge {
 public:
  EpollEdge(const EdgeOptions& options, Handler* handler, int listen_fd)
      : port_(LocalPort(listen_fd)), shared_(options, handler, listen_fd) {
    shared_.accepting = options.threads;
    for (int i = 0; i < options.threads; ++i) {
      shared_.reactors.push_back(std::make_unique<Reactor>(&shared_));
    }
    for (int i = 0; i < options.threads; ++i) {
      shared_.reactors[i]->Start(i);
    }
  }

  ~EpollEdge() override {
    if (!drained_) Drain(0);
    close(shared_.listen_fd);
  }

  void Drain(int64_t deadline_ms) override {
    drained_ = true;
    shared_.draining = true;
    for (auto& reactor : shared_.reactors) {
      reactor->Post({CommandKind::kDrain, nullptr});
    }
    shared_.limits.WaitForNone(absl::Milliseconds(deadline_ms));
    for (auto& reactor : shared_.reactors) {
      reactor->Post({CommandKind::kStop, nullptr});
    }
    for (auto& reactor : shared_.reactors) reactor->Join();
  }

  int port() const override { return port_; }
  int64_t connections() const override { return shared_.limits.connections(); }

 private:
  const int port_;
  EdgeShared shared_;
  bool drained_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Edge>> StartEdge(const EdgeOptions& options,
                                                Handler* handler) {
  if (options.threads < 1) {
    return absl::InvalidArgumentError("an edge needs at least one thread");
  }
  ASSIGN_OR_RETURN(const int listen_fd, Listen(options.listen));
  return std::make_unique<EpollEdge>(options, handler, listen_fd);
}

}  // namespace cairn::http
