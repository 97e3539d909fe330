#include "master/jobs/blob_merge.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/blob_name.h"
#include "base/limits.h"
#include "base/version.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

using Blobs = absl::Span<FoundBlob>;

base::Version VersionOf(const FoundBlob& blob) {
  return FromProto(blob.stat.blob().version());
}

// Keys in byte order; of one key the newest first.
bool ComesFirst(const FoundBlob& a, const FoundBlob& b) {
  const int keys = a.stat.blob().key().compare(b.stat.blob().key());
  if (keys != 0) return keys < 0;
  const base::Version of_a = VersionOf(a);
  const base::Version of_b = VersionOf(b);
  if (of_a != of_b) return of_b < of_a;
  return a.stat.blob().tombstone() > b.stat.blob().tombstone();
}

bool SameVersion(const FoundBlob& a, const FoundBlob& b) {
  return VersionOf(a) == VersionOf(b) &&
         a.stat.blob().tombstone() == b.stat.blob().tombstone();
}

index::Removal RemovalOf(const FoundBlob& blob) {
  return {blob.volume_id, blob.stat.blob()};
}

// The merge of one key.
class KeyMerge {
 public:
  KeyMerge(const v1::ClusterMap& map, const MergeRules& rules,
           MergeResult* result)
      : map_(map), rules_(rules), result_(*result) {}

  void Run(Blobs blobs) {
    const std::string& key = blobs[0].stat.blob().key();
    for (size_t begin = 0; begin < blobs.size();) {
      size_t end = begin + 1;
      while (end < blobs.size() && SameVersion(blobs[begin], blobs[end])) ++end;
      const Blobs version = blobs.subspan(begin, end - begin);
      begin = end;
      if (taken_) {
        for (const FoundBlob& old : version) Remove(old);
      } else if (!Counts(version)) {
        for (const FoundBlob& refused : version) {
          if (!MayBeUnderWay(refused)) Remove(refused);
        }
      } else if (!Take(key, version)) {
        return;
      }
    }
    result_.removals_count += static_cast<int64_t>(removals_.size());
    if (taken_) {
      mutation_.removals = std::move(removals_);
      ++(mutation_.record.tombstone() ? result_.tombstones : result_.keys);
      result_.restores.push_back(std::move(mutation_));
      return;
    }
    for (index::Removal& removal : removals_) {
      result_.removals.push_back(std::move(removal));
    }
  }

 private:
  void Remove(const FoundBlob& blob) { removals_.push_back(RemovalOf(blob)); }

  bool MayBeUnderWay(const FoundBlob& blob) const {
    const int64_t age_ms = rules_.now_ms - VersionOf(blob).time_ms;
    return !blob.stat.committed() &&
           age_ms < absl::ToInt64Milliseconds(base::kUnmarkedAgeMax);
  }

  bool Counts(Blobs version) const {
    std::set<uint32_t> volumes;
    int replicas = map_.replicas();
    for (const FoundBlob& blob : version) {
      if (blob.stat.committed()) return true;
      if (!blob.stat.whole()) continue;
      volumes.insert(blob.volume_id);
      if (blob.stat.replicas() > 0) replicas = blob.stat.replicas();
    }
    return static_cast<int>(volumes.size()) >= replicas ||
           (rules_.copies_missing && !volumes.empty());
  }

  // Whole copies, the best placed first, then committed ones.
  std::vector<const FoundBlob*> WholeInOrder(const std::string& key,
                                             Blobs version) const {
    std::vector<const FoundBlob*> whole;
    for (const FoundBlob& blob : version) {
      if (blob.stat.whole()) whole.push_back(&blob);
    }
    if (whole.empty()) return whole;
    const auto order = placement::Order(map_, key);
    const auto rank = [&](const FoundBlob* blob) {
      size_t place = 0;
      while (place < order.size() &&
             order[place].volume_id != blob->volume_id) {
        ++place;
      }
      const bool exact =
          place < order.size() &&
          order[place].subvolume == blob->stat.blob().subvolume();
      return std::make_tuple(place, !exact, !blob->stat.committed(),
                             blob->stat.blob().subvolume());
    };
    std::sort(whole.begin(), whole.end(),
              [&](const FoundBlob* a, const FoundBlob* b) {
                return rank(a) < rank(b);
              });
    return whole;
  }

  // False: the version counts, but no copy of it is whole.
  bool Take(const std::string& key, Blobs version) {
    const auto whole = WholeInOrder(key, version);
    if (whole.empty()) {
      result_.problems.push_back(
          absl::StrCat(base::EscapeKeyForUrl(key), ": no copy of version ",
                       VersionOf(version[0]).ToHex(),
                       " is whole; the key is left out, its files stay"));
      return false;
    }
    const v1::StatBlobResponse& stat = whole[0]->stat;
    mutation_.kind = index::Mutation::Kind::kRestore;
    mutation_.key = key;
    v1::Record& record = mutation_.record;
    *record.mutable_version() = stat.blob().version();
    record.set_tombstone(stat.blob().tombstone());
    if (!record.tombstone()) {
      record.set_size_bytes(stat.size_bytes());
      *record.mutable_digest() = stat.digest();
      *record.mutable_metadata() = stat.metadata();
      mutation_.inline_value = stat.value();
    }
    for (const FoundBlob* blob : whole) AddReplica(*blob);
    for (const FoundBlob& blob : version) {
      if (!blob.stat.whole()) RemoveDamaged(blob);
    }
    taken_ = true;
    return true;
  }

  void AddReplica(const FoundBlob& blob) {
    v1::Record& record = mutation_.record;
    const bool other_there = std::any_of(
        record.replicas().begin(), record.replicas().end(),
        [&](const auto& where) { return where.volume_id() == blob.volume_id; });
    if (other_there || record.replicas_size() >= map_.replicas()) {
      return Remove(blob);
    }
    if (!record.tombstone() &&
        record.digest().xxh3() != blob.stat.digest().xxh3()) {
      return RemoveDamaged(blob);
    }
    v1::SubvolumeId* const where = record.add_replicas();
    where->set_volume_id(blob.volume_id);
    where->set_subvolume(blob.stat.blob().subvolume());
  }

  // There is a whole copy elsewhere.
  void RemoveDamaged(const FoundBlob& blob) {
    result_.problems.push_back(absl::StrCat(
        base::EscapeKeyForUrl(blob.stat.blob().key()), ": the copy on ",
        VolumeIdText(blob.volume_id), "/", blob.stat.blob().subvolume(),
        " is damaged and left out; run `cairn repair`"));
    Remove(blob);
  }

  const v1::ClusterMap& map_;
  const MergeRules& rules_;
  MergeResult& result_;
  bool taken_ = false;
  index::Mutation mutation_;
  std::vector<index::Removal> removals_;
};

}  // namespace

MergeResult MergeBlobs(const v1::ClusterMap& map, const MergeRules& rules,
                       std::vector<FoundBlob> blobs) {
  std::sort(blobs.begin(), blobs.end(), &ComesFirst);
  MergeResult result;
  for (size_t begin = 0; begin < blobs.size();) {
    const std::string& key = blobs[begin].stat.blob().key();
    size_t end = begin;
    while (end < blobs.size() && blobs[end].stat.blob().key() == key) {
      const base::Version version = VersionOf(blobs[end]);
      result.version_time_ms_max =
          std::max(result.version_time_ms_max, version.time_ms);
      result.writer_id_max = std::max(result.writer_id_max, version.writer_id);
      ++end;
    }
    KeyMerge(map, rules, &result)
        .Run(absl::MakeSpan(&blobs[begin], end - begin));
    begin = end;
  }
  return result;
}

}  // namespace cairn::master
