#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "index/index_store.h"
#include "index/redis/redis_index_store.h"
#include "index/redis/redis_uri.h"
#include "index/rocksdb/rocksdb_index_store.h"

namespace cairn::index {

absl::StatusOr<std::unique_ptr<IndexStore>> OpenIndexStore(
    absl::string_view uri, const OpenOptions& options) {
  absl::string_view path = uri;
  if (absl::ConsumePrefix(&path, "rocksdb:")) {
    return OpenRocksDbIndexStore(std::string(path), options);
  }
  if (IsRedisUri(uri)) return OpenRedisIndexStore(uri, options);
  // The scheme alone: what follows may hold a password.
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown kind of index \"", uri.substr(0, uri.find(':')),
      "\": give rocksdb:PATH, redis://host:port, redis+unix:///PATH, "
      "redis+cluster://host:port,host:port or "
      "redis+sentinel://host:port,host:port/name"));
}

}  // namespace cairn::index
