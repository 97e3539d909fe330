#include "placement/placement.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/hash.h"

namespace cairn::placement {
namespace {

struct Candidate {
  Target target;
  double score;
  const v1::Volume* volume;
};

// The finalizer of SplitMix64 (Steele, Lea, Flood 2014): spreads one hash of
// the key over all subvolumes without hashing the key again for each.
uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

double Score(uint64_t key_hash, uint32_t volume_id, int subvolume,
             double weight) {
  const uint64_t salt = uint64_t{volume_id} << 16 | subvolume;
  const uint64_t hash =
      Mix(key_hash ^ Mix(salt * 0x9e3779b97f4a7c15ULL + 0x1234567));
  // 53 bits, never 0 nor 1.
  const double u = (static_cast<double>(hash >> 11) + 0.5) / 9007199254740992.0;
  return -weight / std::log(u);
}

bool Usable(const v1::Subvolume& disk) {
  return !disk.full() && !disk.failed();
}

bool CanTakeBlobs(const v1::Volume& volume) {
  if (volume.state() != v1::VOLUME_STATE_UP) return false;
  return std::any_of(volume.subvolumes().begin(), volume.subvolumes().end(),
                     Usable);
}

// Best first, but the first R from as many zones as there are.
void SpreadZones(int replicas, std::vector<Candidate>* order) {
  std::set<std::string> zones;
  for (const Candidate& c : *order) zones.insert(c.volume->zone());
  if (zones.size() < 2) return;
  std::set<std::string> used;
  for (size_t place = 0;
       place < order->size() && place < static_cast<size_t>(replicas);
       ++place) {
    if (used.size() == zones.size()) used.clear();
    const auto next = std::find_if(
        order->begin() + place, order->end(), [&](const Candidate& c) {
          return used.count(c.volume->zone()) == 0;
        });
    if (next == order->end()) break;
    used.insert(next->volume->zone());
    std::rotate(order->begin() + place, next, next + 1);
  }
}

std::vector<Target> Sorted(const v1::ClusterMap& map, absl::string_view key,
                           bool writable_only) {
  const uint64_t key_hash = base::Xxh3(key);
  std::vector<Candidate> order;
  order.reserve(map.volumes_size());
  for (const v1::Volume& volume : map.volumes()) {
    if (volume.state() == v1::VOLUME_STATE_REMOVED) continue;
    if (writable_only && volume.state() != v1::VOLUME_STATE_UP) continue;
    Candidate best{{}, -1, &volume};
    for (int i = 0; i < volume.subvolumes_size(); ++i) {
      if (writable_only && !Usable(volume.subvolumes(i))) continue;
      const double score = Score(key_hash, volume.volume_id(), i,
                                 static_cast<double>(volume.weight()));
      if (score > best.score) {
        best.score = score;
        best.target = {volume.volume_id(), i};
      }
    }
    if (best.score >= 0) order.push_back(best);
  }
  std::sort(order.begin(), order.end(),
            [](const Candidate& a, const Candidate& b) {
              return a.score != b.score
                         ? a.score > b.score
                         : a.target.volume_id < b.target.volume_id;
            });
  SpreadZones(map.replicas(), &order);
  std::vector<Target> targets;
  targets.reserve(order.size());
  for (const Candidate& c : order) targets.push_back(c.target);
  return targets;
}

}  // namespace

std::vector<Target> Order(const v1::ClusterMap& map, absl::string_view key) {
  return Sorted(map, key, /*writable_only=*/false);
}

std::vector<Target> WritableOrder(const v1::ClusterMap& map,
                                  absl::string_view key) {
  return Sorted(map, key, /*writable_only=*/true);
}

absl::Status CheckWritable(const v1::ClusterMap& map) {
  int usable = 0;
  int down = 0;
  int full = 0;
  for (const v1::Volume& volume : map.volumes()) {
    if (volume.state() == v1::VOLUME_STATE_REMOVED) continue;
    if (CanTakeBlobs(volume)) {
      ++usable;
    } else if (volume.state() == v1::VOLUME_STATE_UP) {
      ++full;
    } else {
      ++down;
    }
  }
  if (usable >= map.replicas()) return absl::OkStatus();
  const std::string counts =
      absl::StrCat("replicas=", map.replicas(), " but only ", usable,
                   " volumes can take new values (", down, " down, ", full,
                   " full or failed): ");
  if (usable + full >= map.replicas()) {
    return absl::ResourceExhaustedError(
        absl::StrCat(counts, "add a volume or delete values"));
  }
  return absl::UnavailableError(
      absl::StrCat(counts, "start the missing volumes or add new ones"));
}

const v1::Volume* FindVolume(const v1::ClusterMap& map, uint32_t volume_id) {
  for (const v1::Volume& volume : map.volumes()) {
    if (volume.volume_id() == volume_id) return &volume;
  }
  return nullptr;
}

}  // namespace cairn::placement
