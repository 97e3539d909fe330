// One thread of the edge: an epoll loop and the connections it serves.

#ifndef CAIRN_GATEWAY_HTTP_REACTOR_H_
#define CAIRN_GATEWAY_HTTP_REACTOR_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "gateway/http/connection.h"
#include "gateway/http/connection_limits.h"
#include "gateway/http/exchange.h"
#include "gateway/http/mailbox.h"

namespace cairn::http {

class Reactor;

// What the reactors of one edge share. Constant, or safe from any thread, but
// for `reactors`, which is filled before the first of them starts.
struct EdgeShared {
  EdgeShared(const EdgeOptions& options, Handler* handler, int listen_fd)
      : options(options),
        handler(handler),
        listen_fd(listen_fd),
        limits(options.connections_max, options.connections_per_ip_max) {}

  const EdgeOptions options;
  Handler* const handler;
  const int listen_fd;
  ConnectionLimits limits;
  // Set once; whoever sees it late answers one request more with keep-alive,
  // and the connection is closed after it.
  std::atomic<bool> draining{false};
  // Reactors that still accept; the last one to stop shuts the listener.
  std::atomic<int> accepting{0};
  std::vector<std::unique_ptr<Reactor>> reactors;
};

// A round: all that is ready is read and handed to the handler; then all
// answers that came meanwhile are written; then deadlines are looked at.
//
// Thread safety: Start() and Join() from one thread, Post() from any; all else
// runs on its own thread.
class Reactor {
 public:
  explicit Reactor(EdgeShared* shared);
  ~Reactor();
  Reactor(const Reactor&) = delete;
  Reactor& operator=(const Reactor&) = delete;

  void Start(int number);
  // REQUIRES: kStop was posted. Closes all connections.
  void Join();
  void Post(Command command) { context_.mailbox->Post(std::move(command)); }

 private:
  struct Entry {
    std::unique_ptr<Connection> connection;
    std::string ip;
    Admission admission;
  };

  void Run();
  void HandleEvents();
  // Carries out commands until none is left, and calls OnRoundEnd().
  void Settle();
  void Handle(const Command& command);
  void Drain();
  void Tick();
  void DeleteClosed();
  void CloseAll();

  // --- Accepting ---
  void WatchListener();
  void UnwatchListener();
  // Returns whether there may be more.
  bool AcceptSome();
  bool OnAcceptError(int error);
  void Place(int fd, const std::string& peer);
  void Adopt(int fd, const std::string& peer, Admission admission);

  EdgeShared* const shared_;
  ReactorContext context_;
  const int epoll_fd_;
  const int64_t tick_ms_;
  // Given up for a moment when there are no more descriptors.
  int spare_fd_;
  // Connections it has or was given: the others give it theirs when it has
  // fewest. Relaxed: a stale count only makes a worse choice.
  std::atomic<int> load_{0};

  absl::flat_hash_map<Connection*, Entry> connections_;
  std::vector<Command> commands_;
  int64_t next_tick_ms_ = 0;
  bool listener_watched_ = false;
  bool accept_paused_ = false;  // Until the next tick.
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace cairn::http

#endif  // CAIRN_GATEWAY_HTTP_REACTOR_H_
