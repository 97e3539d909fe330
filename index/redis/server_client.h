// ServerClient is a RedisClient for one server: at a fixed address, or the one
// that Sentinel names as the master.

#ifndef CAIRN_INDEX_REDIS_SERVER_CLIENT_H_
#define CAIRN_INDEX_REDIS_SERVER_CLIENT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "index/redis/log_rewrite.h"
#include "index/redis/redis_client.h"
#include "index/redis/redis_connection.h"
#include "index/redis/redis_uri.h"
#include "index/redis/replica_wait.h"

namespace cairn::index {

class ServerClient final : public RedisClient {
 public:
  explicit ServerClient(RedisUri uri) : RedisClient(std::move(uri)) {}

  absl::StatusOr<std::vector<RedisReply>> Run(
      absl::Span<const RedisCommand> commands, const RunOptions& options,
      bool* sent) override;
  absl::StatusOr<std::vector<std::vector<RedisReply>>> RunOnEach(
      absl::Span<const RedisCommand> commands, absl::Time deadline) override;
  std::string Alone() override;

 private:
  using Connection = std::unique_ptr<RedisConnection>;
  // One try, on this connection.
  absl::StatusOr<std::vector<RedisReply>> RunOn(
      RedisConnection* connection, absl::Span<const RedisCommand> commands,
      const RunOptions& options);
  absl::StatusOr<Connection> Acquire(absl::Time deadline);
  // To a server whose log is whole: waits until it is.
  absl::StatusOr<Connection> AcquireForChanges(absl::Time deadline);
  // Nothing: the server was away a moment ago, it is not the time to try.
  absl::StatusOr<Connection> TryAcquire();
  absl::StatusOr<Connection> NewConnection();
  // To the fixed address, or to the master that the Sentinels name.
  absl::StatusOr<Connection> Connect();
  // A server without a replica may be one that was cut off and replaced: OK if
  // Sentinel still names it. Asked at most once in kStillMasterAge.
  absl::Status CheckStillMaster(const RedisConnection& connection);
  // OK: Sentinel names this server now.
  absl::Status CheckNamed(const RedisConnection& connection);
  // From here on only connections to this server are kept.
  void SetNewest(const std::string& run_id);
  void Release(Connection connection);
  void CloseIdle();
  void NoteFailure();

  ReplicaWait replicas_;
  LogRewrite log_rewrite_;

  // One at a time asks whether a server is what it was. Held across that.
  base::Mutex check_mu_;
  std::string run_id_ ABSL_GUARDED_BY(check_mu_);

  // Guards the pool; nothing slow.
  base::Mutex mu_;
  std::vector<Connection> idle_ ABSL_GUARDED_BY(mu_);
  absl::Time away_since_ ABSL_GUARDED_BY(mu_) = absl::InfiniteFuture();
  absl::Time next_try_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  absl::Duration pause_ ABSL_GUARDED_BY(mu_);
  RedisAddress master_ ABSL_GUARDED_BY(mu_);  // As Sentinel named it last.
  // Which server Sentinel named when it was last asked whether that one is
  // still the master.
  std::string still_master_ ABSL_GUARDED_BY(mu_);
  absl::Time still_master_asked_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  // As run_id_, for who has no time to wait.
  std::string newest_run_id_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_SERVER_CLIENT_H_
