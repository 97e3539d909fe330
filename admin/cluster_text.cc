#include "admin/cluster_text.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "admin/human.h"
#include "admin/job_text.h"
#include "admin/json.h"
#include "admin/table.h"
#include "proto/convert.h"

namespace cairn::admin {
namespace {

const char* DurabilityText(v1::Durability durability) {
  return durability == v1::DURABILITY_OS ? "os" : "fsync";
}

// Of one or more volumes, as they last reported it.
struct Fill {
  int disks = 0;
  int64_t capacity_bytes = 0;
  int64_t free_bytes = 0;
  int full = 0;
  int failed = 0;

  void Add(const v1::Volume& volume) {
    for (const v1::Subvolume& subvolume : volume.subvolumes()) {
      ++disks;
      capacity_bytes += subvolume.capacity_bytes();
      free_bytes += subvolume.free_bytes();
      full += subvolume.full() ? 1 : 0;
      failed += subvolume.failed() ? 1 : 0;
    }
  }
  int64_t used_bytes() const {
    return std::max(int64_t{0}, capacity_bytes - free_bytes);
  }
  // Rounded up: a disk that holds something is not at 0 %.
  int percent() const {
    if (capacity_bytes <= 0) return 0;
    const double used =
        static_cast<double>(used_bytes()) / static_cast<double>(capacity_bytes);
    return std::clamp(static_cast<int>(used * 100 + 0.999), 0, 100);
  }
  // "4", "4: 1 full, 2 failed".
  std::string DisksText() const {
    std::vector<std::string> bad;
    if (full > 0) bad.push_back(absl::StrCat(full, " full"));
    if (failed > 0) bad.push_back(absl::StrCat(failed, " failed"));
    if (bad.empty()) return absl::StrCat(disks);
    return absl::StrCat(disks, ": ", absl::StrJoin(bad, ", "));
  }
};

Fill FillOf(const v1::Volume& volume) {
  Fill fill;
  fill.Add(volume);
  return fill;
}

using Volumes = google::protobuf::RepeatedPtrField<v1::Volume>;

std::string VolumesTable(const Volumes& volumes) {
  std::vector<std::vector<std::string>> rows = {{"ID", "STATE", "FILL", "USED",
                                                 "CAPACITY", "DISKS", "WEIGHT",
                                                 "ZONE", "ADDRESS", "NGINX"}};
  for (const v1::Volume& volume : volumes) {
    const Fill fill = FillOf(volume);
    rows.push_back({VolumeIdText(volume.volume_id()),
                    absl::StrCat(StateText(volume.state()),
                                 volume.draining() ? ", draining" : "",
                                 volume.unconfirmed() ? ", unconfirmed" : ""),
                    absl::StrCat(fill.percent(), "%"),
                    HumanBytes(fill.used_bytes()),
                    HumanBytes(fill.capacity_bytes), fill.DisksText(),
                    absl::StrCat(volume.weight()),
                    volume.zone().empty() ? "-" : volume.zone(),
                    volume.grpc_address(), volume.http_address()});
  }
  return Table(rows);
}

Json DiskJson(const v1::Subvolume& disk) {
  return {{"capacity_bytes", disk.capacity_bytes()},
          {"free_bytes", disk.free_bytes()},
          {"free_inodes", disk.free_inodes()},
          {"full", disk.full()},
          {"failed", disk.failed()}};
}

Json VolumeJson(const v1::Volume& volume) {
  const Fill fill = FillOf(volume);
  Json json = {{"id", VolumeIdText(volume.volume_id())},
               {"state", StateText(volume.state())},
               {"draining", volume.draining()},
               {"unconfirmed", volume.unconfirmed()},
               {"address", volume.grpc_address()},
               {"http_address", volume.http_address()},
               {"zone", volume.zone()},
               {"weight", volume.weight()},
               {"capacity_bytes", fill.capacity_bytes},
               {"used_bytes", fill.used_bytes()},
               {"free_bytes", fill.free_bytes},
               {"subvolumes_full_count", fill.full},
               {"subvolumes_failed_count", fill.failed}};
  json["subvolumes"] = Json::array();
  for (const v1::Subvolume& disk : volume.subvolumes()) {
    json["subvolumes"].push_back(DiskJson(disk));
  }
  return json;
}

Json VolumesArray(const Volumes& volumes) {
  Json json = Json::array();
  for (const v1::Volume& volume : volumes) json.push_back(VolumeJson(volume));
  return json;
}

// "3: 2 up, 1 down".
std::string VolumesCounted(const Volumes& volumes) {
  std::string text = absl::StrCat(volumes.size());
  const char* separator = ": ";
  for (const v1::VolumeState state :
       {v1::VOLUME_STATE_UP, v1::VOLUME_STATE_DOWN, v1::VOLUME_STATE_REMOVED}) {
    const auto count =
        std::count_if(volumes.begin(), volumes.end(),
                      [&](const auto& v) { return v.state() == state; });
    if (count == 0) continue;
    absl::StrAppend(&text, separator, count, " ", StateText(state));
    separator = ", ";
  }
  const auto draining =
      std::count_if(volumes.begin(), volumes.end(),
                    [](const auto& v) { return v.draining(); });
  if (draining > 0) absl::StrAppend(&text, separator, draining, " draining");
  return text;
}

// "": none, or not counted yet.
std::string FewCopies(const v1::GetStatusResponse& status) {
  const int64_t count = status.under_replicated_keys_count();
  if (count <= 0) return "";
  return absl::StrCat(", ", count, " with fewer than ", status.map().replicas(),
                      " live copies");
}

// Of the last round of the background verify.
std::string VerifiedText(const v1::GetStatusResponse& status) {
  if (!status.has_last_verify()) return "not yet";
  const v1::VerifySummary& last = status.last_verify();
  const std::string when = absl::FormatTime(
      "%Y-%m-%d %H:%M UTC", absl::FromUnixMillis(last.ended_time_ms()),
      absl::UTCTimeZone());
  return last.problems_count() == 0
             ? absl::StrCat(when, ", all good")
             : absl::StrCat(when, ", ", last.problems_count(),
                            " problems: run `cairn verify`");
}

}  // namespace

const char* StateText(v1::VolumeState state) {
  switch (state) {
    case v1::VOLUME_STATE_UP:
      return "up";
    case v1::VOLUME_STATE_DOWN:
      return "down";
    case v1::VOLUME_STATE_REMOVED:
      return "removed";
    default:
      return "unknown";
  }
}

std::string StatusText(const v1::GetStatusResponse& status,
                       const v1::ListJobsResponse& jobs) {
  const v1::ClusterMap& map = status.map();
  std::string text =
      status.ready()
          ? "ready     yes\n"
          : absl::StrCat("ready     no: ", status.not_ready_reason(), "\n");
  absl::StrAppend(&text, "cluster   ", map.cluster_id(), ", epoch ",
                  map.epoch(), ", replicas ", map.replicas(), ", ",
                  map.subvolumes_per_volume(), " subvolumes a volume\n");
  absl::StrAppend(&text, "durable   ", DurabilityText(map.durability()));
  if (!status.durability_note().empty()) {
    absl::StrAppend(&text, ": ", status.durability_note());
  }
  absl::StrAppend(&text, "\nindex     ", status.index_uri(),
                  status.index_full() ? ", FULL: takes no new values" : "",
                  "\nkeys      ", status.keys_count(), FewCopies(status),
                  "\nremovals  ", status.removals_waiting_count(), " waiting, ",
                  status.tombstones_count(), " deleted keys remembered\n");
  absl::StrAppend(&text, "verified  ", VerifiedText(status), "\njobs      ",
                  RunningJobs(jobs), "\nmaster    cairn-master ",
                  status.program_version(), "\nvolumes   ",
                  VolumesCounted(map.volumes()), "\n");
  if (map.volumes().empty()) return text;
  Fill all;
  for (const v1::Volume& volume : map.volumes()) all.Add(volume);
  absl::StrAppend(&text, "disks     ", all.DisksText(), "\nused      ",
                  all.percent(), "% of ", HumanBytes(all.capacity_bytes),
                  "\n\n", VolumesTable(map.volumes()));
  return text;
}

std::string StatusJson(const v1::GetStatusResponse& status,
                       const v1::ListJobsResponse& jobs) {
  const v1::ClusterMap& map = status.map();
  Json json = {
      {"ready", status.ready()},
      {"not_ready_reason", status.not_ready_reason()},
      {"cluster_id", map.cluster_id()},
      {"epoch", map.epoch()},
      {"replicas", map.replicas()},
      {"subvolumes_per_volume", map.subvolumes_per_volume()},
      {"inline_bytes_max", map.inline_bytes_max()},
      {"durability", DurabilityText(map.durability())},
      {"durability_note", status.durability_note()},
      {"index", status.index_uri()},
      {"index_full", status.index_full()},
      {"keys_count", status.keys_count()},
      {"under_replicated_keys_count", status.under_replicated_keys_count()},
      {"removals_waiting_count", status.removals_waiting_count()},
      {"tombstones_count", status.tombstones_count()},
      {"program_version", status.program_version()}};
  if (status.has_last_verify()) {
    const v1::VerifySummary& last = status.last_verify();
    json["last_verify"] = {{"started_time_ms", last.started_time_ms()},
                           {"ended_time_ms", last.ended_time_ms()},
                           {"problems_count", last.problems_count()},
                           {"summary", last.summary()}};
  }
  json["volumes"] = VolumesArray(map.volumes());
  json["jobs"] = JobsArray(jobs);
  return JsonText(json);
}

std::string VolumesText(const v1::ListVolumesResponse& volumes) {
  if (volumes.volumes().empty()) return "no volume has joined yet\n";
  return VolumesTable(volumes.volumes());
}

std::string VolumeChangeJson(const std::string& volume_id,
                             const std::string& what) {
  return JsonText(Json{{"id", volume_id}, {what, true}});
}

std::string VolumesJson(const v1::ListVolumesResponse& volumes) {
  return JsonText(VolumesArray(volumes.volumes()));
}

}  // namespace cairn::admin
