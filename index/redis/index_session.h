// IndexSession is a Redis that has been found good to hold an index, and the
// index that this process owns in it. It notices when that is no longer so.

#ifndef CAIRN_INDEX_REDIS_INDEX_SESSION_H_
#define CAIRN_INDEX_REDIS_INDEX_SESSION_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "index/index_store.h"
#include "index/redis/redis_client.h"
#include "index/redis/redis_connection.h"
#include "index/redis/redis_uri.h"
#include "index/redis/scripts.h"

namespace cairn::index {

struct ScriptCall {
  const RedisScript* script = nullptr;
  std::vector<std::string> keys;
  std::vector<std::string> args;  // After the index's id, which comes first.
};

// In a Redis Cluster each shard has, beside its index's id, a stamp: the number
// of the last fact that was written. A shard whose stamp is older than the
// facts has lost something.
//
// Thread safety: any method from any thread. All may block, for at most about
// base::kIndexWait + base::kIndexCommandDeadline.
class IndexSession {
 public:
  // Checks the servers, makes the index if the database is empty, and takes
  // ownership. Errors: see OpenIndexStore().
  static absl::StatusOr<std::unique_ptr<IndexSession>> Open(
      const RedisUri& uri, const OpenOptions& options);
  ~IndexSession();
  IndexSession(const IndexSession&) = delete;
  IndexSession& operator=(const IndexSession&) = delete;

  const RedisUri& uri() const { return client_->uri(); }
  // What an acknowledged write may lose, "" for nothing.
  std::string risk() const;
  // Shards are on several servers, with a clock each; a script is for one.
  bool clustered() const { return client_->clustered(); }

  // How long a call that starts now may wait for Redis.
  static absl::Time Deadline();

  // Reads in one round trip; again after a failure, until `deadline`.
  // kUnavailable: it says nothing about any key. So also when Redis does not
  // hold this index any more: what is missing then is not "not there".
  absl::StatusOr<std::vector<RedisReply>> Read(
      std::vector<RedisCommand> commands, absl::Time deadline);

  // Runs each script once, or not at all, in one round trip. A reply may be an
  // error of Redis (OOM). kUnavailable: the outcome is unknown, or, if not
  // `*sent`, nothing was done.
  absl::StatusOr<std::vector<RedisReply>> Call(
      const std::vector<ScriptCall>& calls, absl::Time deadline, bool* sent);
  // Until what is in the shards of these keys, as it was read, is on a replica
  // as well, where replicas take over. Not OK: it is not known to be.
  absl::Status Confirm(const std::vector<int>& shards);
  // Call() for scripts that can be repeated at no harm: until they are done.
  absl::StatusOr<std::vector<RedisReply>> CallAgain(
      const std::vector<ScriptCall>& calls);

  absl::StatusOr<std::string> GetFact(absl::string_view name);
  absl::Status SetFact(absl::string_view name, absl::string_view value);
  absl::StatusOr<int64_t> NextNumber(absl::string_view name);

  // Whether Redis is about to be out of memory. May be
  // base::kIndexMemoryAge old, unless `fresh`.
  absl::StatusOr<bool> IsFull(bool fresh);

 private:
  IndexSession(const RedisUri& uri, const OpenOptions& options);
  absl::Status Prepare();
  absl::Status CheckServerFacts();
  // A server may have to write its log anew first (log_rewrite.h); of a cluster
  // the first node is waited for, the others when something is changed there.
  absl::Status AwaitWholeLog();
  absl::Status FindOrMakeIndex();
  // `keys`: how many the database has, all servers together.
  absl::Status MakeIndex(int64_t keys);
  absl::Status MakeIndexInOneStep();
  // Shard by shard; an interrupted one can go on.
  absl::Status MakeIndexInCluster();
  absl::Status CheckShards();
  absl::Status TakeOwnership();
  void ReleaseOwnership();
  // Of a server that was started anew or has taken over, or whose owner we have
  // not been for a while: does it still hold what we last wrote?
  absl::Status CheckFacts(RedisConnection* connection,
                          const RedisClient::Holds& holds);
  absl::Status JudgeShards(absl::Span<const RedisReply> replies,
                           int64_t stamp_min);
  RedisCommand FactsCommand();
  absl::Status JudgeFacts(const RedisReply& reply);

  // What shows, read behind `commands`, that they were read in this index.
  std::vector<RedisCommand> ChecksOf(
      absl::Span<const RedisCommand> commands) const;
  absl::StatusOr<std::vector<RedisReply>> Run(
      absl::Span<const RedisCommand> commands, absl::Time deadline,
      bool changes = false);
  // Before a fact is written: numbers it in all shards.
  absl::StatusOr<int64_t> StampShards();
  // Not OK: the index is lost, or not ours at the moment.
  absl::Status Usable(absl::Time deadline);
  absl::Status SetLost(absl::string_view why);
  void KeepOwnership();
  absl::Status Renew(absl::Time deadline);
  // What TakeOwnershipScript() answers.
  absl::StatusOr<std::string> RenewOwnership(absl::Time deadline);

  const std::unique_ptr<RedisClient> client_;
  const OpenOptions options_;
  const std::string owner_;
  std::string risk_;      // These two are set by Open().
  std::string index_id_;  // 32 hexadecimal digits, drawn with the index.

  base::Mutex mu_;
  base::CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status lost_ ABSL_GUARDED_BY(mu_);
  absl::Time owned_until_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  // What each fact may be: the last value written, and one whose outcome is
  // unknown.
  std::map<std::string, std::vector<std::string>> facts_ ABSL_GUARDED_BY(mu_);
  int64_t stamp_ ABSL_GUARDED_BY(mu_) = 0;  // That all shards have.
  bool full_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time full_known_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();

  // One fact is written at a time. Held across that.
  base::Mutex write_mu_;
  std::thread keeper_;
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_INDEX_SESSION_H_
