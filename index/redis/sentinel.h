// Asks Redis Sentinels who the master is.

#ifndef CAIRN_INDEX_REDIS_SENTINEL_H_
#define CAIRN_INDEX_REDIS_SENTINEL_H_

#include "absl/status/statusor.h"
#include "index/redis/redis_uri.h"

namespace cairn::index {

// What most recently became the master of `uri.service`, by what all Sentinels
// of the URI say that answer: one that was cut off tells what was. Blocks.
// kUnavailable: none answers. kFailedPrecondition: those that answer know no
// such master, or are no Sentinels; the message says which.
absl::StatusOr<RedisAddress> FindMaster(const RedisUri& uri);

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_SENTINEL_H_
