#include "index/redis/log_rewrite.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging.h"
#include "base/status.h"

namespace cairn::index {
namespace {

// One that has failed forks again no sooner than this.
constexpr absl::Duration kBeginPause = absl::Seconds(1);

}  // namespace

absl::StatusOr<std::string> LogRewrite::WhyNotYet(RedisConnection* connection,
                                                  absl::string_view name) {
  {
    base::MutexLock lock(&mu_);
    if (connection->run_id() == done_run_id_) return "";
  }
  ASSIGN_OR_RETURN(const auto replies,
                   connection->Run({{"INFO", "persistence"}}));
  if (!replies[0].is(RedisReply::Type::kText)) return replies[0].text;
  const auto field = [&](absl::string_view of) {
    return InfoField(replies[0].text, of);
  };
  const auto number = [&](absl::string_view of) {
    int64_t value = 0;
    (void)absl::SimpleAtoi(field(of), &value);
    return value;
  };
  const bool runs = number("aof_rewrite_in_progress") == 1;
  const int64_t failures = number("aof_rewrites_consecutive_failures");
  // Those that were begun, all but the last failures and the one that runs:
  // there was one that did not fail.
  const bool done = number("aof_rewrites") - (runs ? 1 : 0) > failures;
  if (field("aof_enabled") != "1" || done) {
    NoteDone(*connection);
    return "";
  }
  if (!runs && number("aof_rewrite_scheduled") == 0) {
    ASSIGN_OR_RETURN(const bool allowed, Begin(connection, name));
    if (!allowed) return "";
  }
  return absl::StrCat("the Redis at ", name,
                      failures > 0
                          ? " cannot write its log anew: its own log says why"
                          : " writes its log anew after its start");
}

absl::StatusOr<bool> LogRewrite::Begin(RedisConnection* connection,
                                       absl::string_view name) {
  {
    base::MutexLock lock(&mu_);
    if (begun_run_id_ == connection->run_id() && absl::Now() < next_begin_) {
      return true;
    }
    begun_run_id_ = connection->run_id();
    next_begin_ = absl::Now() + kBeginPause;
  }
  ASSIGN_OR_RETURN(const auto begun, connection->Run({{"BGREWRITEAOF"}}));
  if (!begun[0].IsError("NOPERM") && !begun[0].IsError("ERR unknown command")) {
    return true;
  }
  base::LogWarning("the Redis at ", name, " does not let this user run ",
                   "BGREWRITEAOF: if it is killed twice, what was ",
                   "acknowledged in between may be lost");
  NoteDone(*connection);
  return false;
}

void LogRewrite::NoteDone(const RedisConnection& connection) {
  base::MutexLock lock(&mu_);
  done_run_id_ = connection.run_id();
}

}  // namespace cairn::index
