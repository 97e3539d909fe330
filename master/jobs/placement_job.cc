#include "master/jobs/placement_job.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "base/limits.h"
#include "base/status.h"
#include "master/jobs/key_mover.h"
#include "master/jobs/placement_plan.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

// Groups under a rate limit: each is a burst to those who read meanwhile, and
// ten small ones a second are felt less than one large one.
constexpr int kGroupsPerSecond = 10;

int64_t GroupBytes(int64_t rate) {
  if (rate <= 0) return base::kMoveGroupBytes;
  return std::min(rate / kGroupsPerSecond, base::kMoveGroupBytes);
}

// Bytes, and how long they take under a rate limit.
std::string AmountText(int64_t copies, int64_t bytes, int64_t rate) {
  std::string text = absl::StrCat(copies, " copies, ", bytes, " bytes");
  if (rate > 0) {
    absl::StrAppend(&text, ", in about ", (bytes + rate - 1) / rate, " s");
  }
  return text;
}

// One run of a job.
class Placing {
 public:
  Placing(const PlacementJob::Options* options, JobContext* context,
          int64_t rate)
      : options_(*options),
        context_(context),
        rate_(rate),
        keys_(options->index, options->membership, options->mover, context,
              GroupBytes(rate)) {}

  // What this run is about; set before Walks().
  PlanOf plan;
  // In walk `round`, keys for which it is false wait for a later one.
  std::function<bool(const v1::ClusterMap&, const v1::Record&, int round)>
      takes_key;
  int rounds_min = 1;
  // Walks until a walk has found nothing to move: new writes may bring it.
  bool until_quiet = false;

  absl::Status Start() {
    if (!cursor_.ParseFromString(context_->cursor())) {
      return absl::DataLossError("the note of the job cannot be read");
    }
    context_->SetPhase("waiting for the volumes");
    while (true) {
      const absl::Status serving = options_.membership->CheckServing();
      if (serving.ok() || options_.membership->lost()) return serving;
      RETURN_IF_ERROR(context_->Pause(options_.pause));
    }
  }

  // Counts what is to be moved.
  absl::Status CountAll() {
    context_->SetPhase("planning");
    int64_t copies = 0;
    int64_t bytes = 0;
    RETURN_IF_ERROR(Scan(
        [&](const v1::ClusterMap& map, index::IndexStore::Page* page) {
          for (size_t i = 0; i < page->keys.size(); ++i) {
            Count(map, page->keys[i], std::move(page->records[i]), &copies,
                  &bytes);
          }
          return absl::OkStatus();
        },
        ""));
    context_->SetTotals(copies, bytes);
    planned_copies_ = copies;
    planned_bytes_ = bytes;
    return absl::OkStatus();
  }

  // Moves until nothing is left to do. `tally` is that of the last walk, but
  // for what was moved, which is that of all.
  absl::Status Walks() {
    context_->SetPhase("moving");
    while (true) {
      tally_ = MoveTally();
      RETURN_IF_ERROR(Walk());
      const bool last = cursor_.round() + 1 >= rounds_min;
      const bool moved = tally_.moved > 0;
      if (last) RETURN_IF_ERROR(TryLeft([this] { return Walk(); }));
      cursor_.set_round(cursor_.round() + 1);
      cursor_.clear_next_key();
      if (last && (tally_.failed > 0 || !until_quiet || !moved)) {
        return absl::OkStatus();
      }
    }
  }

  // The same for the blobs of tombstones: there are few, or none.
  absl::Status WalkTombstones() {
    const MoveTally values = std::exchange(tally_, MoveTally());
    const auto walk = [this] { return WalkSomeTombstones(); };
    int64_t moved = 0;
    do {
      moved = tally_.moved;
      RETURN_IF_ERROR(walk());
    } while (tally_.moved - moved >= base::kMovePlanKeys);
    RETURN_IF_ERROR(TryLeft(walk));
    tally_.failed += values.failed;
    tally_.stuck += values.stuck;
    tally_.problems.insert(tally_.problems.begin(), values.problems.begin(),
                           values.problems.end());
    return absl::OkStatus();
  }

  // Says what could not be done; the job has ended all the same.
  void ReportProblems() {
    for (const std::string& problem : tally_.problems) {
      context_->AddProblem(problem);
    }
    const int64_t more = tally_.failed + tally_.stuck -
                         static_cast<int64_t>(tally_.problems.size());
    if (more > 0) {
      context_->AddProblem(absl::StrCat(
          more, more == 1 ? " more key" : " more keys", " likewise"));
    }
  }

  int64_t moved() const { return cursor_.moved_count(); }
  int64_t moved_bytes() const { return cursor_.moved_bytes(); }
  // Keys that should be moved and were not.
  int64_t left() const { return tally_.failed + tally_.stuck; }
  std::string MovedText() const {
    return AmountText(moved(), moved_bytes(), 0);
  }
  std::string PlannedText() const {
    return AmountText(planned_copies_, planned_bytes_, rate_);
  }

 private:
  absl::Status Scan(const std::function<absl::Status(
                        const v1::ClusterMap&, index::IndexStore::Page*)>& each,
                    const std::string& start) {
    index::IndexStore::ScanOptions scan;
    scan.limit = base::kMovePlanKeys;
    scan.with_records = true;
    scan.start = start;
    do {
      RETURN_IF_ERROR(context_->CheckGoOn());
      ASSIGN_OR_RETURN(index::IndexStore::Page page,
                       options_.index->Scan(scan));
      scan.start = page.next;
      const Membership::View view = options_.membership->view();
      RETURN_IF_ERROR(each(view->map, &page));
    } while (!scan.start.empty());
    return absl::OkStatus();
  }

  // Plays the moves of a key through.
  void Count(const v1::ClusterMap& map, const std::string& key,
             v1::Record record, int64_t* copies, int64_t* bytes) const {
    for (int i = 0; i < map.replicas(); ++i) {
      const Plan planned = plan(map, key, record);
      if (planned.kind != Plan::Kind::kMove) return;
      // Without a live copy only the index can have it.
      if (planned.move.source.volume_id() == 0 &&
          (record.tombstone() ||
           record.size_bytes() > map.inline_bytes_max())) {
        return;
      }
      ++*copies;
      *bytes += record.size_bytes();
      record.clear_replicas();
      for (const v1::SubvolumeId& place : planned.move.after) {
        *record.add_replicas() = place;
      }
    }
  }

  absl::Status Walk() {
    return Scan(
        [&](const v1::ClusterMap& map, index::IndexStore::Page* page) {
          std::vector<std::string> keys;
          std::vector<v1::Record> records;
          for (size_t i = 0; i < page->keys.size(); ++i) {
            if (takes_key &&
                !takes_key(map, page->records[i], cursor_.round())) {
              continue;
            }
            keys.push_back(std::move(page->keys[i]));
            records.push_back(std::move(page->records[i]));
          }
          RETURN_IF_ERROR(Move(std::move(keys), std::move(records)));
          cursor_.set_next_key(page->next);
          return context_->SaveCursor(cursor_.SerializeAsString());
        },
        cursor_.next_key());
  }

  absl::Status Move(std::vector<std::string> keys,
                    std::vector<v1::Record> records) {
    const int64_t moved = tally_.moved;
    const int64_t bytes = tally_.bytes;
    RETURN_IF_ERROR(
        keys_.Move(std::move(keys), std::move(records), plan, &tally_));
    cursor_.set_moved_count(cursor_.moved_count() + tally_.moved - moved);
    cursor_.set_moved_bytes(cursor_.moved_bytes() + tally_.bytes - bytes);
    return absl::OkStatus();
  }

  // At most kMovePlanKeys of them.
  absl::Status WalkSomeTombstones() {
    std::vector<std::string> keys;
    std::vector<v1::Record> records;
    const Membership::View view = options_.membership->view();
    const absl::Status walked = options_.index->Walk(
        /*with_values=*/false,
        [&](absl::string_view key, const index::Found& found) {
          if (!found.record.tombstone() ||
              plan(view->map, key, found.record).kind == Plan::Kind::kNothing) {
            return absl::OkStatus();
          }
          keys.emplace_back(key);
          records.push_back(found.record);
          return keys.size() < base::kMovePlanKeys
                     ? absl::OkStatus()
                     : absl::ResourceExhaustedError("enough");
        });
    if (!walked.ok() && !absl::IsResourceExhausted(walked)) return walked;
    return Move(std::move(keys), std::move(records));
  }

  // Tries again what `walk` has left, until nothing has failed or it gets no
  // further.
  absl::Status TryLeft(const std::function<absl::Status()>& walk) {
    absl::Time moved_at = absl::Now();
    for (int idle = 0; tally_.failed > 0;) {
      // A queue of removals is worked off at its own pace.
      const bool goes_on = tally_.waiting > 0
                               ? absl::Now() - moved_at < options_.stall_max
                               : idle < options_.tries_max;
      if (!goes_on) return absl::OkStatus();
      RETURN_IF_ERROR(context_->Pause(options_.pause));
      const MoveTally before = std::exchange(tally_, MoveTally());
      const bool all = static_cast<int64_t>(before.left.size()) ==
                       before.failed + before.stuck;
      cursor_.clear_next_key();
      RETURN_IF_ERROR(all ? MoveAgain(before.left) : walk());
      ++idle;
      if (tally_.moved == 0) continue;
      idle = 0;
      moved_at = absl::Now();
    }
    return absl::OkStatus();
  }

  absl::Status MoveAgain(absl::Span<const std::string> keys) {
    std::vector<std::string> found_keys;
    std::vector<v1::Record> records;
    for (size_t i = 0; i < keys.size(); i += base::kBatchOpsMax) {
      const auto some = keys.subspan(i, base::kBatchOpsMax);
      ASSIGN_OR_RETURN(auto found,
                       options_.index->Lookup(some, /*with_values=*/false));
      for (size_t k = 0; k < some.size(); ++k) {
        if (absl::IsNotFound(found[k].status())) continue;
        RETURN_IF_ERROR(found[k].status());
        found_keys.push_back(some[k]);
        records.push_back(std::move(found[k]->record));
      }
    }
    RETURN_IF_ERROR(Move(std::move(found_keys), std::move(records)));
    return context_->SaveCursor(cursor_.SerializeAsString());
  }

  const PlacementJob::Options& options_;
  JobContext* const context_;
  const int64_t rate_;
  KeyMover keys_;
  v1::PlacementCursor cursor_;
  MoveTally tally_;
  int64_t planned_copies_ = 0;
  int64_t planned_bytes_ = 0;
};

// A master may have died between an undrain and the end of its drain.
absl::Status CheckDraining(const v1::ClusterMap& map, uint32_t volume_id) {
  const v1::Volume* const volume = placement::FindVolume(map, volume_id);
  if (volume != nullptr && volume->draining()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "volume ", VolumeIdText(volume_id),
      volume == nullptr ? " was removed" : " takes new values again",
      ": its drain has ended"));
}

// Waits until the volume itself counts nothing any more.
class DrainEnd {
 public:
  DrainEnd(const PlacementJob::Options* options, JobContext* context,
           uint32_t volume_id)
      : options_(*options), context_(context), volume_id_(volume_id) {}

  // True: nothing is left there. False: what is left becomes no less; writes
  // that were under way may have brought it, so look for keys again.
  absl::StatusOr<bool> Wait() {
    context_->SetPhase("waiting for the last blobs to be removed");
    options_.on_removals(volume_id_);
    const absl::Time begin = absl::Now();
    while (true) {
      const Membership::View view = options_.membership->view();
      const v1::Volume* const volume =
          placement::FindVolume(view->map, volume_id_);
      if (volume == nullptr || volume->state() != v1::VOLUME_STATE_UP) {
        note_ = "0 keys name it; it is down, so its files were not counted";
        return true;
      }
      RETURN_IF_ERROR(Ask(*volume));
      if (left_ == 0) return true;
      if (left_ > 0 && absl::Now() - less_at_ > options_.drain_stall_max) {
        return absl::FailedPreconditionError(absl::StrCat(
            "volume ", VolumeIdText(volume_id_), " still counts ", left_,
            " blobs that no key names: run `cairn verify --repair`, then drain "
            "it again"));
      }
      if (absl::Now() - std::max(begin, less_at_) > 5 * options_.pause) {
        return false;
      }
      RETURN_IF_ERROR(context_->Pause(options_.pause / 5));
    }
  }

  const std::string& note() const { return note_; }

 private:
  absl::Status Ask(const v1::Volume& volume) {
    v1::CountBlobsResponse count;
    const absl::Status counted =
        options_.copies->Count(volume, base::kVerifyDeadlineMin, &count);
    if (!counted.ok()) {
      left_ = -1;  // Not known; it may be starting.
      if (absl::IsUnavailable(counted) || absl::IsDeadlineExceeded(counted)) {
        return context_->Pause(options_.pause);
      }
      return counted;
    }
    const int64_t left =
        count.blobs_count() + count.tombstones_count() + count.uploads_count();
    if (left < least_) {
      least_ = left;
      less_at_ = absl::Now();
    }
    left_ = left;
    note_ = "0 blobs left";
    if (count.failed_subvolumes_size() > 0) {
      absl::StrAppend(&note_, ", but for ", count.failed_subvolumes_size(),
                      " failed disks that were not counted");
    }
    return absl::OkStatus();
  }

  const PlacementJob::Options& options_;
  JobContext* const context_;
  const uint32_t volume_id_;
  int64_t left_ = -1;
  int64_t least_ = INT64_MAX;
  absl::Time less_at_ = absl::Now();
  std::string note_;
};

}  // namespace

absl::Status PlacementJob::RunRebalance(JobContext* context) {
  v1::RebalanceRequest request;
  if (!request.ParseFromString(context->request())) {
    return absl::DataLossError("the note of the rebalance cannot be read");
  }
  Placing placing(&options_, context, request.options().bytes_per_second_max());
  placing.plan = &PlanRebalance;
  RETURN_IF_ERROR(placing.Start());
  RETURN_IF_ERROR(placing.CountAll());
  if (context->dry_run()) {
    context->SetSummary(absl::StrCat("would move ", placing.PlannedText()));
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(placing.Walks());
  placing.ReportProblems();
  const Membership::View view = options_.membership->view();
  for (const v1::Volume& volume : view->map.volumes()) {
    if (volume.state() == v1::VOLUME_STATE_UP || volume.draining()) continue;
    context->AddProblem(absl::StrCat(
        "volume ", VolumeIdText(volume.volume_id()),
        " is down: what belongs there was not moved; rebalance again when it "
        "is back"));
  }
  context->SetSummary(absl::StrCat("moved ", placing.MovedText()));
  return absl::OkStatus();
}

absl::Status PlacementJob::RunRepair(JobContext* context) {
  v1::RepairRequest request;
  if (!request.ParseFromString(context->request())) {
    return absl::DataLossError("the note of the repair cannot be read");
  }
  Placing placing(&options_, context, request.options().bytes_per_second_max());
  const absl::Duration down_min = absl::Seconds(request.down_seconds_min());
  placing.plan = [this, down_min](const v1::ClusterMap& map,
                                  absl::string_view key,
                                  const v1::Record& record) {
    return PlanRepair(
        map,
        [&](const v1::SubvolumeId& place) {
          // One on an unconfirmed volume may be there.
          if (IsReachable(map, place)) return false;
          const v1::Volume* const volume =
              placement::FindVolume(map, place.volume_id());
          return volume == nullptr || volume->state() == v1::VOLUME_STATE_UP ||
                 options_.membership->DownFor(place.volume_id()) >= down_min;
        },
        key, record);
  };
  RETURN_IF_ERROR(placing.Start());
  // Those with one live copy first, then those with two, ...; then all.
  const int replicas = options_.membership->view()->map.replicas();
  placing.rounds_min = replicas;
  placing.takes_key = [replicas](const v1::ClusterMap& map,
                                 const v1::Record& record, int round) {
    return round + 1 >= replicas || LiveCopies(map, record) <= round + 1;
  };
  RETURN_IF_ERROR(placing.CountAll());
  if (context->dry_run()) {
    context->SetSummary(
        absl::StrCat("would make ", placing.PlannedText(), " again"));
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(placing.Walks());
  RETURN_IF_ERROR(placing.WalkTombstones());
  placing.ReportProblems();
  context->SetSummary(absl::StrCat("made ", placing.MovedText(), " again"));
  return absl::OkStatus();
}

absl::Status PlacementJob::RunDrain(JobContext* context) {
  v1::DrainVolumeRequest request;
  uint32_t id = 0;
  if (!request.ParseFromString(context->request()) ||
      !absl::SimpleHexAtoi(request.volume_id(), &id)) {
    return absl::DataLossError("the note of the drain cannot be read");
  }
  const std::string name = absl::StrCat("volume ", VolumeIdText(id), ": ");
  Placing placing(&options_, context, request.options().bytes_per_second_max());
  placing.plan = [id](const v1::ClusterMap& map, absl::string_view key,
                      const v1::Record& record) {
    return PlanDrain(map, id, key, record);
  };
  placing.until_quiet = true;
  RETURN_IF_ERROR(placing.Start());
  RETURN_IF_ERROR(placing.CountAll());
  if (context->dry_run()) {
    context->SetSummary(
        absl::StrCat(name, "would move ", placing.PlannedText()));
    return absl::OkStatus();
  }
  DrainEnd end(&options_, context, id);
  while (true) {
    RETURN_IF_ERROR(CheckDraining(options_.membership->view()->map, id));
    RETURN_IF_ERROR(placing.Walks());
    RETURN_IF_ERROR(placing.WalkTombstones());
    if (placing.left() > 0) {
      placing.ReportProblems();
      return absl::FailedPreconditionError(absl::StrCat(
          name, placing.left(),
          " of its keys could not be moved: see the "
          "problems, then drain it again; it takes no new values until "
          "`cairn volume undrain`"));
    }
    ASSIGN_OR_RETURN(const bool empty, end.Wait());
    if (empty) break;
  }
  context->SetSummary(absl::StrCat(name, "moved ", placing.MovedText(), "; ",
                                   end.note(), ", safe to remove"));
  return absl::OkStatus();
}

}  // namespace cairn::master
