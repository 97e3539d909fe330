// RedisClient sends commands to one Redis server over a few connections that
// it keeps, and makes new ones when the server was away.

#ifndef CAIRN_INDEX_REDIS_REDIS_CLIENT_H_
#define CAIRN_INDEX_REDIS_REDIS_CLIENT_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "index/redis/redis_connection.h"
#include "index/redis/redis_uri.h"

namespace cairn::index {

// "a:b\r\nc:d" as INFO answers it: the value of `name`, "" if it is not there.
std::string InfoField(absl::string_view info, absl::string_view name);

// Thread safety: any method from any thread. Each call has a connection to
// itself, so that a long listing holds up no lookup.
class RedisClient {
 public:
  // Called on the first connection after the server has been started anew,
  // before it is used: is this still what it was? What is not OK is returned
  // by the Run() that asked for the connection.
  using CheckServer = std::function<absl::Status(RedisConnection* connection)>;

  explicit RedisClient(RedisUri uri) : uri_(std::move(uri)) {}
  const RedisUri& uri() const { return uri_; }

  // Set before a second thread can see the client.
  void set_check_server(CheckServer check) { check_ = std::move(check); }

  // One round trip. Waits until `deadline` for a server that is away, trying
  // with back-off; with one that was away for long before, only as long as one
  // try takes. kUnavailable: it is away or loads its data (`*sent` is then
  // false), or the connection failed and what became of the commands is
  // unknown (true). Any other error: see RedisConnection::Connect().
  absl::StatusOr<std::vector<RedisReply>> Run(
      absl::Span<const RedisCommand> commands, absl::Time deadline, bool* sent);

 private:
  using Connection = std::unique_ptr<RedisConnection>;
  absl::StatusOr<Connection> Acquire(absl::Time deadline);
  // Nothing: the server was away a moment ago, it is not the time to try.
  absl::StatusOr<Connection> TryAcquire();
  absl::StatusOr<Connection> NewConnection();
  void Release(Connection connection);
  void NoteFailure();

  const RedisUri uri_;
  CheckServer check_;

  // One at a time asks whether a server is what it was. Held across that.
  base::Mutex check_mu_;
  std::string run_id_ ABSL_GUARDED_BY(check_mu_);

  // Guards the pool; nothing slow.
  base::Mutex mu_;
  std::vector<Connection> idle_ ABSL_GUARDED_BY(mu_);
  absl::Time away_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  absl::Time next_try_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  absl::Duration pause_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_REDIS_CLIENT_H_
