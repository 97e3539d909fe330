#include "index/redis/cluster_node.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"

namespace cairn::index {

absl::StatusOr<ClusterNode::Connection> ClusterNode::Acquire(
    const Check& check) {
  {
    base::MutexLock lock(&mu_);
    if (!idle_.empty()) {
      Connection connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
    if (absl::Now() < next_try_) {
      return absl::UnavailableError(
          absl::StrCat("no Redis answers at ", server_.Text()));
    }
    // Others that find it away meanwhile need not try as well.
    if (away_since_ != absl::InfiniteFuture()) next_try_ = absl::Now() + pause_;
  }
  auto connection = Connect(check);
  if (!connection.ok()) {
    NoteFailure();
    return connection;
  }
  base::MutexLock lock(&mu_);
  if (away_since_ != absl::InfiniteFuture()) {
    base::LogInfo("Redis at ", server_.Text(), " answers again");
  }
  away_since_ = absl::InfiniteFuture();
  next_try_ = absl::InfinitePast();
  return connection;
}

absl::StatusOr<ClusterNode::Connection> ClusterNode::Connect(
    const Check& check) {
  ASSIGN_OR_RETURN(
      Connection connection,
      RedisConnection::Connect(server_, base::kIndexCommandDeadline));
  RETURN_IF_ERROR(connection->AskRunId());
  base::MutexLock lock(&check_mu_);
  if (connection->run_id() != run_id_) RETURN_IF_ERROR(check(connection.get()));
  run_id_ = connection->run_id();
  return connection;
}

void ClusterNode::Release(Connection connection) {
  base::MutexLock lock(&mu_);
  if (idle_.size() < base::kIndexConnectionsIdleMax) {
    idle_.push_back(std::move(connection));
  }
}

void ClusterNode::NoteFailure() {
  std::vector<Connection> closed;  // Outside the lock.
  base::MutexLock lock(&mu_);
  closed.swap(idle_);
  const absl::Time now = absl::Now();
  if (away_since_ == absl::InfiniteFuture()) {
    away_since_ = now;
    pause_ = base::kIndexPauseMin;
    next_try_ = now;
    base::LogWarning("Redis at ", server_.Text(), " does not answer");
  } else {
    next_try_ = now + pause_;
    pause_ = std::min(2 * pause_, base::kReconnectBackoffMax);
  }
}

void ClusterNode::Forget() {
  std::vector<Connection> closed;
  {
    base::MutexLock lock(&mu_);
    closed.swap(idle_);
  }
  base::MutexLock lock(&check_mu_);
  run_id_.clear();
}

absl::Time ClusterNode::away_since() {
  base::MutexLock lock(&mu_);
  return away_since_;
}

}  // namespace cairn::index
