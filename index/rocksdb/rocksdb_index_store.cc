#include "index/rocksdb/rocksdb_index_store.h"

#include <rocksdb/db.h>
#include <rocksdb/snapshot.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/mutex.h"
#include "base/status.h"
#include "index/commit_rules.h"
#include "index/page_builder.h"
#include "index/record_encoding.h"
#include "index/rocksdb/rocksdb_database.h"
#include "index/rocksdb/write_group.h"

namespace cairn::index {
namespace {

// What the index holds of one key while a group is worked on.
struct Current {
  absl::Status status;  // Not OK: it could not be read.
  std::optional<v1::Record> record;

  const v1::Record* get() const {
    return record.has_value() ? &*record : nullptr;
  }
};

std::string FactName(absl::string_view name) {
  return absl::StrCat("fact/", name);
}
std::string NumberName(absl::string_view name) {
  return absl::StrCat("number/", name);
}

absl::StatusOr<bool> HasAll(WriteGroup* write,
                            const std::vector<Removal>& removals) {
  for (const Removal& removal : removals) {
    ASSIGN_OR_RETURN(const bool there, write->HasRemoval(removal));
    if (!there) return false;
  }
  return true;
}

class RocksDbIndexStore final : public IndexStore {
 public:
  RocksDbIndexStore(std::unique_ptr<RocksDbDatabase> database, Counts counts,
                    const OpenOptions& options)
      : options_(options),
        database_(std::move(database)),
        counts_(std::move(counts)) {}

  absl::StatusOr<std::vector<absl::StatusOr<Found>>> Lookup(
      absl::Span<const std::string> keys, bool with_values) override;
  absl::StatusOr<std::vector<MutationResult>> Commit(
      absl::Span<const Mutation> group, int64_t index_time_ms) override;
  absl::Status Restore(absl::Span<const Mutation> restores,
                       absl::Span<const Removal> removals) override;
  bool commits_wait() const override { return synced(); }
  absl::StatusOr<Page> Scan(const ScanOptions& options) override;
  absl::StatusOr<std::vector<Removal>> Removals(uint32_t volume_id,
                                                int64_t limit,
                                                std::string* cursor) override;
  absl::Status FinishRemovals(absl::Span<const Removal> done) override;
  absl::Status AddRemovals(absl::Span<const Removal> removals) override;
  absl::StatusOr<bool> HasRemoval(const Removal& removal) override;
  absl::StatusOr<int64_t> ForgetTombstones(int64_t before_ms,
                                           int64_t limit) override;
  absl::Status Clear() override;
  absl::StatusOr<std::string> GetMeta(absl::string_view name) override;
  absl::Status SetMeta(absl::string_view name,
                       absl::string_view value) override;
  absl::StatusOr<int64_t> NextNumber(absl::string_view name) override;
  IndexStats Stats() override;
  absl::Status Walk(
      bool with_values,
      const std::function<absl::Status(absl::string_view key,
                                       const Found& found)>& visit) override;
  std::string uri() const override {
    return absl::StrCat("rocksdb:", database_->path());
  }

 private:
  rocksdb::DB* db() const { return database_->db(); }
  bool IsFull() const {
    return database_->FreeBytes() < options_.free_bytes_min;
  }
  bool synced() const { return options_.durability != v1::DURABILITY_OS; }

  // Values of `keys` in one column family, as MultiGet gives them.
  struct Read {
    std::vector<rocksdb::PinnableSlice> values;
    std::vector<rocksdb::Status> statuses;
  };
  Read ReadAll(rocksdb::ColumnFamilyHandle* family,
               const std::vector<rocksdb::Slice>& keys,
               const rocksdb::Snapshot* snapshot) const;
  using CurrentMap = absl::flat_hash_map<absl::string_view, Current>;
  CurrentMap ReadCurrent(absl::Span<const Mutation> group) const;
  absl::Status AddValues(absl::Span<const std::string> keys,
                         const rocksdb::Snapshot* snapshot,
                         std::vector<absl::StatusOr<Found>>* found) const;

  // Entries of the queue for `key` on all volumes, at most `limit`.
  absl::StatusOr<std::vector<Removal>> RemovalsOfKey(absl::string_view key,
                                                     int64_t limit);
  // Old tombstones, at most `limit`, whose key has no entry in the queue.
  absl::StatusOr<std::vector<TombstoneEntry>> FindForgettable(int64_t before_ms,
                                                              int64_t limit);

  absl::Status Write(WriteGroup* group, bool sync)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);
  absl::Status WriteBatch(rocksdb::WriteBatch* batch, bool sync)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_);

  const OpenOptions options_;
  const std::unique_ptr<RocksDbDatabase> database_;

  // Held across reading, deciding and writing: that is what makes a commit one
  // step. The master commits on one thread, so hardly anybody ever waits.
  base::Mutex write_mu_;
  // The last write failed: RocksDB refuses more until it is asked to resume.
  bool write_failed_ ABSL_GUARDED_BY(write_mu_) = false;

  // Guards copies in memory; nothing slow.
  base::Mutex counts_mu_;
  Counts counts_ ABSL_GUARDED_BY(counts_mu_);
  // Where the next search for forgettable tombstones goes on.
  std::string forget_cursor_ ABSL_GUARDED_BY(counts_mu_);
};

RocksDbIndexStore::Read RocksDbIndexStore::ReadAll(
    rocksdb::ColumnFamilyHandle* family,
    const std::vector<rocksdb::Slice>& keys,
    const rocksdb::Snapshot* snapshot) const {
  Read read;
  read.values.resize(keys.size());
  read.statuses.resize(keys.size());
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  db()->MultiGet(options, family, keys.size(), keys.data(), read.values.data(),
                 read.statuses.data());
  return read;
}

absl::StatusOr<std::vector<absl::StatusOr<Found>>> RocksDbIndexStore::Lookup(
    absl::Span<const std::string> keys, bool with_values) {
  // Records and values of one moment.
  std::optional<rocksdb::ManagedSnapshot> snapshot;
  if (with_values) snapshot.emplace(db());
  const rocksdb::Snapshot* const moment =
      with_values ? snapshot->snapshot() : nullptr;
  const std::vector<rocksdb::Slice> slices(keys.begin(), keys.end());
  const Read read = ReadAll(database_->records(), slices, moment);
  std::vector<absl::StatusOr<Found>> found;
  found.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (read.statuses[i].IsNotFound()) {
      found.emplace_back(absl::NotFoundError("the key does not exist"));
      continue;
    }
    absl::Status status = FromRocksDb(read.statuses[i], "reading a record");
    Found one;
    if (status.ok()) {
      status = DecodeRecord(ToView(read.values[i]), &one.record);
    }
    if (status.ok()) {
      found.emplace_back(std::move(one));
    } else {
      found.emplace_back(std::move(status));
    }
  }
  if (with_values) RETURN_IF_ERROR(AddValues(keys, moment, &found));
  return found;
}

absl::Status RocksDbIndexStore::AddValues(
    absl::Span<const std::string> keys, const rocksdb::Snapshot* snapshot,
    std::vector<absl::StatusOr<Found>>* found) const {
  std::vector<rocksdb::Slice> slices;
  std::vector<Found*> takers;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!(*found)[i].ok()) continue;
    Found& one = *(*found)[i];
    if (one.record.tombstone() ||
        one.record.size_bytes() > base::kInlineBytesMax) {
      continue;
    }
    slices.emplace_back(keys[i]);
    takers.push_back(&one);
  }
  if (slices.empty()) return absl::OkStatus();
  const Read read = ReadAll(database_->values(), slices, snapshot);
  for (size_t i = 0; i < slices.size(); ++i) {
    if (read.statuses[i].IsNotFound()) continue;
    RETURN_IF_ERROR(FromRocksDb(read.statuses[i], "reading a value"));
    absl::string_view bytes = ToView(read.values[i]);
    if (bytes.empty() || bytes[0] != kInlinedValue) {
      return absl::DataLossError("the index holds a damaged value");
    }
    bytes.remove_prefix(1);
    takers[i]->has_value = true;
    takers[i]->value.assign(bytes.data(), bytes.size());
  }
  return absl::OkStatus();
}

RocksDbIndexStore::CurrentMap RocksDbIndexStore::ReadCurrent(
    absl::Span<const Mutation> group) const {
  CurrentMap current;
  std::vector<rocksdb::Slice> keys;
  keys.reserve(group.size());
  for (const Mutation& mutation : group) {
    if (current.try_emplace(mutation.key).second) {
      keys.emplace_back(mutation.key);
    }
  }
  const Read read = ReadAll(database_->records(), keys, nullptr);
  for (size_t i = 0; i < keys.size(); ++i) {
    if (read.statuses[i].IsNotFound()) continue;
    Current& one = current[ToView(keys[i])];
    one.status = FromRocksDb(read.statuses[i], "reading a record");
    if (!one.status.ok()) continue;
    one.record.emplace();
    one.status = DecodeRecord(ToView(read.values[i]), &*one.record);
  }
  return current;
}

absl::StatusOr<std::vector<MutationResult>> RocksDbIndexStore::Commit(
    absl::Span<const Mutation> group, int64_t index_time_ms) {
  std::vector<MutationResult> results;
  results.reserve(group.size());
  {
    base::MutexLock lock(&write_mu_);
    CurrentMap current = ReadCurrent(group);
    const bool full = IsFull();
    WriteGroup write(database_.get());
    for (const Mutation& mutation : group) {
      Current& of_key = current[mutation.key];
      if (!of_key.status.ok()) {
        results.emplace_back().status = of_key.status;
        continue;
      }
      Decision decision = Decide(of_key.get(), mutation, index_time_ms, full);
      ASSIGN_OR_RETURN(const bool all_there, HasAll(&write, decision.takes));
      if (!all_there) decision = TargetGone(*of_key.record);
      if (decision.changes) {
        RETURN_IF_ERROR(write.Apply(mutation, of_key.get(), decision));
        of_key.record = std::move(decision.record);
        decision.result.removals = std::move(decision.removals);
      }
      results.push_back(std::move(decision.result));
    }
    RETURN_IF_ERROR(Write(&write, synced()));
  }
  // Only now does the queue hold what this group put there.
  for (size_t i = 0; i < group.size(); ++i) {
    if (group[i].kind != Mutation::Kind::kDelete || !results[i].status.ok()) {
      continue;
    }
    ASSIGN_OR_RETURN(results[i].removals,
                     RemovalsOfKey(group[i].key, INT64_MAX));
  }
  return results;
}

// What is durable after it lies behind it in the same log, which is synced and
// read again from its front.
absl::Status RocksDbIndexStore::Restore(absl::Span<const Mutation> restores,
                                        absl::Span<const Removal> removals) {
  base::MutexLock lock(&write_mu_);
  CurrentMap current = ReadCurrent(restores);
  const bool full = IsFull();
  WriteGroup write(database_.get());
  for (const Mutation& mutation : restores) {
    Current& of_key = current[mutation.key];
    RETURN_IF_ERROR(of_key.status);
    Decision decision =
        Decide(of_key.get(), mutation, /*index_time_ms=*/0, full);
    RETURN_IF_ERROR(decision.result.status);
    RETURN_IF_ERROR(write.Apply(mutation, of_key.get(), decision));
    of_key.record = std::move(decision.record);
  }
  for (const Removal& removal : removals) {
    RETURN_IF_ERROR(write.AddRemoval(removal));
  }
  return Write(&write, /*sync=*/false);
}

absl::Status RocksDbIndexStore::Write(WriteGroup* group, bool sync) {
  if (group->batch()->Count() == 0) return absl::OkStatus();
  {
    base::MutexLock lock(&counts_mu_);
    group->PutCounts(counts_);
  }
  RETURN_IF_ERROR(WriteBatch(group->batch(), sync));
  base::MutexLock lock(&counts_mu_);
  counts_.Add(group->change());
  return absl::OkStatus();
}

absl::Status RocksDbIndexStore::WriteBatch(rocksdb::WriteBatch* batch,
                                           bool sync) {
  if (write_failed_) {
    RETURN_IF_ERROR(FromRocksDb(db()->Resume(), "the index takes no writes"));
    write_failed_ = false;
    base::LogInfo("the index takes writes again");
  }
  rocksdb::WriteOptions options;
  options.sync = sync;
  const rocksdb::Status status = db()->Write(options, batch);
  if (status.ok()) return absl::OkStatus();
  write_failed_ = true;
  // Whatever the cause: it may be on disk all the same.
  return absl::UnavailableError(
      absl::StrCat("writing the index: ", status.ToString()));
}

absl::StatusOr<IndexStore::Page> RocksDbIndexStore::Scan(
    const ScanOptions& options) {
  if (options.limit < 1) {
    return absl::InvalidArgumentError("the limit of a listing is at least 1");
  }
  PageBuilder builder(options);
  const std::optional<std::string> end = builder.End();
  rocksdb::Slice bound;
  rocksdb::ReadOptions read;
  if (end.has_value()) {
    bound = *end;
    read.iterate_upper_bound = &bound;
  }
  const std::unique_ptr<rocksdb::Iterator> it(
      db()->NewIterator(read, database_->records()));
  absl::Status damaged;
  const auto decode = [&] {
    v1::Record record;
    damaged.Update(DecodeRecord(ToView(it->value()), &record));
    return record;
  };
  auto then = PageBuilder::Then::kNext;
  it->Seek(builder.First());
  while (it->Valid() && then != PageBuilder::Then::kDone) {
    if (IsTombstone(ToView(it->value())) && !options.with_tombstones) {
      it->Next();
      continue;
    }
    then = builder.Add(ToView(it->key()), decode);
    if (then == PageBuilder::Then::kNext) {
      it->Next();
    } else if (then == PageBuilder::Then::kSkip) {
      it->Seek(builder.skip_to());
    }
  }
  RETURN_IF_ERROR(damaged);
  RETURN_IF_ERROR(FromRocksDb(it->status(), "listing keys"));
  return builder.Take();
}

absl::StatusOr<std::vector<Removal>> RocksDbIndexStore::Removals(
    uint32_t volume_id, int64_t limit, std::string* cursor) {
  std::vector<Removal> removals;
  {
    // An empty queue may still be full of marks of what was taken out.
    base::MutexLock lock(&counts_mu_);
    if (!counts_.removals.contains(volume_id)) return removals;
  }
  const std::string prefix = RemovalPrefix(volume_id);
  const std::optional<std::string> end = AfterPrefix(prefix);
  rocksdb::Slice bound;
  rocksdb::ReadOptions read;
  if (end.has_value()) {
    bound = *end;
    read.iterate_upper_bound = &bound;
  }
  const std::unique_ptr<rocksdb::Iterator> it(
      db()->NewIterator(read, database_->removals()));
  // The smallest key after the cursor has one NUL more.
  it->Seek(cursor->empty() ? prefix
                           : absl::StrCat(*cursor, absl::string_view("\0", 1)));
  for (; it->Valid() && static_cast<int64_t>(removals.size()) < limit;
       it->Next()) {
    ASSIGN_OR_RETURN(Removal removal, DecodeRemoval(ToView(it->key())));
    removals.push_back(std::move(removal));
    *cursor = it->key().ToString();
  }
  RETURN_IF_ERROR(FromRocksDb(it->status(), "reading the removal queue"));
  return removals;
}

absl::StatusOr<std::vector<Removal>> RocksDbIndexStore::RemovalsOfKey(
    absl::string_view key, int64_t limit) {
  std::vector<uint32_t> volumes;
  {
    base::MutexLock lock(&counts_mu_);
    for (const auto& [id, count] : counts_.removals) volumes.push_back(id);
  }
  std::sort(volumes.begin(), volumes.end());
  std::vector<Removal> removals;
  for (const uint32_t volume_id : volumes) {
    const std::string prefix = RemovalPrefix(volume_id, key);
    const std::optional<std::string> end = AfterPrefix(prefix);
    rocksdb::Slice bound;
    rocksdb::ReadOptions read;
    if (end.has_value()) {
      bound = *end;
      read.iterate_upper_bound = &bound;
    }
    const std::unique_ptr<rocksdb::Iterator> it(
        db()->NewIterator(read, database_->removals()));
    for (it->Seek(prefix);
         it->Valid() && static_cast<int64_t>(removals.size()) < limit;
         it->Next()) {
      ASSIGN_OR_RETURN(Removal removal, DecodeRemoval(ToView(it->key())));
      removals.push_back(std::move(removal));
    }
    RETURN_IF_ERROR(FromRocksDb(it->status(), "reading the removal queue"));
  }
  return removals;
}

absl::Status RocksDbIndexStore::FinishRemovals(absl::Span<const Removal> done) {
  base::MutexLock lock(&write_mu_);
  WriteGroup write(database_.get());
  for (const Removal& removal : done) {
    RETURN_IF_ERROR(write.TakeRemoval(removal));
  }
  return Write(&write, /*sync=*/false);
}

absl::Status RocksDbIndexStore::AddRemovals(
    absl::Span<const Removal> removals) {
  base::MutexLock lock(&write_mu_);
  WriteGroup write(database_.get());
  for (const Removal& removal : removals) {
    RETURN_IF_ERROR(write.AddRemoval(removal));
  }
  return Write(&write, synced());
}

absl::StatusOr<bool> RocksDbIndexStore::HasRemoval(const Removal& removal) {
  rocksdb::PinnableSlice value;
  const rocksdb::Status status =
      db()->Get(rocksdb::ReadOptions(), database_->removals(),
                EncodeRemoval(removal), &value);
  if (status.IsNotFound()) return false;
  RETURN_IF_ERROR(FromRocksDb(status, "reading the removal queue"));
  return true;
}

absl::StatusOr<std::vector<TombstoneEntry>> RocksDbIndexStore::FindForgettable(
    int64_t before_ms, int64_t limit) {
  std::string from;
  {
    base::MutexLock lock(&counts_mu_);
    if (counts_.tombstones == 0) return std::vector<TombstoneEntry>();
    from.swap(forget_cursor_);
  }
  const std::string end = EncodeNumber(std::max<int64_t>(before_ms, 0));
  const rocksdb::Slice bound(end);
  rocksdb::ReadOptions read;
  read.iterate_upper_bound = &bound;
  const std::unique_ptr<rocksdb::Iterator> it(
      db()->NewIterator(read, database_->tombstones()));
  std::vector<TombstoneEntry> entries;
  int looked_at = 0;
  for (it->Seek(from); it->Valid(); it->Next()) {
    if (static_cast<int64_t>(entries.size()) >= limit ||
        ++looked_at > base::kForgetScanMax) {
      // Those that must wait do not keep the others from their turn.
      base::MutexLock lock(&counts_mu_);
      forget_cursor_ = it->key().ToString();
      break;
    }
    ASSIGN_OR_RETURN(TombstoneEntry entry, DecodeTombstone(ToView(it->key())));
    ASSIGN_OR_RETURN(const auto queued, RemovalsOfKey(entry.key, 1));
    if (queued.empty()) entries.push_back(std::move(entry));
  }
  RETURN_IF_ERROR(FromRocksDb(it->status(), "reading the tombstones"));
  return entries;
}

absl::StatusOr<int64_t> RocksDbIndexStore::ForgetTombstones(int64_t before_ms,
                                                            int64_t limit) {
  ASSIGN_OR_RETURN(const auto entries, FindForgettable(before_ms, limit));
  if (entries.empty()) return 0;
  // Found without the lock: what has changed since is left alone.
  base::MutexLock lock(&write_mu_);
  WriteGroup write(database_.get());
  int64_t forgotten = 0;
  for (const TombstoneEntry& entry : entries) {
    std::string bytes;
    const rocksdb::Status status = db()->Get(
        rocksdb::ReadOptions(), database_->records(), entry.key, &bytes);
    if (status.IsNotFound()) continue;
    RETURN_IF_ERROR(FromRocksDb(status, "reading a record"));
    v1::Record record;
    RETURN_IF_ERROR(DecodeRecord(bytes, &record));
    ASSIGN_OR_RETURN(const auto queued, RemovalsOfKey(entry.key, 1));
    if (!record.tombstone() || !queued.empty() ||
        record.version().time_ms() != entry.time_ms) {
      continue;
    }
    RETURN_IF_ERROR(write.ForgetTombstone(entry.key, record));
    ++forgotten;
  }
  RETURN_IF_ERROR(Write(&write, synced()));
  return forgotten;
}

absl::Status RocksDbIndexStore::Clear() {
  base::MutexLock lock(&write_mu_);
  rocksdb::WriteBatch batch;
  RETURN_IF_ERROR(database_->AddClear(&batch));
  {
    base::MutexLock counts(&counts_mu_);
    AddClearCounts(*database_, counts_, &batch);
  }
  RETURN_IF_ERROR(WriteBatch(&batch, /*sync=*/true));
  {
    base::MutexLock counts(&counts_mu_);
    counts_ = Counts();
    forget_cursor_.clear();
  }
  return database_->DropDeleted();
}

absl::StatusOr<std::string> RocksDbIndexStore::GetMeta(absl::string_view name) {
  std::string value;
  RETURN_IF_ERROR(
      FromRocksDb(db()->Get(rocksdb::ReadOptions(), database_->meta(),
                            FactName(name), &value),
                  absl::StrCat("reading ", name)));
  return value;
}

absl::Status RocksDbIndexStore::SetMeta(absl::string_view name,
                                        absl::string_view value) {
  base::MutexLock lock(&write_mu_);
  rocksdb::WriteBatch batch;
  batch.Put(database_->meta(), FactName(name), ToSlice(value));
  return WriteBatch(&batch, /*sync=*/true);
}

absl::StatusOr<int64_t> RocksDbIndexStore::NextNumber(absl::string_view name) {
  base::MutexLock lock(&write_mu_);
  std::string bytes;
  const rocksdb::Status status = db()->Get(
      rocksdb::ReadOptions(), database_->meta(), NumberName(name), &bytes);
  int64_t number = 0;
  if (!status.IsNotFound()) {
    RETURN_IF_ERROR(FromRocksDb(status, absl::StrCat("reading ", name)));
    ASSIGN_OR_RETURN(number, DecodeNumber(bytes));
  }
  ++number;
  rocksdb::WriteBatch batch;
  batch.Put(database_->meta(), NumberName(name), EncodeNumber(number));
  RETURN_IF_ERROR(WriteBatch(&batch, /*sync=*/true));
  return number;
}

IndexStats RocksDbIndexStore::Stats() {
  IndexStats stats;
  stats.full = IsFull();
  base::MutexLock lock(&counts_mu_);
  stats.keys_count = counts_.keys;
  stats.tombstones_count = counts_.tombstones;
  for (const auto& [id, count] : counts_.removals) {
    stats.removals_count += count;
  }
  return stats;
}

absl::Status RocksDbIndexStore::Walk(
    bool with_values,
    const std::function<absl::Status(absl::string_view key,
                                     const Found& found)>& visit) {
  rocksdb::ManagedSnapshot snapshot(db());
  rocksdb::ReadOptions read;
  read.snapshot = snapshot.snapshot();
  read.fill_cache = false;  // A walk must not push out what lookups need.
  read.readahead_size = 1 << 20;
  const std::unique_ptr<rocksdb::Iterator> it(
      db()->NewIterator(read, database_->records()));
  std::unique_ptr<rocksdb::Iterator> values;
  if (with_values) {
    values.reset(db()->NewIterator(read, database_->values()));
    values->SeekToFirst();
  }
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    Found found;
    RETURN_IF_ERROR(DecodeRecord(ToView(it->value()), &found.record));
    // Both are in byte order: one step beside the other.
    while (values != nullptr && values->Valid() &&
           values->key().compare(it->key()) < 0) {
      values->Next();
    }
    if (values != nullptr && values->Valid() && values->key() == it->key() &&
        values->value().size() > 0) {
      found.has_value = true;
      found.value.assign(values->value().data() + 1,
                         values->value().size() - 1);
    }
    RETURN_IF_ERROR(visit(ToView(it->key()), found));
  }
  if (values != nullptr) {
    RETURN_IF_ERROR(FromRocksDb(values->status(), "walking the values"));
  }
  return FromRocksDb(it->status(), "walking the index");
}

}  // namespace

absl::StatusOr<std::unique_ptr<IndexStore>> OpenRocksDbIndexStore(
    const std::string& path, const OpenOptions& options) {
  if (path.empty()) {
    return absl::InvalidArgumentError(
        "the index has no path: give it as rocksdb:PATH");
  }
  ASSIGN_OR_RETURN(auto database, RocksDbDatabase::Open(path));
  ASSIGN_OR_RETURN(Counts counts, ReadCounts(*database));
  return std::make_unique<RocksDbIndexStore>(std::move(database),
                                             std::move(counts), options);
}

}  // namespace cairn::index
