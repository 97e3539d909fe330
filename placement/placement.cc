#include "placement/placement.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"

namespace cairn::placement {
namespace {

struct Candidate {
  double score = 0;
  Target target;
  absl::string_view zone;
};
using Candidates = absl::InlinedVector<Candidate, 16>;

// SplitMix64's finalizer (Steele, Lea and Flood, 2014): each bit of the input
// changes each bit of the result with probability 1/2.
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

// The best subvolume of a volume; nothing when none is eligible. All
// subvolumes of a volume weigh the same, so the highest draw has the highest
// score, and one logarithm a volume is enough.
std::optional<Candidate> Draw(const v1::Volume& volume, int subvolumes_count,
                              uint64_t key_hash, bool writable_only) {
  Target best{volume.volume_id(), -1};
  uint64_t best_draw = 0;
  for (int i = 0; i < subvolumes_count; ++i) {
    if (writable_only && !TakesNewBlobs(volume, i)) continue;
    const uint64_t place =
        Mix((uint64_t{volume.volume_id()} << 32) | static_cast<uint32_t>(i));
    const uint64_t draw = Mix(key_hash + place);
    if (best.subvolume < 0 || draw > best_draw) {
      best.subvolume = i;
      best_draw = draw;
    }
  }
  if (best.subvolume < 0) return std::nullopt;
  // The upper 53 bits as a number in (0, 1), never 0 or 1.
  const double u = (static_cast<double>(best_draw >> 11) + 0.5) * 0x1p-53;
  const double weight = std::max<int64_t>(volume.weight(), 1);
  return Candidate{-weight / std::log(u), best, volume.zone()};
}

// Moves to the front, for each of the first `replicas` places, the best
// candidate of a zone that has the fewest before it.
void SpreadOverZones(int replicas, Candidates* order) {
  const int count = static_cast<int>(order->size());
  for (int place = 0; place < std::min(replicas, count); ++place) {
    int best = place;
    int best_used = count;
    for (int i = place; i < count; ++i) {
      const auto used = std::count_if(
          order->begin(), order->begin() + place,
          [&](const Candidate& c) { return c.zone == (*order)[i].zone; });
      if (used >= best_used) continue;
      best = i;
      best_used = static_cast<int>(used);
      if (used == 0) break;
    }
    std::rotate(order->begin() + place, order->begin() + best,
                order->begin() + best + 1);
  }
}

std::vector<Target> OrderOf(const v1::ClusterMap& map, absl::string_view key,
                            bool writable_only) {
  const uint64_t key_hash = base::Xxh3(key);
  Candidates order;
  bool zones_differ = false;
  for (const v1::Volume& volume : map.volumes()) {
    if (volume.state() == v1::VOLUME_STATE_REMOVED || volume.draining()) {
      continue;
    }
    const auto candidate =
        Draw(volume, map.subvolumes_per_volume(), key_hash, writable_only);
    if (!candidate.has_value()) continue;
    zones_differ |= !order.empty() && candidate->zone != order[0].zone;
    order.push_back(*candidate);
  }
  std::sort(order.begin(), order.end(),
            [](const Candidate& a, const Candidate& b) {
              if (a.score != b.score) return a.score > b.score;
              return a.target.volume_id < b.target.volume_id;
            });
  if (zones_differ) SpreadOverZones(map.replicas(), &order);
  std::vector<Target> targets;
  targets.reserve(order.size());
  for (const Candidate& candidate : order) targets.push_back(candidate.target);
  return targets;
}

// How many volumes are good for new blobs, and why the others are not.
struct Usable {
  int usable = 0;
  int down = 0;
  int full = 0;
  int failed = 0;
  int draining = 0;
};

Usable CountUsable(const v1::ClusterMap& map) {
  Usable count;
  for (const v1::Volume& volume : map.volumes()) {
    if (volume.state() == v1::VOLUME_STATE_REMOVED) continue;
    if (volume.state() != v1::VOLUME_STATE_UP) {
      ++count.down;
      continue;
    }
    if (volume.draining()) {
      ++count.draining;
      continue;
    }
    bool usable = false;
    bool full = false;
    for (int i = 0; i < volume.subvolumes_size(); ++i) {
      usable |= TakesNewBlobs(volume, i);
      full |= volume.subvolumes(i).full() && !volume.subvolumes(i).failed();
    }
    ++(usable ? count.usable : full ? count.full : count.failed);
  }
  return count;
}

}  // namespace

bool TakesNewBlobs(const v1::Volume& volume, int subvolume) {
  return volume.state() == v1::VOLUME_STATE_UP && !volume.draining() &&
         subvolume < volume.subvolumes_size() &&
         !volume.subvolumes(subvolume).full() &&
         !volume.subvolumes(subvolume).failed();
}

std::vector<Target> Order(const v1::ClusterMap& map, absl::string_view key) {
  return OrderOf(map, key, /*writable_only=*/false);
}

std::vector<Target> WritableOrder(const v1::ClusterMap& map,
                                  absl::string_view key) {
  return OrderOf(map, key, /*writable_only=*/true);
}

absl::Status CheckWritable(const v1::ClusterMap& map) {
  const Usable count = CountUsable(map);
  if (count.usable >= map.replicas()) return absl::OkStatus();
  std::string why = absl::StrCat(
      "replicas=", map.replicas(), " but only ", count.usable,
      count.usable == 1 ? " volume" : " volumes", " can take new values (",
      count.down, " down, ", count.full, " full");
  if (count.failed > 0) absl::StrAppend(&why, ", ", count.failed, " failed");
  if (count.draining > 0) {
    absl::StrAppend(&why, ", ", count.draining, " draining");
  }
  // Were there room, there would be enough: then room is what is missing.
  if (count.usable + count.full >= map.replicas()) {
    return absl::ResourceExhaustedError(
        absl::StrCat(why, "): add disks or volumes, or delete values"));
  }
  return absl::UnavailableError(
      absl::StrCat(why, "): start more volumes or wait for them"));
}

const v1::Volume* FindVolume(const v1::ClusterMap& map, uint32_t volume_id) {
  for (const v1::Volume& volume : map.volumes()) {
    if (volume.volume_id() == volume_id) return &volume;
  }
  return nullptr;
}

}  // namespace cairn::placement
