#include "master/jobs/placement_plan.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "placement/placement.h"

namespace cairn::master {
namespace {

using placement::Target;
using Places = std::vector<v1::SubvolumeId>;

Places PlacesOf(const v1::Record& record) {
  return Places(record.replicas().begin(), record.replicas().end());
}

bool Is(const v1::SubvolumeId& place, const Target& target) {
  return place.volume_id() == target.volume_id &&
         place.subvolume() == target.subvolume;
}

bool Holds(const Places& places, const Target& target) {
  return std::any_of(
      places.begin(), places.end(),
      [&](const v1::SubvolumeId& place) { return Is(place, target); });
}

// The one on that volume, or -1.
int FindVolume(const Places& places, uint32_t volume_id) {
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i].volume_id() == volume_id) return static_cast<int>(i);
  }
  return -1;
}

v1::SubvolumeId PlaceOf(const Target& target) {
  v1::SubvolumeId place;
  place.set_volume_id(target.volume_id);
  place.set_subvolume(target.subvolume);
  return place;
}

bool TakesNewBlobs(const v1::ClusterMap& map, const Target& target) {
  const v1::Volume* const volume = placement::FindVolume(map, target.volume_id);
  return volume != nullptr &&
         placement::TakesNewBlobs(*volume, target.subvolume);
}

std::string ZoneOf(const v1::ClusterMap& map, uint32_t volume_id) {
  const v1::Volume* const volume = placement::FindVolume(map, volume_id);
  return volume == nullptr ? "" : volume->zone();
}

Plan Stuck(std::string why) {
  Plan plan;
  plan.kind = Plan::Kind::kStuck;
  plan.why = std::move(why);
  return plan;
}

// A copy at `target` in the stead of places[replaced], or one more (-1). Read
// from the one that goes, if it can be: that spares the others. From one that
// may not be there if there is no other: who copies it checks it.
Plan MoveTo(const v1::ClusterMap& map, Places places, int replaced,
            const Target& target) {
  std::optional<v1::SubvolumeId> source;
  for (const v1::SubvolumeId& place : places) {
    if (IsLive(map, place) && !source.has_value()) source = place;
  }
  for (const v1::SubvolumeId& place : places) {
    if (IsReachable(map, place) && !source.has_value()) source = place;
  }
  if (replaced >= 0 && IsLive(map, places[replaced])) {
    source = places[replaced];
  }
  Plan plan;
  plan.kind = Plan::Kind::kMove;
  if (source.has_value()) plan.move.source = *source;
  plan.move.target = PlaceOf(target);
  if (replaced >= 0) {
    places[replaced] = plan.move.target;
  } else {
    places.push_back(plan.move.target);
  }
  plan.move.after = std::move(places);
  return plan;
}

// The best place for a copy besides `kept`, not on the volume `avoid`: in a
// zone of its own if there is one. Nothing: no volume takes it.
std::optional<Target> BestBesides(const v1::ClusterMap& map,
                                  absl::string_view key, const Places& kept,
                                  uint32_t avoid) {
  std::optional<Target> best;
  for (const Target& target : placement::WritableOrder(map, key)) {
    if (target.volume_id == avoid) continue;
    if (FindVolume(kept, target.volume_id) >= 0) continue;
    if (!best.has_value()) best = target;
    const std::string zone = ZoneOf(map, target.volume_id);
    const bool used =
        std::any_of(kept.begin(), kept.end(), [&](const auto& place) {
          return ZoneOf(map, place.volume_id()) == zone;
        });
    if (!used) return target;
  }
  return best;
}

// Replaces places[replaced], or adds one (-1).
Plan MoveToBest(const v1::ClusterMap& map, absl::string_view key,
                const Places& places, int replaced, uint32_t avoid = 0) {
  Places kept = places;
  if (replaced >= 0) kept.erase(kept.begin() + replaced);
  const auto target = BestBesides(map, key, kept, avoid);
  if (!target.has_value()) {
    return Stuck(
        absl::StrCat("no volume besides those of its other copies "
                     "can take it: add volumes or make room"));
  }
  return MoveTo(map, places, replaced, *target);
}

// Which copy a rebalance gives up for one at ideal[wanted]. -1: none.
int SurplusFor(const v1::ClusterMap& map, const Places& places,
               const std::vector<Target>& ideal, size_t wanted) {
  // At most one on a volume.
  const int same = FindVolume(places, ideal[wanted].volume_id);
  if (same >= 0) return same;
  int surplus = -1;
  for (size_t i = 0; i < places.size(); ++i) {
    // One beside its place, on another disk of the volume, stands in for it.
    const bool wanted_here =
        std::any_of(ideal.begin(), ideal.end(), [&](const Target& target) {
          return target.volume_id == places[i].volume_id();
        });
    if (wanted_here) continue;
    if (surplus < 0 || !IsLive(map, places[i])) surplus = static_cast<int>(i);
  }
  return surplus;
}

}  // namespace

bool IsReachable(const v1::ClusterMap& map, const v1::SubvolumeId& place) {
  const v1::Volume* const volume =
      placement::FindVolume(map, place.volume_id());
  return volume != nullptr && volume->state() == v1::VOLUME_STATE_UP &&
         place.subvolume() < volume->subvolumes_size() &&
         !volume->subvolumes(place.subvolume()).failed();
}

bool IsLive(const v1::ClusterMap& map, const v1::SubvolumeId& place) {
  return IsReachable(map, place) &&
         !placement::FindVolume(map, place.volume_id())->unconfirmed();
}

int LiveCopies(const v1::ClusterMap& map, const v1::Record& record) {
  return static_cast<int>(
      std::count_if(record.replicas().begin(), record.replicas().end(),
                    [&](const auto& place) { return IsLive(map, place); }));
}

Plan PlanRebalance(const v1::ClusterMap& map, absl::string_view key,
                   const v1::Record& record) {
  std::vector<Target> ideal = placement::Order(map, key);
  if (static_cast<int>(ideal.size()) > map.replicas()) {
    ideal.resize(map.replicas());
  }
  const Places places = PlacesOf(record);
  for (size_t i = 0; i < ideal.size(); ++i) {
    if (Holds(places, ideal[i]) || !TakesNewBlobs(map, ideal[i])) continue;
    const int surplus = SurplusFor(map, places, ideal, i);
    if (surplus < 0 && record.replicas_size() >= map.replicas()) continue;
    return MoveTo(map, places, surplus, ideal[i]);
  }
  return Plan();
}

Plan PlanDrain(const v1::ClusterMap& map, uint32_t volume_id,
               absl::string_view key, const v1::Record& record) {
  const Places places = PlacesOf(record);
  const int there = FindVolume(places, volume_id);
  if (there < 0) return Plan();
  // A dry run looks at a volume that is not draining yet.
  return MoveToBest(map, key, places, there, /*avoid=*/volume_id);
}

Plan PlanRepair(const v1::ClusterMap& map, const IsLost& is_lost,
                absl::string_view key, const v1::Record& record) {
  const Places places = PlacesOf(record);
  for (size_t i = 0; i < places.size(); ++i) {
    if (is_lost(places[i])) {
      return MoveToBest(map, key, places, static_cast<int>(i));
    }
  }
  if (record.tombstone() || record.replicas_size() >= map.replicas()) {
    return Plan();
  }
  return MoveToBest(map, key, places, -1);
}

}  // namespace cairn::master
