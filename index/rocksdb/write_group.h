// WriteGroup gathers what one write changes: a batch for RocksDB and what it
// does to the counters, which are stored in the same batch.

#ifndef CAIRN_INDEX_ROCKSDB_WRITE_GROUP_H_
#define CAIRN_INDEX_ROCKSDB_WRITE_GROUP_H_

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "index/commit_rules.h"
#include "index/index_store.h"
#include "index/record_encoding.h"
#include "index/rocksdb/rocksdb_database.h"

namespace cairn::index {

// Of the whole index, or a change of it.
struct Counts {
  int64_t keys = 0;
  int64_t tombstones = 0;
  // Entries of the removal queue by volume id; none is 0 in a whole index.
  absl::flat_hash_map<uint32_t, int64_t> removals;

  void Add(const Counts& change);
};

// kDataLoss, kUnavailable.
absl::StatusOr<Counts> ReadCounts(const RocksDbDatabase& database);

// Adds to `batch` that all counters are 0; `before` are those that are stored.
void AddClearCounts(const RocksDbDatabase& database, const Counts& before,
                    rocksdb::WriteBatch* batch);

// One thread at a time. Between the first call of a group and its write
// nothing else may write: entries are counted by looking whether they exist.
class WriteGroup {
 public:
  // `database` must outlive the group.
  explicit WriteGroup(RocksDbDatabase* database) : database_(database) {}

  // Puts what was decided of `mutation` into the group. `current` is the
  // key's record before; nullptr: none.
  absl::Status Apply(const Mutation& mutation, const v1::Record* current,
                     const Decision& decision);
  // No effect when the entry is there already; or, to remove, is not.
  absl::Status AddRemoval(const Removal& removal);
  absl::Status TakeRemoval(const Removal& removal);
  // Whether the queue holds the entry, with what this group does to it.
  absl::StatusOr<bool> HasRemoval(const Removal& removal) {
    return HasRemoval(EncodeRemoval(removal));
  }
  // Forgets the tombstone `record` of a key; its own blobs enter the queue.
  absl::Status ForgetTombstone(const std::string& key,
                               const v1::Record& record);

  // Adds to the batch the counters that this group changes, given those
  // before it. Call last.
  void PutCounts(const Counts& before);

  rocksdb::WriteBatch* batch() { return &batch_; }
  const Counts& change() const { return change_; }

 private:
  absl::StatusOr<bool> HasRemoval(const std::string& encoded);
  void PutValue(const Mutation& mutation, const v1::Record* current);

  RocksDbDatabase* const database_;
  rocksdb::WriteBatch batch_;
  Counts change_;
  // Entries of the queue that this group has put (true) or deleted.
  absl::flat_hash_map<std::string, bool> touched_;
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_ROCKSDB_WRITE_GROUP_H_
