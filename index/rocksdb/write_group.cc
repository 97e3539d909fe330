#include "index/rocksdb/write_group.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/limits.h"
#include "base/status.h"
#include "index/record_encoding.h"
#include "proto/convert.h"

namespace cairn::index {
namespace {

constexpr char kKeysName[] = "count/keys";
constexpr char kTombstonesName[] = "count/tombstones";
constexpr absl::string_view kRemovalsPrefix = "count/removals/";

std::string RemovalsName(uint32_t volume_id) {
  return absl::StrCat(kRemovalsPrefix, VolumeIdText(volume_id));
}

}  // namespace

void Counts::Add(const Counts& change) {
  keys += change.keys;
  tombstones += change.tombstones;
  for (const auto& [volume_id, count] : change.removals) {
    const auto it = removals.try_emplace(volume_id, 0).first;
    it->second += count;
    if (it->second == 0) removals.erase(it);
  }
}

absl::StatusOr<Counts> ReadCounts(const RocksDbDatabase& database) {
  Counts counts;
  const std::unique_ptr<rocksdb::Iterator> it(
      database.db()->NewIterator(rocksdb::ReadOptions(), database.meta()));
  for (it->Seek("count/"); it->Valid(); it->Next()) {
    absl::string_view name = ToView(it->key());
    if (!absl::ConsumePrefix(&name, "count/")) break;
    ASSIGN_OR_RETURN(const int64_t number, DecodeNumber(ToView(it->value())));
    if (name == "keys") {
      counts.keys = number;
    } else if (name == "tombstones") {
      counts.tombstones = number;
    } else if (absl::ConsumePrefix(&name, "removals/")) {
      uint32_t volume_id = 0;
      if (!absl::SimpleHexAtoi(name, &volume_id)) continue;
      counts.removals[volume_id] = number;
    }
  }
  RETURN_IF_ERROR(FromRocksDb(it->status(), "reading the index's counters"));
  return counts;
}

void AddClearCounts(const RocksDbDatabase& database, const Counts& before,
                    rocksdb::WriteBatch* batch) {
  batch->Delete(database.meta(), kKeysName);
  batch->Delete(database.meta(), kTombstonesName);
  for (const auto& [volume_id, count] : before.removals) {
    batch->Delete(database.meta(), RemovalsName(volume_id));
  }
}

absl::Status WriteGroup::Apply(const Mutation& mutation,
                               const v1::Record* current,
                               const Decision& decision) {
  const v1::Record& record = decision.record;
  batch_.Put(database_->records(), mutation.key, EncodeRecord(record));
  const bool was_value = current != nullptr && !current->tombstone();
  const bool was_tombstone = current != nullptr && current->tombstone();
  change_.keys += (record.tombstone() ? 0 : 1) - (was_value ? 1 : 0);
  change_.tombstones += (record.tombstone() ? 1 : 0) - (was_tombstone ? 1 : 0);
  if (was_tombstone) {
    batch_.Delete(database_->tombstones(),
                  EncodeTombstone(current->version().time_ms(), mutation.key));
  }
  if (record.tombstone()) {
    batch_.Put(database_->tombstones(),
               EncodeTombstone(record.version().time_ms(), mutation.key), "");
  }
  if (mutation.kind != Mutation::Kind::kMove) PutValue(mutation, current);
  for (const Removal& removal : decision.takes) {
    RETURN_IF_ERROR(TakeRemoval(removal));
  }
  for (const Removal& removal : decision.removals) {
    RETURN_IF_ERROR(AddRemoval(removal));
  }
  return absl::OkStatus();
}

void WriteGroup::PutValue(const Mutation& mutation, const v1::Record* current) {
  if (KeepsValue(mutation)) {
    const rocksdb::Slice key = mutation.key;
    const rocksdb::Slice parts[] = {{&kInlinedValue, 1}, mutation.inline_value};
    batch_.Put(database_->values(), rocksdb::SliceParts(&key, 1),
               rocksdb::SliceParts(parts, 2));
  } else if (current != nullptr && !current->tombstone() &&
             current->size_bytes() <= base::kInlineBytesMax) {
    batch_.Delete(database_->values(), mutation.key);
  }
}

absl::StatusOr<bool> WriteGroup::HasRemoval(const std::string& encoded) {
  const auto touched = touched_.find(encoded);
  if (touched != touched_.end()) return touched->second;
  rocksdb::PinnableSlice value;
  const rocksdb::Status status = database_->db()->Get(
      rocksdb::ReadOptions(), database_->removals(), encoded, &value);
  if (status.IsNotFound()) return false;
  RETURN_IF_ERROR(FromRocksDb(status, "reading the removal queue"));
  return true;
}

absl::Status WriteGroup::AddRemoval(const Removal& removal) {
  std::string encoded = EncodeRemoval(removal);
  ASSIGN_OR_RETURN(const bool there, HasRemoval(encoded));
  if (there) return absl::OkStatus();
  batch_.Put(database_->removals(), encoded, "");
  ++change_.removals[removal.volume_id];
  touched_[std::move(encoded)] = true;
  return absl::OkStatus();
}

absl::Status WriteGroup::TakeRemoval(const Removal& removal) {
  std::string encoded = EncodeRemoval(removal);
  ASSIGN_OR_RETURN(const bool there, HasRemoval(encoded));
  if (!there) return absl::OkStatus();
  batch_.Delete(database_->removals(), encoded);
  --change_.removals[removal.volume_id];
  touched_[std::move(encoded)] = false;
  return absl::OkStatus();
}

absl::Status WriteGroup::ForgetTombstone(const std::string& key,
                                         const v1::Record& record) {
  batch_.Delete(database_->records(), key);
  batch_.Delete(database_->tombstones(),
                EncodeTombstone(record.version().time_ms(), key));
  --change_.tombstones;
  for (const Removal& removal : BlobsOf(key, record)) {
    RETURN_IF_ERROR(AddRemoval(removal));
  }
  return absl::OkStatus();
}

void WriteGroup::PutCounts(const Counts& before) {
  if (change_.keys != 0) {
    batch_.Put(database_->meta(), kKeysName,
               EncodeNumber(before.keys + change_.keys));
  }
  if (change_.tombstones != 0) {
    batch_.Put(database_->meta(), kTombstonesName,
               EncodeNumber(before.tombstones + change_.tombstones));
  }
  for (const auto& [volume_id, change] : change_.removals) {
    const auto it = before.removals.find(volume_id);
    const int64_t count =
        change + (it == before.removals.end() ? 0 : it->second);
    if (count == 0) {
      batch_.Delete(database_->meta(), RemovalsName(volume_id));
    } else {
      batch_.Put(database_->meta(), RemovalsName(volume_id),
                 EncodeNumber(count));
    }
  }
}

}  // namespace cairn::index
