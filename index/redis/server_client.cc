#include "index/redis/server_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"
#include "index/redis/sentinel.h"

namespace cairn::index {
namespace {

// How long Sentinel's word that a server is the master is good.
constexpr absl::Duration kStillMasterAge = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::vector<RedisReply>> ServerClient::Run(
    absl::Span<const RedisCommand> commands, const RunOptions& options,
    bool* sent) {
  for (;;) {
    *sent = false;
    ASSIGN_OR_RETURN(Connection connection,
                     options.changes ? AcquireForChanges(options.deadline)
                                     : Acquire(options.deadline));
    *sent = true;
    auto replies = RunOn(connection.get(), commands, options);
    if (!replies.ok()) {
      // Those that were made before it are no better.
      NoteFailure();
      return replies;
    }
    const auto not_now =
        std::find_if(replies->begin(), replies->end(), IsNotNow);
    if (not_now == replies->end()) {
      Release(std::move(connection));
      return replies;
    }
    // It is a replica now: another is the master.
    if (not_now->IsError("READONLY")) {
      connection.reset();
      CloseIdle();
    } else {
      Release(std::move(connection));
    }
    const bool all = std::all_of(replies->begin(), replies->end(), IsNotNow);
    if (!all || absl::Now() + base::kIndexPauseMin > options.deadline) {
      *sent = !all;
      return absl::UnavailableError(
          absl::StrCat("Redis at ", uri().Text(), ": ", not_now->text));
    }
    absl::SleepFor(base::kIndexPauseMin);
  }
}

absl::StatusOr<std::vector<RedisReply>> ServerClient::RunOn(
    RedisConnection* connection, absl::Span<const RedisCommand> commands,
    const RunOptions& options) {
  if (!options.changes || !fails_over()) return connection->Run(commands);
  RETURN_IF_ERROR(connection->Send(commands));
  RETURN_IF_ERROR(connection->Send({replicas_.Question()}));
  ASSIGN_OR_RETURN(auto replies, connection->Receive(commands.size() + 1));
  const RedisReply answer = std::move(replies.back());
  replies.pop_back();
  if (std::all_of(replies.begin(), replies.end(), IsNotNow)) return replies;
  ASSIGN_OR_RETURN(
      const bool on_replica,
      replicas_.Settle(answer, connection, uri().Text(), options.deadline));
  if (!on_replica) RETURN_IF_ERROR(CheckStillMaster(*connection));
  return replies;
}

absl::StatusOr<std::vector<std::vector<RedisReply>>> ServerClient::RunOnEach(
    absl::Span<const RedisCommand> commands, absl::Time deadline) {
  RunOptions options;
  options.deadline = deadline;
  for (;;) {
    bool sent = false;
    auto replies = Run(commands, options, &sent);
    if (!replies.ok() && sent && absl::IsUnavailable(replies.status()) &&
        absl::Now() < deadline) {
      continue;
    }
    RETURN_IF_ERROR(replies.status());
    return std::vector<std::vector<RedisReply>>{*std::move(replies)};
  }
}

std::string ServerClient::Alone() {
  if (!replicas_.alone()) return "";
  base::MutexLock lock(&mu_);
  return master_.Text();
}

absl::Status ServerClient::CheckStillMaster(const RedisConnection& connection) {
  {
    base::MutexLock lock(&mu_);
    if (still_master_ == connection.server() &&
        absl::Now() < still_master_asked_ + kStillMasterAge) {
      return absl::OkStatus();
    }
  }
  RETURN_IF_ERROR(CheckNamed(connection));
  base::MutexLock lock(&mu_);
  still_master_ = connection.server();
  still_master_asked_ = absl::Now();
  return absl::OkStatus();
}

absl::Status ServerClient::CheckNamed(const RedisConnection& connection) {
  ASSIGN_OR_RETURN(const RedisAddress named, FindMaster(uri()));
  if (uri().At(named).Text() == connection.server()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "the Redis at ", connection.server(), " is replaced by ", named.Text()));
}

absl::StatusOr<ServerClient::Connection> ServerClient::AcquireForChanges(
    absl::Time deadline) {
  for (;;) {
    ASSIGN_OR_RETURN(Connection connection, Acquire(deadline));
    const auto why_not_yet =
        log_rewrite_.WhyNotYet(connection.get(), uri().Text());
    if (!why_not_yet.ok()) {
      NoteFailure();
      if (absl::IsUnavailable(why_not_yet.status()) && absl::Now() < deadline) {
        continue;
      }
      return why_not_yet.status();
    }
    if (why_not_yet->empty()) return connection;
    Release(std::move(connection));
    if (absl::Now() + base::kIndexPauseMin > deadline) {
      return absl::UnavailableError(*why_not_yet);
    }
    absl::SleepFor(base::kIndexPauseMin);
  }
}

absl::StatusOr<ServerClient::Connection> ServerClient::Acquire(
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
          absl::StrCat("no Redis answers at ", uri().Text()));
    }
    absl::SleepFor(wake - absl::Now());
  }
}

absl::StatusOr<ServerClient::Connection> ServerClient::TryAcquire() {
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
  if (back) base::LogInfo("Redis at ", uri().Text(), " answers again");
  return connection;
}

absl::StatusOr<ServerClient::Connection> ServerClient::Connect() {
  if (uri().kind != RedisUri::Kind::kSentinel) {
    return RedisConnection::Connect(uri(), base::kIndexCommandDeadline);
  }
  ASSIGN_OR_RETURN(const RedisAddress master, FindMaster(uri()));
  ASSIGN_OR_RETURN(
      Connection connection,
      RedisConnection::Connect(uri().At(master), base::kIndexCommandDeadline));
  ASSIGN_OR_RETURN(const auto role, connection->Run({{"ROLE"}}));
  if (role[0].list.empty() || role[0].list[0].text != "master") {
    return absl::UnavailableError(absl::StrCat("Redis at ", master.Text(),
                                               " is not the master of ",
                                               uri().service, ", or not yet"));
  }
  base::MutexLock lock(&mu_);
  master_ = master;
  return connection;
}

absl::StatusOr<ServerClient::Connection> ServerClient::NewConnection() {
  ASSIGN_OR_RETURN(Connection connection, Connect());
  RETURN_IF_ERROR(connection->AskRunId());
  base::MutexLock lock(&check_mu_);
  if (connection->run_id() == run_id_) return connection;
  // One that hung while this was on its way may have been replaced meanwhile.
  if (uri().kind == RedisUri::Kind::kSentinel) {
    RETURN_IF_ERROR(CheckNamed(*connection));
  }
  if (check()) {
    RETURN_IF_ERROR(
        check()(connection.get(), [](absl::string_view) { return true; }));
  }
  run_id_ = connection->run_id();
  SetNewest(run_id_);
  return connection;
}

void ServerClient::SetNewest(const std::string& run_id) {
  std::vector<Connection> closed;  // Outside the lock.
  base::MutexLock lock(&mu_);
  closed.swap(idle_);
  newest_run_id_ = run_id;
}

void ServerClient::Release(Connection connection) {
  base::MutexLock lock(&mu_);
  // One that was replaced, and answers late, is not asked again.
  if (connection->run_id() != newest_run_id_) return;
  if (idle_.size() < base::kIndexConnectionsIdleMax) {
    idle_.push_back(std::move(connection));
  }
}

void ServerClient::CloseIdle() {
  std::vector<Connection> closed;  // Outside the lock.
  base::MutexLock lock(&mu_);
  closed.swap(idle_);
}

void ServerClient::NoteFailure() {
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
    base::LogWarning("Redis at ", uri().Text(),
                     " does not answer: waiting for it");
  }
}

}  // namespace cairn::index
