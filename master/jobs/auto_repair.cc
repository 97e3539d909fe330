#include "master/jobs/auto_repair.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"
#include "master/jobs/placement_plan.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

// A tenth of the time at most goes into counting.
constexpr int kCountRest = 10;

// Calls `each` for every place that cannot be read.
void ForEachGone(const v1::ClusterMap& map,
                 const std::function<void(const v1::Volume& volume,
                                          const std::string& place)>& each) {
  for (const v1::Volume& volume : map.volumes()) {
    if (volume.state() != v1::VOLUME_STATE_UP) {
      each(volume, VolumeIdText(volume.volume_id()));
      continue;
    }
    for (int i = 0; i < volume.subvolumes_size(); ++i) {
      if (!volume.subvolumes(i).failed()) continue;
      each(volume, absl::StrCat(VolumeIdText(volume.volume_id()), "/", i));
    }
  }
}

void AppendPlace(const std::string& place, std::string* text) {
  absl::StrAppend(text, text->empty() ? "" : ", ", place);
}

}  // namespace

void AutoRepair::Start() {
  thread_ = std::thread([this] { Run(); });
}

void AutoRepair::Stop() {
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    stop_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

bool AutoRepair::stopping() {
  base::MutexLock lock(&mu_);
  return stopping_;
}

void AutoRepair::Run() {
  while (true) {
    {
      base::MutexLock lock(&mu_);
      if (!stopping_) stop_.WaitFor(&mu_, options_.pause);
      if (stopping_) return;
    }
    if (!options_.membership->CheckServing().ok()) continue;
    const Membership::View view = options_.membership->view();
    const absl::Status counted = CountIfDue(view->map);
    if (!counted.ok()) {
      base::LogWarning("counting copies: ", counted.message());
      continue;
    }
    StartIfDue(view->map);
  }
}

absl::Status AutoRepair::CountIfDue(const v1::ClusterMap& map) {
  std::string gone;
  ForEachGone(map, [&](const v1::Volume&, const std::string& place) {
    AppendPlace(place, &gone);
  });
  for (const v1::Volume& volume : map.volumes()) {
    if (!volume.unconfirmed()) continue;
    AppendPlace(VolumeIdText(volume.volume_id()) + " unconfirmed", &gone);
  }
  const bool counted = under_replicated_.load() >= 0;
  // Nothing is gone, nothing is missing: it stays so.
  if (counted && gone.empty() && counted_for_.empty() &&
      under_replicated_.load() == 0) {
    return absl::OkStatus();
  }
  if (counted && gone == counted_for_ && absl::Now() < count_at_) {
    return absl::OkStatus();
  }
  const absl::Time start = absl::Now();
  ASSIGN_OR_RETURN(const int64_t count, Count(map));
  under_replicated_.store(count);
  counted_for_ = gone;
  const absl::Duration took = absl::Now() - start;
  count_at_ =
      absl::Now() + std::max(base::kReplicaCountPause, took * kCountRest);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> AutoRepair::Count(const v1::ClusterMap& map) {
  int64_t count = 0;
  index::IndexStore::ScanOptions scan;
  scan.limit = base::kMovePlanKeys;
  scan.with_records = true;
  do {
    if (stopping()) return absl::CancelledError("the master is stopping");
    ASSIGN_OR_RETURN(const index::IndexStore::Page page,
                     options_.index->Scan(scan));
    for (const v1::Record& record : page.records) {
      if (LiveCopies(map, record) < map.replicas()) ++count;
    }
    scan.start = page.next;
  } while (!scan.start.empty());
  return count;
}

std::string AutoRepair::LongGone(const v1::ClusterMap& map) {
  std::string long_gone;
  std::map<std::string, absl::Time> failed_since;
  ForEachGone(map, [&](const v1::Volume& volume, const std::string& place) {
    absl::Duration gone_for;
    if (volume.state() != v1::VOLUME_STATE_UP) {
      gone_for = options_.membership->DownFor(volume.volume_id());
    } else {
      const auto it = failed_since_.find(place);
      failed_since[place] =
          it == failed_since_.end() ? absl::Now() : it->second;
      gone_for = absl::Now() - failed_since[place];
    }
    if (gone_for >= options_.repair_after) AppendPlace(place, &long_gone);
  });
  failed_since_ = std::move(failed_since);
  return long_gone;
}

void AutoRepair::StartIfDue(const v1::ClusterMap& map) {
  if (options_.repair_after <= absl::ZeroDuration()) return;
  const std::string gone = LongGone(map);
  if (repair_ != nullptr && !repair_->WaitForEnd(absl::ZeroDuration())) {
    repaired_at_ = absl::Now();  // It has not ended.
    return;
  }
  if (gone.empty() || under_replicated_.load() <= 0) return;
  // What it could not do it tries again, but not all the time.
  if (gone == repaired_for_ &&
      absl::Now() - repaired_at_ < options_.repair_after) {
    return;
  }
  v1::RepairRequest request;
  request.set_down_seconds_min(absl::ToInt64Seconds(options_.repair_after));
  request.mutable_options()->set_bytes_per_second_max(
      options_.bytes_per_second_max);
  const auto job = options_.jobs->Start(v1::JOB_KIND_REPAIR, request.options(),
                                        request.SerializeAsString());
  if (!job.ok()) {
    base::LogWarning("starting a repair: ", job.status().message());
    return;
  }
  base::LogInfo("repair starts: gone for ",
                absl::FormatDuration(options_.repair_after),
                " or longer: ", gone,
                "; keys with too few live copies: ", under_replicated_.load());
  repair_ = *job;
  repaired_for_ = gone;
  repaired_at_ = absl::Now();
}

}  // namespace cairn::master
