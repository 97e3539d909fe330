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

using Blobs = absl::Span<const ListedBlob>;

base::Version VersionOf(const ListedBlob& blob) {
  return FromProto(blob.stat->blob().version());
}

// With the key beside the pointer: sorting would wait for memory otherwise.
struct Sortable {
  absl::string_view key;
  ListedBlob blob;
};

// Keys in byte order; of one key the newest first.
bool ComesFirst(const Sortable& a, const Sortable& b) {
  const int keys = a.key.compare(b.key);
  if (keys != 0) return keys < 0;
  const base::Version of_a = VersionOf(a.blob);
  const base::Version of_b = VersionOf(b.blob);
  if (of_a != of_b) return of_b < of_a;
  return a.blob.stat->blob().tombstone() > b.blob.stat->blob().tombstone();
}

void Sort(std::vector<ListedBlob>* blobs) {
  std::vector<Sortable> sorted;
  sorted.reserve(blobs->size());
  for (const ListedBlob& blob : *blobs) {
    sorted.push_back({blob.stat->blob().key(), blob});
  }
  std::sort(sorted.begin(), sorted.end(), &ComesFirst);
  for (size_t i = 0; i < sorted.size(); ++i) (*blobs)[i] = sorted[i].blob;
}

bool SameVersion(const ListedBlob& a, const ListedBlob& b) {
  return VersionOf(a) == VersionOf(b) &&
         a.stat->blob().tombstone() == b.stat->blob().tombstone();
}

index::Removal RemovalOf(const ListedBlob& blob) {
  return {blob.volume_id, blob.stat->blob()};
}

// The merge of one key.
class KeyMerge {
 public:
  KeyMerge(const v1::ClusterMap& map, const MergeRules& rules,
           MergeResult* result)
      : map_(map), rules_(rules), result_(*result) {}

  void Run(Blobs blobs) {
    const std::string& key = blobs[0].stat->blob().key();
    for (size_t begin = 0; begin < blobs.size();) {
      size_t end = begin + 1;
      while (end < blobs.size() && SameVersion(blobs[begin], blobs[end])) ++end;
      const Blobs version = blobs.subspan(begin, end - begin);
      begin = end;
      if (taken_) {
        for (const ListedBlob& old : version) Remove(old);
      } else if (!Counts(version)) {
        for (const ListedBlob& refused : version) {
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
  void Remove(const ListedBlob& blob) { removals_.push_back(RemovalOf(blob)); }

  bool MayBeUnderWay(const ListedBlob& blob) const {
    const int64_t age_ms = rules_.now_ms - VersionOf(blob).time_ms;
    return !blob.stat->committed() &&
           age_ms < absl::ToInt64Milliseconds(base::kUnmarkedAgeMax);
  }

  bool Counts(Blobs version) const {
    std::set<uint32_t> volumes;
    int replicas = map_.replicas();
    for (const ListedBlob& blob : version) {
      if (blob.stat->committed()) return true;
      if (!blob.stat->whole()) continue;
      volumes.insert(blob.volume_id);
      if (blob.stat->replicas() > 0) replicas = blob.stat->replicas();
    }
    return static_cast<int>(volumes.size()) >= replicas ||
           (rules_.copies_missing && !volumes.empty());
  }

  // Whole copies, the best placed first, then committed ones.
  std::vector<ListedBlob> WholeInOrder(const std::string& key,
                                       Blobs version) const {
    std::vector<ListedBlob> whole;
    for (const ListedBlob& blob : version) {
      if (blob.stat->whole()) whole.push_back(blob);
    }
    if (whole.size() <= 1) return whole;
    const auto order = placement::Order(map_, key);
    const auto rank = [&](const ListedBlob& blob) {
      size_t place = 0;
      while (place < order.size() && order[place].volume_id != blob.volume_id) {
        ++place;
      }
      const bool exact =
          place < order.size() &&
          order[place].subvolume == blob.stat->blob().subvolume();
      return std::make_tuple(place, !exact, !blob.stat->committed(),
                             blob.stat->blob().subvolume());
    };
    std::sort(whole.begin(), whole.end(),
              [&](const ListedBlob& a, const ListedBlob& b) {
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
    mutation_.kind = index::Mutation::Kind::kRestore;
    mutation_.key = key;
    *mutation_.record.mutable_version() = whole[0].stat->blob().version();
    mutation_.record.set_tombstone(whole[0].stat->blob().tombstone());
    if (!mutation_.record.tombstone()) TakeValue(whole[0].stat);
    for (const ListedBlob& blob : whole) AddReplica(blob);
    for (const ListedBlob& blob : version) {
      if (!blob.stat->whole()) RemoveDamaged(blob);
    }
    taken_ = true;
    return true;
  }

  void TakeValue(v1::StatBlobResponse* stat) {
    v1::Record& record = mutation_.record;
    record.set_size_bytes(stat->size_bytes());
    *record.mutable_digest() = stat->digest();
    *record.mutable_metadata() = stat->metadata();
    mutation_.inline_value = std::move(*stat->mutable_value());
  }

  void AddReplica(const ListedBlob& blob) {
    v1::Record& record = mutation_.record;
    const bool other_there = std::any_of(
        record.replicas().begin(), record.replicas().end(),
        [&](const auto& where) { return where.volume_id() == blob.volume_id; });
    if (other_there || record.replicas_size() >= map_.replicas()) {
      return Remove(blob);
    }
    if (!record.tombstone() &&
        record.digest().xxh3() != blob.stat->digest().xxh3()) {
      return RemoveDamaged(blob);
    }
    v1::SubvolumeId* const where = record.add_replicas();
    where->set_volume_id(blob.volume_id);
    where->set_subvolume(blob.stat->blob().subvolume());
  }

  // There is a whole copy elsewhere.
  void RemoveDamaged(const ListedBlob& blob) {
    result_.problems.push_back(absl::StrCat(
        base::EscapeKeyForUrl(blob.stat->blob().key()), ": the copy on ",
        PlaceText(blob.volume_id, blob.stat->blob().subvolume()),
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
                       std::vector<ListedBlob> blobs) {
  Sort(&blobs);
  MergeResult result;
  for (size_t begin = 0; begin < blobs.size();) {
    const std::string& key = blobs[begin].stat->blob().key();
    size_t end = begin;
    while (end < blobs.size() && blobs[end].stat->blob().key() == key) {
      const base::Version version = VersionOf(blobs[end]);
      result.version_time_ms_max =
          std::max(result.version_time_ms_max, version.time_ms);
      result.writer_id_max = std::max(result.writer_id_max, version.writer_id);
      ++end;
    }
    KeyMerge(map, rules, &result)
        .Run(absl::MakeConstSpan(&blobs[begin], end - begin));
    begin = end;
  }
  return result;
}

}  // namespace cairn::master
