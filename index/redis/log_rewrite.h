// LogRewrite has a server write its append-only log anew before the first
// change that it is given after a start.
//
// A script that changes more than one thing is a transaction in that log. If
// Redis was killed while it wrote one, it starts with the log cut behind the
// last whole command, in the middle of the transaction (7.0; mended in Valkey
// by https://github.com/valkey-io/valkey/pull/4342). What is acknowledged after
// that is inside the unfinished transaction: at the next start it is dropped,
// or the half of the transaction comes true with it. A log that was begun after
// the start holds what Redis holds, and nothing else.

#ifndef CAIRN_INDEX_REDIS_LOG_REWRITE_H_
#define CAIRN_INDEX_REDIS_LOG_REWRITE_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "index/redis/redis_connection.h"

namespace cairn::index {

// Of one server, or of those that take its place. Thread safety: any method
// from any thread.
class LogRewrite {
 public:
  // Whether the server at the other end, `name` for people, may be given
  // changes: "", or why not yet. Begins to rewrite the log if nobody has. One
  // round trip at most, none once it was "" for this server. Without a log, or
  // the right to have it rewritten, there is nothing to wait for. kUnavailable:
  // the connection has failed.
  absl::StatusOr<std::string> WhyNotYet(RedisConnection* connection,
                                        absl::string_view name);

 private:
  // False: it is not allowed.
  absl::StatusOr<bool> Begin(RedisConnection* connection,
                             absl::string_view name);
  void NoteDone(const RedisConnection& connection);

  // Guards what follows; nothing slow.
  base::Mutex mu_;
  std::string done_run_id_ ABSL_GUARDED_BY(mu_);  // The last that was "".
  std::string begun_run_id_ ABSL_GUARDED_BY(mu_);
  absl::Time next_begin_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_LOG_REWRITE_H_
