// The opened RocksDB database of an index: its column families, its options,
// and the one place where a RocksDB status becomes ours.

#ifndef CAIRN_INDEX_ROCKSDB_ROCKSDB_DATABASE_H_
#define CAIRN_INDEX_ROCKSDB_ROCKSDB_DATABASE_H_

#include <rocksdb/db.h>
#include <rocksdb/write_batch.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cairn::index {

// kUnavailable for what may pass (I/O errors, load), kDataLoss for damaged
// files, kResourceExhausted for a full disk, kNotFound.
absl::Status FromRocksDb(const rocksdb::Status& status,
                         absl::string_view context);

inline rocksdb::Slice ToSlice(absl::string_view bytes) {
  return {bytes.data(), bytes.size()};
}
inline absl::string_view ToView(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// Thread safety: as rocksdb::DB, any thread.
class RocksDbDatabase {
 public:
  // Opens the database in directory `path`, which is made, with its parents,
  // if it is missing.
  // * kFailedPrecondition: another process has it open; the directory holds
  //   something else; it was made by a newer program.
  // * kDataLoss: it is damaged.
  static absl::StatusOr<std::unique_ptr<RocksDbDatabase>> Open(
      const std::string& path);
  // Waits for background work to stop. What was written stays.
  ~RocksDbDatabase();
  RocksDbDatabase(const RocksDbDatabase&) = delete;
  RocksDbDatabase& operator=(const RocksDbDatabase&) = delete;

  rocksdb::DB* db() const { return db_.get(); }
  rocksdb::ColumnFamilyHandle* records() const { return families_[1]; }
  rocksdb::ColumnFamilyHandle* values() const { return families_[2]; }
  rocksdb::ColumnFamilyHandle* removals() const { return families_[3]; }
  rocksdb::ColumnFamilyHandle* tombstones() const { return families_[4]; }
  rocksdb::ColumnFamilyHandle* meta() const { return families_[5]; }
  const std::string& path() const { return path_; }

  // Adds to `batch` that all but meta() is deleted.
  absl::Status AddClear(rocksdb::WriteBatch* batch) const;
  // Frees the room of what AddClear() has deleted: reads need not pass over it
  // any more. Blocks.
  absl::Status DropDeleted() const;

  // Free for this process on the file system of the index.
  int64_t FreeBytes() const;

 private:
  explicit RocksDbDatabase(std::string path) : path_(std::move(path)) {}
  absl::Status CheckFormat();

  const std::string path_;
  std::unique_ptr<rocksdb::DB> db_;
  // In the order of kFamilies; owned, closed before db_.
  std::vector<rocksdb::ColumnFamilyHandle*> families_;
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_ROCKSDB_ROCKSDB_DATABASE_H_
