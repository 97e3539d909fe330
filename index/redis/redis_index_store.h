// The index in a Redis server: names hashed into shards, in each shard one
// sorted set of names and records, every change one atomic script.

#ifndef CAIRN_INDEX_REDIS_REDIS_INDEX_STORE_H_
#define CAIRN_INDEX_REDIS_REDIS_INDEX_STORE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/index_store.h"

namespace cairn::index {

// `uri` as IsRedisUri() knows it. Calls wait up to base::kIndexWait for a Redis
// that is away, then say kUnavailable. One that comes back emptied, with an
// older state, or with another index is lost: kUnavailable for good.
// Errors: see OpenIndexStore().
absl::StatusOr<std::unique_ptr<IndexStore>> OpenRedisIndexStore(
    absl::string_view uri, const OpenOptions& options);

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_REDIS_INDEX_STORE_H_
