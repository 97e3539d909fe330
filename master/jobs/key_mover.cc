#include "master/jobs/key_mover.h"

#include <algorithm>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/blob_name.h"
#include "base/limits.h"
#include "base/status.h"
#include "master/jobs/inlined_value.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {

absl::Status KeyMover::Move(std::vector<std::string> keys,
                            std::vector<v1::Record> records, const PlanOf& plan,
                            MoveTally* tally) {
  std::vector<Item> all(keys.size());
  std::vector<Item*> open;
  for (size_t i = 0; i < keys.size(); ++i) {
    all[i].key = std::move(keys[i]);
    all[i].record = std::move(records[i]);
    if (!bad_sources_.empty()) {
      const auto bad = bad_sources_.find(NameOf(all[i]));
      if (bad != bad_sources_.end()) all[i].bad_sources = bad->second;
    }
    open.push_back(&all[i]);
  }
  for (int tries = 0; !open.empty(); ++tries) {
    const Membership::View view = membership_->view();
    ASSIGN_OR_RETURN(std::vector<Item*> moving,
                     PlanAll(view->map, open, plan, tally));
    if (moving.empty()) return absl::OkStatus();
    // Each copy of a key may want to move, and may be overtaken.
    if (tries >= base::kMovePlansMax * view->map.replicas()) {
      for (const Item* item : moving) {
        ++tally->failed;
        AddLeft(*item, "it changes again and again", tally);
      }
      return absl::OkStatus();
    }
    std::vector<Group> groups = GroupUp(moving);
    RunGroups(view->map, &groups);
    RETURN_IF_ERROR(context_->CheckGoOn());
    RETURN_IF_ERROR(Judge(moving, tally, &open));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<KeyMover::Item*>> KeyMover::PlanAll(
    const v1::ClusterMap& map, const std::vector<Item*>& items,
    const PlanOf& plan, MoveTally* tally) {
  std::vector<Item*> moving;
  std::vector<Item*> without_source;
  for (Item* const item : items) {
    Plan planned = plan(map, item->key, item->record);
    if (planned.kind == Plan::Kind::kNothing) continue;
    if (planned.kind == Plan::Kind::kStuck) {
      ++tally->stuck;
      AddLeft(*item, planned.why, tally);
      continue;
    }
    item->move = std::move(planned.move);
    item->value.reset();
    const bool has_source =
        item->move.source.volume_id() != 0 && AvoidBadSources(map, item);
    (has_source ? moving : without_source).push_back(item);
  }
  RETURN_IF_ERROR(TakeFromIndex(std::move(without_source), tally, &moving));
  return moving;
}

absl::Status KeyMover::TakeFromIndex(std::vector<Item*> items, MoveTally* tally,
                                     std::vector<Item*>* moving) {
  for (size_t begin = 0; begin < items.size(); begin += base::kBatchOpsMax) {
    const size_t end =
        std::min(items.size(), begin + size_t{base::kBatchOpsMax});
    std::vector<std::string> keys;
    for (size_t i = begin; i < end; ++i) keys.push_back(items[i]->key);
    ASSIGN_OR_RETURN(auto found, index_->Lookup(keys, /*with_values=*/true));
    for (size_t i = begin; i < end; ++i) {
      auto& one = found[i - begin];
      if (absl::IsNotFound(one.status())) continue;
      RETURN_IF_ERROR(one.status());
      Item* const item = items[i];
      // What it is now its writer has put where it belongs.
      if (FromProto(one->record.version()) !=
          FromProto(item->record.version())) {
        continue;
      }
      if (HasGoodValue(*one)) {
        item->value = std::move(one->value);
        item->move.source.Clear();
        moving->push_back(item);
        continue;
      }
      ++tally->stuck;
      AddLeft(*item,
              item->bad_sources.empty()
                  ? "no copy of it can be read now"
                  : "no good copy of it is left to copy from: run `cairn "
                    "verify`",
              tally);
    }
  }
  return absl::OkStatus();
}

bool KeyMover::AvoidBadSources(const v1::ClusterMap& map, Item* item) {
  if (item->bad_sources.count(PlaceText(item->move.source)) == 0) return true;
  for (const v1::SubvolumeId& place : item->record.replicas()) {
    if (!IsReachable(map, place) ||
        item->bad_sources.count(PlaceText(place)) > 0) {
      continue;
    }
    item->move.source = place;
    return true;
  }
  return false;
}

std::vector<KeyMover::Group> KeyMover::GroupUp(
    const std::vector<Item*>& items) const {
  std::map<std::pair<uint32_t, uint32_t>, std::vector<Group>> by_pair;
  for (Item* const item : items) {
    const uint32_t source_id = item->move.source.volume_id();
    const uint32_t target_id = item->move.target.volume_id();
    std::vector<Group>& groups = by_pair[{source_id, target_id}];
    const int64_t bytes = item->record.size_bytes();
    if (groups.empty() || groups.back().items.size() >= base::kMoveGroupKeys ||
        groups.back().bytes + bytes > bytes_max_) {
      groups.push_back({source_id, target_id, {}, 0});
    }
    groups.back().items.push_back(item);
    groups.back().bytes += bytes;
  }
  // By turns, so that those at work at once are of different pairs.
  std::vector<Group> in_turn;
  for (size_t turn = 0; !by_pair.empty(); ++turn) {
    for (auto it = by_pair.begin(); it != by_pair.end();) {
      if (turn < it->second.size()) {
        in_turn.push_back(std::move(it->second[turn]));
        ++it;
      } else {
        it = by_pair.erase(it);
      }
    }
  }
  return in_turn;
}

void KeyMover::RunGroups(const v1::ClusterMap& map,
                         std::vector<Group>* groups) {
  // Only hands out numbers: what a group holds is seen by who starts a thread.
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < groups->size(); i = next++) {
      RunGroup(map, &(*groups)[i]);
    }
  };
  std::vector<std::thread> threads;
  const size_t count = std::min<size_t>(
      groups->size(), std::clamp(map.volumes_size() / 2, base::kMoveGroupsMin,
                                 base::kMoveGroupsMax));
  for (size_t i = 1; i < count; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
}

void KeyMover::RunGroup(const v1::ClusterMap& map, Group* group) {
  const v1::Volume* const target = placement::FindVolume(map, group->target_id);
  // From the index: any volume will do, it is not asked.
  const v1::Volume* const source =
      group->source_id == 0 ? target
                            : placement::FindVolume(map, group->source_id);
  const absl::Status go_on = context_->Spend(group->bytes);
  if (!go_on.ok() || source == nullptr || target == nullptr) {
    for (Item* const item : group->items) {
      item->result = absl::CancelledError("the job is to end");
    }
    return;
  }
  std::vector<BlobMove> moves;
  moves.reserve(group->items.size());
  for (const Item* item : group->items) {
    moves.push_back({item->key, item->record, item->move, item->value});
  }
  const auto results = mover_->Move(*source, *target, moves,
                                    [this] { return context_->CheckGoOn(); });
  int64_t moved = 0;
  int64_t bytes = 0;
  for (size_t i = 0; i < results.size(); ++i) {
    group->items[i]->result = results[i];
    if (!results[i].ok()) continue;
    ++moved;
    bytes += group->items[i]->record.size_bytes();
  }
  context_->Add(moved, bytes);
}

absl::Status KeyMover::Judge(const std::vector<Item*>& items, MoveTally* tally,
                             std::vector<Item*>* again) {
  again->clear();
  std::vector<Item*> changed;
  for (Item* const item : items) {
    switch (item->result.code()) {
      case absl::StatusCode::kOk: {
        ++tally->moved;
        tally->bytes += item->record.size_bytes();
        item->record.clear_replicas();
        for (const v1::SubvolumeId& place : item->move.after) {
          *item->record.add_replicas() = place;
        }
        again->push_back(item);  // It may have another copy to move.
        break;
      }
      case absl::StatusCode::kAborted:
        changed.push_back(item);
        break;
      case absl::StatusCode::kNotFound:
      case absl::StatusCode::kDataLoss:
        item->bad_sources.insert(PlaceText(item->move.source));
        if (bad_sources_.size() < base::kMovePlanKeys) {
          bad_sources_[NameOf(*item)] = item->bad_sources;
        }
        changed.push_back(item);
        break;
      case absl::StatusCode::kAlreadyExists:
        ++tally->failed;
        ++tally->waiting;
        AddLeft(*item, item->result.message(), tally);
        break;
      default:
        ++tally->failed;
        AddLeft(*item, item->result.message(), tally);
    }
  }
  RETURN_IF_ERROR(LookUp(&changed));
  again->insert(again->end(), changed.begin(), changed.end());
  return absl::OkStatus();
}

absl::Status KeyMover::LookUp(std::vector<Item*>* items) {
  std::vector<Item*> found_items;
  for (size_t begin = 0; begin < items->size(); begin += base::kBatchOpsMax) {
    const size_t end =
        std::min(items->size(), begin + size_t{base::kBatchOpsMax});
    std::vector<std::string> keys;
    for (size_t i = begin; i < end; ++i) keys.push_back((*items)[i]->key);
    ASSIGN_OR_RETURN(auto found, index_->Lookup(keys, /*with_values=*/false));
    for (size_t i = begin; i < end; ++i) {
      auto& one = found[i - begin];
      if (absl::IsNotFound(one.status())) continue;
      RETURN_IF_ERROR(one.status());
      Item* const item = (*items)[i];
      // What it is now its writer has put where it belongs; a tombstone has a
      // walk of its own.
      if (one->record.tombstone() != item->record.tombstone()) continue;
      if (FromProto(one->record.version()) !=
          FromProto(item->record.version())) {
        item->bad_sources.clear();
      }
      item->record = std::move(one->record);
      found_items.push_back(item);
    }
  }
  *items = std::move(found_items);
  return absl::OkStatus();
}

std::string KeyMover::NameOf(const Item& item) {
  return absl::StrCat(FromProto(item.record.version()).ToHex(), item.key);
}

void KeyMover::AddLeft(const Item& item, absl::string_view why,
                       MoveTally* tally) {
  if (tally->left.size() < base::kMovePlanKeys) {
    tally->left.push_back(item.key);
  }
  if (tally->problems.size() >= base::kJobProblemsShown) return;
  tally->problems.push_back(
      absl::StrCat(base::EscapeKeyForUrl(item.key), ": ", why));
}

}  // namespace cairn::master
