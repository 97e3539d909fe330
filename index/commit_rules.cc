#include "index/commit_rules.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/version.h"
#include "proto/convert.h"

namespace cairn::index {
namespace {

Decision Refuse(absl::Status why, const v1::Record* current) {
  Decision decision;
  decision.result.status = std::move(why);
  if (current != nullptr) decision.result.current = *current;
  return decision;
}

absl::Status OutOfOrder(const v1::Record* current) {
  return absl::AbortedError(
      current == nullptr ? "the key has no record"
                         : absl::StrCat("the key is at version ",
                                        FromProto(current->version()).ToHex()));
}

// A commit that was stuck somewhere must not land after its blobs, or the
// tombstone above it, are gone; one from the future would block the key.
absl::Status CheckAge(const base::Version& version, int64_t index_time_ms) {
  const int64_t age_ms = index_time_ms - version.time_ms;
  if (age_ms > absl::ToInt64Milliseconds(base::kVersionAgeMax)) {
    return absl::OutOfRangeError(absl::StrCat(
        "version ", version.ToHex(), " is ", age_ms, " ms behind the index"));
  }
  if (-age_ms > absl::ToInt64Milliseconds(base::kVersionAheadMax)) {
    return absl::OutOfRangeError(absl::StrCat("version ", version.ToHex(),
                                              " is ", -age_ms,
                                              " ms ahead of the index"));
  }
  return absl::OkStatus();
}

absl::Status CheckPrecondition(const v1::Record* value,
                               const v1::Precondition& precondition) {
  if (precondition.absent() && value != nullptr) {
    return absl::FailedPreconditionError("the key exists already");
  }
  const auto& wanted = precondition.md5_any_of();
  if (value == nullptr && (precondition.exists() || !wanted.empty())) {
    return absl::FailedPreconditionError("the key does not exist");
  }
  if (!wanted.empty() && std::find(wanted.begin(), wanted.end(),
                                   value->digest().md5()) == wanted.end()) {
    return absl::FailedPreconditionError("the key has another value");
  }
  return absl::OkStatus();
}

template <typename ListA, typename ListB>
bool SamePlaces(const ListA& a, const ListB& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const v1::SubvolumeId& x, const v1::SubvolumeId& y) {
                      return x.volume_id() == y.volume_id() &&
                             x.subvolume() == y.subvolume();
                    });
}

// The blobs of `before` that lie where `after` has none.
std::vector<Removal> Left(const std::string& key, const v1::Record& before,
                          const v1::Record& after) {
  const std::vector<Removal> kept = BlobsOf(key, after);
  std::vector<Removal> left;
  for (Removal& old : BlobsOf(key, before)) {
    const bool stays =
        std::any_of(kept.begin(), kept.end(), [&](const Removal& removal) {
          return removal.volume_id == old.volume_id &&
                 removal.blob.subvolume() == old.blob.subvolume();
        });
    if (!stays) left.push_back(std::move(old));
  }
  return left;
}

// Gives a tombstone the blobs that were written for it. Those that it named
// before and no longer does are surplus.
Decision SetTombstoneReplicas(const v1::Record* current,
                              const Mutation& mutation) {
  if (current == nullptr || !current->tombstone() ||
      FromProto(current->version()) != FromProto(mutation.record.version())) {
    return Refuse(OutOfOrder(current), current);
  }
  Decision decision;
  decision.changes = true;
  decision.record = *current;
  *decision.record.mutable_replicas() = mutation.record.replicas();
  decision.removals = Left(mutation.key, *current, decision.record);
  return decision;
}

Decision Move(const v1::Record* current, const Mutation& mutation) {
  const v1::Record& wanted = mutation.record;
  if (current == nullptr || current->tombstone() != wanted.tombstone() ||
      FromProto(current->version()) != FromProto(wanted.version())) {
    return Refuse(OutOfOrder(current), current);
  }
  if (SamePlaces(current->replicas(), wanted.replicas())) {
    return Decision();  // The same commit came twice.
  }
  if (!SamePlaces(current->replicas(), mutation.replicas_before)) {
    return Refuse(absl::AbortedError("the key's copies lie elsewhere by now"),
                  current);
  }
  Decision decision;
  decision.changes = true;
  decision.record = *current;
  *decision.record.mutable_replicas() = wanted.replicas();
  decision.takes = mutation.takes;
  decision.removals = Left(mutation.key, *current, decision.record);
  return decision;
}

absl::Status IndexFull() {
  return absl::ResourceExhaustedError(
      "the index is full: give it more room (its disk, or Redis' maxmemory); "
      "deletes still work");
}

// What was found on disk is taken as it is, but never over something newer.
Decision Restore(const v1::Record* current, const Mutation& mutation,
                 bool full) {
  const base::Version version = FromProto(mutation.record.version());
  if (current != nullptr && version < FromProto(current->version())) {
    return Refuse(OutOfOrder(current), current);
  }
  if (full && !mutation.record.tombstone()) {
    return Refuse(IndexFull(), nullptr);
  }
  Decision decision;
  decision.changes = true;
  decision.record = mutation.record;
  decision.removals = mutation.removals;
  if (current != nullptr && version != FromProto(current->version())) {
    for (Removal& old : BlobsOf(mutation.key, *current)) {
      decision.removals.push_back(std::move(old));
    }
  }
  return decision;
}

}  // namespace

Decision Decide(const v1::Record* current, const Mutation& mutation,
                int64_t index_time_ms, bool full) {
  if (mutation.kind == Mutation::Kind::kTombstoneReplicas) {
    return SetTombstoneReplicas(current, mutation);
  }
  if (mutation.kind == Mutation::Kind::kMove) return Move(current, mutation);
  if (mutation.kind == Mutation::Kind::kRestore) {
    return Restore(current, mutation, full);
  }
  const bool is_delete = mutation.kind == Mutation::Kind::kDelete;
  const base::Version version = FromProto(mutation.record.version());
  if (current != nullptr && FromProto(current->version()) == version &&
      current->tombstone() == is_delete) {
    return Decision();  // The same commit came twice.
  }
  const v1::Record* value =
      current != nullptr && !current->tombstone() ? current : nullptr;
  if (is_delete && value == nullptr) {
    return Refuse(absl::NotFoundError("the key does not exist"), nullptr);
  }
  if (current != nullptr && version <= FromProto(current->version())) {
    return Refuse(OutOfOrder(current), current);
  }
  if (absl::Status age = CheckAge(version, index_time_ms); !age.ok()) {
    return Refuse(std::move(age), nullptr);
  }
  if (absl::Status holds = CheckPrecondition(value, mutation.precondition);
      !holds.ok()) {
    return Refuse(std::move(holds), nullptr);
  }
  if (full && !is_delete) {
    return Refuse(IndexFull(), nullptr);
  }
  Decision decision;
  decision.changes = true;
  decision.result.replaced = !is_delete && value != nullptr;
  if (current != nullptr) decision.removals = BlobsOf(mutation.key, *current);
  if (is_delete) {
    *decision.record.mutable_version() = mutation.record.version();
    decision.record.set_tombstone(true);
  } else {
    decision.record = mutation.record;
    decision.record.set_tombstone(false);
  }
  return decision;
}

Decision TargetGone(const v1::Record& current) {
  return Refuse(absl::AbortedError("the removal queue has let go of the copy"),
                &current);
}

std::vector<Removal> BlobsOf(const std::string& key, const v1::Record& record) {
  std::vector<Removal> blobs;
  blobs.reserve(record.replicas_size());
  for (const v1::SubvolumeId& replica : record.replicas()) {
    Removal& removal = blobs.emplace_back();
    removal.volume_id = replica.volume_id();
    removal.blob.set_subvolume(replica.subvolume());
    removal.blob.set_key(key);
    *removal.blob.mutable_version() = record.version();
    removal.blob.set_tombstone(record.tombstone());
  }
  return blobs;
}

bool KeepsValue(const Mutation& mutation) {
  const bool has_value = mutation.kind == Mutation::Kind::kPut ||
                         (mutation.kind == Mutation::Kind::kRestore &&
                          !mutation.record.tombstone());
  return has_value &&
         (!mutation.inline_value.empty() || mutation.record.size_bytes() == 0);
}

}  // namespace cairn::index
