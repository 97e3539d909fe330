#include "index/redis/redis_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"

namespace cairn::index {
namespace {

// Answers that say nothing about a command but that it has to wait: the server
// loads its data, or runs somebody's script, or has no master.
bool IsNotNow(const RedisReply& reply) {
  return reply.IsError("LOADING") || reply.IsError("BUSY ") ||
         reply.IsError("MASTERDOWN") || reply.IsError("READONLY");
}

}  // namespace

std::string InfoField(absl::string_view info, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(info, '\n')) {
    if (absl::ConsumePrefix(&line, name) && absl::ConsumePrefix(&line, ":")) {
      absl::ConsumeSuffix(&line, "\r");
      return std::string(line);
    }
  }
  return "";
}

absl::StatusOr<std::vector<RedisReply>> RedisClient::Run(
    absl::Span<const RedisCommand> commands, absl::Time deadline, bool* sent) {
  for (;;) {
    *sent = false;
    ASSIGN_OR_RETURN(Connection connection, Acquire(deadline));
    *sent = true;
    auto replies = connection->Run(commands);
    if (!replies.ok()) {
      // Those that were made before it are no better.
      NoteFailure();
      return replies;
    }
    const auto not_now =
        std::find_if(replies->begin(), replies->end(), IsNotNow);
    Release(std::move(connection));
    if (not_now == replies->end()) return replies;
    const bool all = std::all_of(replies->begin(), replies->end(), IsNotNow);
    if (!all || absl::Now() + base::kIndexPauseMin > deadline) {
      *sent = !all;
      return absl::UnavailableError(
          absl::StrCat("Redis at ", uri_.Text(), ": ", not_now->text));
    }
    absl::SleepFor(base::kIndexPauseMin);
  }
}

absl::StatusOr<RedisClient::Connection> RedisClient::Acquire(
    absl::Time deadline) {
  for (;;) {
    auto connection = TryAcquire();
    if (!connection.ok() && !absl::IsUnavailable(connection.status())) {
      return connection;
    }
    if (connection.ok() && *connection != nullptr) return connection;
    absl::Time wake;
    {
      base::MutexLock lock(&mu_);
      // Who comes while it has long been away does not wait as well.
      deadline = std::min(deadline, away_since_ + base::kIndexWait);
      wake = next_try_;
    }
    if (wake > deadline) {
      if (!connection.ok()) return connection;
      return absl::UnavailableError(
          absl::StrCat("no Redis answers at ", uri_.Text()));
    }
    absl::SleepFor(wake - absl::Now());
  }
}

absl::StatusOr<RedisClient::Connection> RedisClient::TryAcquire() {
  {
    base::MutexLock lock(&mu_);
    if (!idle_.empty()) {
      Connection connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
    if (absl::Now() < next_try_) return nullptr;
    // Others that find it away meanwhile need not try as well.
    if (away_since_ != absl::InfiniteFuture()) next_try_ = absl::Now() + pause_;
  }
  auto connection = NewConnection();
  if (!connection.ok()) {
    NoteFailure();
    return connection;
  }
  bool back = false;
  {
    base::MutexLock lock(&mu_);
    back = away_since_ != absl::InfiniteFuture();
    away_since_ = absl::InfiniteFuture();
    next_try_ = absl::InfinitePast();
  }
  if (back) base::LogInfo("Redis at ", uri_.Text(), " answers again");
  return connection;
}

absl::StatusOr<RedisClient::Connection> RedisClient::NewConnection() {
  ASSIGN_OR_RETURN(Connection connection,
                   RedisConnection::Connect(uri_, base::kIndexCommandDeadline));
  ASSIGN_OR_RETURN(const auto info, connection->Run({{"INFO", "server"}}));
  if (info[0].is(RedisReply::Type::kError)) {
    return absl::UnavailableError(
        absl::StrCat("Redis at ", uri_.Text(), ": ", info[0].text));
  }
  const std::string run_id = InfoField(info[0].text, "run_id");
  base::MutexLock lock(&check_mu_);
  if (run_id != run_id_ && check_) {
    RETURN_IF_ERROR(check_(connection.get()));
  }
  run_id_ = run_id;
  return connection;
}

void RedisClient::Release(Connection connection) {
  base::MutexLock lock(&mu_);
  if (idle_.size() < base::kIndexConnectionsIdleMax) {
    idle_.push_back(std::move(connection));
  }
}

void RedisClient::NoteFailure() {
  std::vector<Connection> closed;  // Outside the lock.
  bool news = false;
  {
    base::MutexLock lock(&mu_);
    closed.swap(idle_);
    const absl::Time now = absl::Now();
    news = away_since_ == absl::InfiniteFuture();
    if (news) {
      away_since_ = now;
      pause_ = base::kIndexPauseMin;
      next_try_ = now;
    } else {
      next_try_ = now + pause_;
      pause_ = std::min(2 * pause_, base::kReconnectBackoffMax);
    }
  }
  if (news) {
    base::LogWarning("Redis at ", uri_.Text(),
                     " does not answer: waiting for it");
  }
}

}  // namespace cairn::index
