// The embedded IndexStore: RocksDB in a directory of the master's.

#ifndef CAIRN_INDEX_ROCKSDB_ROCKSDB_INDEX_STORE_H_
#define CAIRN_INDEX_ROCKSDB_ROCKSDB_INDEX_STORE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "index/index_store.h"

namespace cairn::index {

// Opens the index in directory `path`, making it if it is missing. Writers
// wait for each other, readers for nobody. Memory is bounded whatever the
// number of keys (base/limits.h: kIndex...).
// * kInvalidArgument: no path.
// * kFailedPrecondition: another process has it open; the directory holds
//   something else, or an index of another format.
// * kDataLoss: damaged; the message says what to do.
absl::StatusOr<std::unique_ptr<IndexStore>> OpenRocksDbIndexStore(
    const std::string& path, const OpenOptions& options);

}  // namespace cairn::index

#endif  // CAIRN_INDEX_ROCKSDB_ROCKSDB_INDEX_STORE_H_
