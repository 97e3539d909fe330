// ReplicaWait lets a change count only when a replica of its server has it, so
// that a failover to that replica loses nothing that was acknowledged.

#ifndef CAIRN_INDEX_REDIS_REPLICA_WAIT_H_
#define CAIRN_INDEX_REDIS_REPLICA_WAIT_H_

#include <atomic>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "index/redis/redis_connection.h"

namespace cairn::index {

// For one server. Thread safety: any method from any thread.
class ReplicaWait {
 public:
  // To be sent behind the changes, on the same connection.
  RedisCommand Question() const;

  // `answer` came to the Question(). Asks again on `connection`, to the server
  // `name`, until `deadline`. True: a replica has all changes of this
  // connection; false: the server has no replica. Not OK: there is one, and it
  // is not known to have them; the connection must not be used again if it has
  // failed.
  absl::StatusOr<bool> Settle(const RedisReply& answer,
                              RedisConnection* connection,
                              absl::string_view name, absl::Time deadline);

  // As of the last change: the server alone has it.
  bool alone() const { return alone_; }

 private:
  // Whether a replica is connected and in step, as INFO has it.
  bool Note(const RedisReply& info, absl::string_view name);

  // Guesses from the last answer, for the next question: any order will do.
  std::atomic<bool> has_replica_{false};
  std::atomic<bool> alone_{false};
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_REPLICA_WAIT_H_
