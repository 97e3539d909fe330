#include "index/rocksdb/rocksdb_database.h"

#include <dirent.h>
#include <fcntl.h>
#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/status.h"

namespace cairn::index {
namespace {

constexpr const char* kFamilies[] = {"default",  "records",    "values",
                                     "removals", "tombstones", "meta"};
constexpr char kFormatName[] = "format";
constexpr char kFormat[] = "1";

// One budget for all column families, so that the master stays small whatever
// the number of keys: buffers, their flushed twins, and all blocks read,
// those of indexes and filters included.
rocksdb::DBOptions DatabaseOptions() {
  rocksdb::DBOptions options;
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_open_files = base::kIndexOpenFilesMax;
  options.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(
      base::kIndexWriteBufferBytes);
  options.max_total_wal_size = 4 * base::kIndexWriteBufferBytes;
  options.max_background_jobs = 2;
  // Writes back early what a compaction writes: no long stall at its end.
  options.bytes_per_sync = 1 << 20;
  // A log file of RocksDB's own that is missing or short is told at opening.
  options.track_and_verify_wals_in_manifest = true;
  options.skip_stats_update_on_db_open = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.keep_log_file_num = 3;
  options.max_log_file_size = 1 << 20;
  return options;
}

rocksdb::ColumnFamilyOptions FamilyOptions(
    absl::string_view name, const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.block_size = 16 << 10;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.format_version = 5;
  rocksdb::ColumnFamilyOptions options;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  options.compression = rocksdb::kLZ4Compression;
  options.level_compaction_dynamic_level_bytes = true;
  const bool large = name == "records" || name == "values";
  options.write_buffer_size =
      large ? base::kIndexWriteBufferBytes / 2 : (4 << 20);
  // Most commits ask for keys that are not there: no search for those.
  options.memtable_prefix_bloom_size_ratio = 0.02;
  options.memtable_whole_key_filtering = true;
  if (name == "removals" || name == "tombstones") {
    // Queues: what was taken out leaves marks that a scan must pass over.
    options.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(1024, 512, 0.5));
  }
  return options;
}

absl::Status SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return base::PosixError("open", path, errno);
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  if (result != 0) return base::PosixError("fsync", path, error);
  return absl::OkStatus();
}

// Makes `path` and its parents, durably: RocksDB syncs only what is within.
absl::Status MakeDirectories(const std::string& path) {
  struct stat found;
  if (stat(path.c_str(), &found) == 0) {
    if (S_ISDIR(found.st_mode)) return absl::OkStatus();
    return absl::FailedPreconditionError(absl::StrCat(
        path, " is a file: give a directory of its own to the index"));
  }
  const size_t slash = path.find_last_of('/');
  const std::string parent = slash == std::string::npos ? "."
                             : slash == 0               ? "/"
                                                        : path.substr(0, slash);
  RETURN_IF_ERROR(MakeDirectories(parent));
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return base::PosixError("mkdir", path, errno);
  }
  return SyncDirectory(parent);
}

// A directory that is not an index gets nothing mixed into it, and an index
// that lost its CURRENT file is not silently begun anew. What a first start
// leaves that was killed early is neither.
absl::Status CheckDirectory(const std::string& path) {
  DIR* const dir = opendir(path.c_str());
  if (dir == nullptr) return base::PosixError("opendir", path, errno);
  bool current = false;
  std::string stranger;
  while (const dirent* entry = readdir(dir)) {
    const absl::string_view name = entry->d_name;
    if (name == "CURRENT") current = true;
    const bool expected =
        name == "." || name == ".." || name == "LOCK" || name == "IDENTITY" ||
        name == "lost+found" || absl::StartsWith(name, "LOG") ||
        absl::StartsWith(name, "MANIFEST-") ||
        absl::StartsWith(name, "OPTIONS-") || absl::EndsWith(name, ".dbtmp");
    if (!expected) stranger = std::string(name);
  }
  closedir(dir);
  if (current || stranger.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(path, " is not an index, it holds ", stranger,
                   ": give a directory of its own to the index"));
}

absl::Status OpenError(const rocksdb::Status& status, const std::string& path) {
  const std::string text = status.ToString();
  if (status.IsIOError() && (absl::StrContains(text, "lock file") ||
                             absl::StrContains(text, "lock hold"))) {
    return absl::FailedPreconditionError(
        absl::StrCat("the index ", path,
                     " is in use by another process: stop that one, or give "
                     "this one an index of its own"));
  }
  if (status.IsInvalidArgument()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the index ", path, " was not made by this version of Cairn: ", text));
  }
  if (status.IsCorruption()) {
    return absl::DataLossError(
        absl::StrCat("the index ", path,
                     " is damaged: move it away and run `cairn "
                     "rebuild`; no value is lost with it. ",
                     text));
  }
  return FromRocksDb(status, absl::StrCat("cannot open the index ", path));
}

}  // namespace

absl::Status FromRocksDb(const rocksdb::Status& status,
                         absl::string_view context) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = absl::StrCat(context, ": ", status.ToString());
  if (status.IsNotFound()) return absl::NotFoundError(text);
  if (status.IsCorruption()) return absl::DataLossError(text);
  if (status.IsNoSpace()) return absl::ResourceExhaustedError(text);
  if (status.IsInvalidArgument() || status.IsNotSupported()) {
    return absl::InternalError(text);
  }
  return absl::UnavailableError(text);
}

absl::StatusOr<std::unique_ptr<RocksDbDatabase>> RocksDbDatabase::Open(
    const std::string& path) {
  RETURN_IF_ERROR(MakeDirectories(path));
  RETURN_IF_ERROR(CheckDirectory(path));
  const auto cache = rocksdb::NewLRUCache(base::kIndexCacheBytes);
  std::vector<rocksdb::ColumnFamilyDescriptor> families;
  for (const char* name : kFamilies) {
    families.emplace_back(name, FamilyOptions(name, cache));
  }
  std::unique_ptr<RocksDbDatabase> database(new RocksDbDatabase(path));
  rocksdb::DB* db = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(
      DatabaseOptions(), path, families, &database->families_, &db);
  if (!status.ok()) return OpenError(status, path);
  database->db_.reset(db);
  RETURN_IF_ERROR(database->CheckFormat());
  return database;
}

absl::Status RocksDbDatabase::CheckFormat() {
  std::string format;
  const rocksdb::Status status =
      db_->Get(rocksdb::ReadOptions(), meta(), kFormatName, &format);
  if (status.IsNotFound()) {
    rocksdb::WriteOptions synced;
    synced.sync = true;
    return FromRocksDb(db_->Put(synced, meta(), kFormatName, kFormat),
                       "writing the index's format");
  }
  RETURN_IF_ERROR(FromRocksDb(status, "reading the index's format"));
  if (format == kFormat) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "the index ", path_, " has format ", format, ", this program knows ",
      kFormat, ": use the version of Cairn that made it"));
}

RocksDbDatabase::~RocksDbDatabase() {
  if (db_ == nullptr) return;
  // With DURABILITY_OS: an orderly stop still loses nothing to a power cut.
  db_->SyncWAL().PermitUncheckedError();
  for (rocksdb::ColumnFamilyHandle* family : families_) {
    db_->DestroyColumnFamilyHandle(family).PermitUncheckedError();
  }
  db_->Close().PermitUncheckedError();
}

absl::Status RocksDbDatabase::AddClear(rocksdb::WriteBatch* batch) const {
  for (rocksdb::ColumnFamilyHandle* const family :
       {records(), values(), removals(), tombstones()}) {
    // No key of ours begins with so many of the highest byte.
    const std::string end(2 * base::kKeyBytesMax, '\xff');
    RETURN_IF_ERROR(
        FromRocksDb(batch->DeleteRange(family, "", end), "emptying the index"));
  }
  return absl::OkStatus();
}

absl::Status RocksDbDatabase::DropDeleted() const {
  for (rocksdb::ColumnFamilyHandle* const family :
       {records(), values(), removals(), tombstones()}) {
    rocksdb::CompactRangeOptions options;
    options.bottommost_level_compaction =
        rocksdb::BottommostLevelCompaction::kForce;
    RETURN_IF_ERROR(
        FromRocksDb(db_->CompactRange(options, family, nullptr, nullptr),
                    "emptying the index"));
  }
  return absl::OkStatus();
}

int64_t RocksDbDatabase::FreeBytes() const {
  struct statvfs found;
  // Not a reason to refuse writes: the write itself will tell.
  if (statvfs(path_.c_str(), &found) != 0) return INT64_MAX;
  return static_cast<int64_t>(found.f_bavail) *
         static_cast<int64_t>(found.f_frsize);
}

}  // namespace cairn::index
