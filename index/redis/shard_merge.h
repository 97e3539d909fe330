// ShardMerge reads the sorted sets of all shards as if they were one, in byte
// order, by short commands: a listing never holds Redis up for long.

#ifndef CAIRN_INDEX_REDIS_SHARD_MERGE_H_
#define CAIRN_INDEX_REDIS_SHARD_MERGE_H_

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "index/redis/redis_connection.h"

namespace cairn::index {

// Not thread-safe. Reads ahead: what is written meanwhile may be seen or not,
// what is there all the time is seen once.
class ShardMerge {
 public:
  struct Options {
    std::vector<std::string> sets;  // The name of each shard's set.
    // From here, inclusive; up to there, exclusive; "": to the end.
    std::string first;
    std::string end;
    // About so many are wanted: how much is read ahead.
    int64_t wanted = 1000;
    // One round trip for several commands, in the order given.
    std::function<absl::StatusOr<std::vector<RedisReply>>(
        std::vector<RedisCommand> commands)>
        run;
  };
  explicit ShardMerge(Options options);

  // The next member; nullptr at the end. Good until the next call. Blocks.
  absl::StatusOr<const std::string*> Next();
  // The next one will be the first that is not below `bound`.
  void SkipTo(absl::string_view bound);

 private:
  struct Shard {
    std::deque<std::string> members;  // Read, not yet given.
    std::string from;                 // ZRANGEBYLEX's minimum for the next.
    bool ended = false;               // Nothing comes after `members`.
  };
  absl::Status Refill();
  // The shard with the smallest member, -1: none has any.
  int Smallest();

  const Options options_;
  std::vector<Shard> shards_;
  // A heap of the shards that have members: the smallest first.
  std::vector<int> heap_;
  bool heap_valid_ = false;
  int64_t piece_;
  std::string current_;
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_SHARD_MERGE_H_
