#include "index/redis/replica_wait.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/logging.h"
#include "base/status.h"

namespace cairn::index {
namespace {

// One WAIT. A replica answers at once; one that has gone is noticed by asking
// for the replicas between two.
constexpr absl::Duration kWaitMax = absl::Milliseconds(500);

RedisCommand Wait() {
  return {"WAIT", "1", absl::StrCat(absl::ToInt64Milliseconds(kWaitMax))};
}

}  // namespace

RedisCommand ReplicaWait::Question() const {
  return has_replica_ ? Wait() : RedisCommand{"INFO", "replication"};
}

bool ReplicaWait::Note(const RedisReply& info, absl::string_view name) {
  // "slave0:ip=...,port=...,state=online,offset=...,lag=0"
  const bool has_replica = absl::StrContains(info.text, "state=online");
  has_replica_ = has_replica;
  const bool was_alone = alone_.exchange(!has_replica);
  if (!was_alone && !has_replica) {
    base::LogWarning("no replica is connected to the Redis at ", name,
                     ": what is acknowledged from now on is there alone");
  } else if (was_alone && has_replica) {
    base::LogInfo("a replica is connected to the Redis at ", name, " again");
  }
  return has_replica;
}

absl::StatusOr<bool> ReplicaWait::Settle(const RedisReply& answer,
                                         RedisConnection* connection,
                                         absl::string_view name,
                                         absl::Time deadline) {
  RedisReply last = answer;
  for (;;) {
    if (last.is(RedisReply::Type::kError)) {
      return absl::UnavailableError(
          absl::StrCat("Redis does not tell of its replicas: ", last.text));
    }
    if (last.is(RedisReply::Type::kInteger)) {
      if (last.integer > 0) return true;
      if (absl::Now() > deadline) {
        return absl::UnavailableError(
            absl::StrCat("no replica of the Redis at ", name,
                         " has taken the change in time"));
      }
      ASSIGN_OR_RETURN(auto info, connection->Run({{"INFO", "replication"}}));
      last = std::move(info[0]);
      continue;
    }
    if (!Note(last, name)) return false;
    ASSIGN_OR_RETURN(auto waited, connection->Run({Wait()}));
    last = std::move(waited[0]);
  }
}

}  // namespace cairn::index
