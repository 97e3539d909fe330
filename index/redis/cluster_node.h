// ClusterNode keeps connections to one node of a Redis Cluster.

#ifndef CAIRN_INDEX_REDIS_CLUSTER_NODE_H_
#define CAIRN_INDEX_REDIS_CLUSTER_NODE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "index/redis/log_rewrite.h"
#include "index/redis/redis_connection.h"
#include "index/redis/redis_uri.h"
#include "index/redis/replica_wait.h"

namespace cairn::index {

// Thread safety: any method from any thread.
class ClusterNode {
 public:
  using Connection = std::unique_ptr<RedisConnection>;
  using Check = std::function<absl::Status(RedisConnection* connection)>;

  // `server` is of kind kServer.
  explicit ClusterNode(RedisUri server) : server_(std::move(server)) {}
  RedisAddress address() const { return {server_.host, server_.port}; }
  ReplicaWait& replicas() { return replicas_; }
  LogRewrite& log_rewrite() { return log_rewrite_; }

  // A connection for the caller alone. `check` is asked on the first one after
  // the node was started anew or Forget() was called. kUnavailable: the node is
  // away, or was a moment ago and is not tried yet. Else see
  // RedisConnection::Connect() and `check`.
  absl::StatusOr<Connection> Acquire(const Check& check);
  void Release(Connection connection);
  // A connection has failed: those that were made before it are no better.
  void NoteFailure();
  // It holds nothing any more: what it will hold is to be checked.
  void Forget();
  // Since when it has not answered; InfiniteFuture(): it does.
  absl::Time away_since();

 private:
  absl::StatusOr<Connection> Connect(const Check& check);

  const RedisUri server_;
  ReplicaWait replicas_;
  LogRewrite log_rewrite_;

  // One at a time asks whether the node is what it was. Held across that.
  base::Mutex check_mu_;
  std::string run_id_ ABSL_GUARDED_BY(check_mu_);  // Of what was checked.

  // Guards the pool; nothing slow.
  base::Mutex mu_;
  std::vector<Connection> idle_ ABSL_GUARDED_BY(mu_);
  absl::Time away_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  absl::Time next_try_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  absl::Duration pause_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_CLUSTER_NODE_H_
