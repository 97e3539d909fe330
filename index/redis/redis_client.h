// RedisClient sends commands to the Redis that holds an index: one server, the
// one that Sentinel names, or the nodes of a Redis Cluster. It keeps
// connections, and makes new ones when a server was away or is another.

#ifndef CAIRN_INDEX_REDIS_REDIS_CLIENT_H_
#define CAIRN_INDEX_REDIS_REDIS_CLIENT_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/redis/redis_connection.h"
#include "index/redis/redis_uri.h"

namespace cairn::index {

struct RunOptions {
  absl::Time deadline;
  // The commands change something that must not be lost: they wait for a server
  // that was started anew to have a whole log (log_rewrite.h). Where replicas
  // take over by themselves and one is connected, it is to be on a replica as
  // well before Run() returns.
  bool changes = false;
};

// Thread safety: any method from any thread. Each call has connections to
// itself, so that a long listing holds up no lookup.
class RedisClient {
 public:
  // Called on the first connection after a server has been started anew, or has
  // taken over, before it is used: is what it holds what was there? `holds`
  // tells which names are its own. What is not OK is returned by the Run() that
  // asked for the connection.
  using Holds = std::function<bool(absl::string_view name)>;
  using CheckServer =
      std::function<absl::Status(RedisConnection* connection, Holds holds)>;

  explicit RedisClient(RedisUri uri) : uri_(std::move(uri)) {}
  virtual ~RedisClient() = default;
  const RedisUri& uri() const { return uri_; }

  // Set before a second thread can see the client.
  void set_check_server(CheckServer check) { check_ = std::move(check); }

  // One round trip, to all servers concerned at once; commands of one name keep
  // their order. Waits until `deadline` for a server that is away, trying with
  // back-off; with one that was away for long before, only as long as one try
  // takes. kUnavailable: one is away or loads its data and nothing was done
  // (`*sent` is then false), or a connection has failed, or no replica has
  // taken the changes, and what became of the commands is unknown (true). Any
  // other error: see RedisConnection::Connect().
  // A command without a name (TIME) goes where the one before it goes.
  virtual absl::StatusOr<std::vector<RedisReply>> Run(
      absl::Span<const RedisCommand> commands, const RunOptions& options,
      bool* sent) = 0;

  // Reads the same from each server that holds names; their answers.
  virtual absl::StatusOr<std::vector<std::vector<RedisReply>>> RunOnEach(
      absl::Span<const RedisCommand> commands, absl::Time deadline) = 0;

  // Names are on several servers, those with one hash tag on one.
  bool clustered() const { return uri_.kind == RedisUri::Kind::kCluster; }
  // A replica takes over when a server is lost.
  bool fails_over() const { return uri_.kind != RedisUri::Kind::kServer; }
  // Servers that had no replica when something was last changed in them, for
  // people; "": none.
  virtual std::string Alone() = 0;

 protected:
  const CheckServer& check() const { return check_; }

 private:
  const RedisUri uri_;
  CheckServer check_;
};

// An answer that says nothing about a command, which was not run, but that it
// has to wait: the server loads its data, runs somebody's script, has no master
// or too few replicas.
bool IsNotNow(const RedisReply& reply);

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_REDIS_CLIENT_H_
