#include "admin/text.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "base/blob_name.h"
#include "base/hash.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::admin {
namespace {

using Json = nlohmann::ordered_json;

// Bytes that are not UTF-8 are replaced: JSON has no others.
std::string Dump(const Json& json) {
  return json.dump(/*indent=*/2, ' ', /*ensure_ascii=*/false,
                   Json::error_handler_t::replace) +
         "\n";
}

std::string Modified(const v1::Record& record) {
  return absl::FormatTime(
      "%Y-%m-%dT%H:%M:%SZ",
      absl::FromUnixSeconds(FromProto(record.version()).time_seconds()),
      absl::UTCTimeZone());
}

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

const char* DurabilityText(v1::Durability durability) {
  return durability == v1::DURABILITY_OS ? "os" : "fsync";
}

// Of all subvolumes that answer.
struct Fill {
  int64_t capacity_bytes = 0;
  int64_t free_bytes = 0;
  int full = 0;
  int failed = 0;

  // Rounded up: a disk that holds something is not at 0 %.
  int percent() const {
    if (capacity_bytes <= 0) return 0;
    const double used = 1.0 - static_cast<double>(free_bytes) / capacity_bytes;
    return std::clamp(static_cast<int>(used * 100 + 0.999), 0, 100);
  }
};

Fill FillOf(const v1::Volume& volume) {
  Fill fill;
  for (const v1::Subvolume& subvolume : volume.subvolumes()) {
    fill.capacity_bytes += subvolume.capacity_bytes();
    fill.free_bytes += subvolume.free_bytes();
    fill.full += subvolume.full() ? 1 : 0;
    fill.failed += subvolume.failed() ? 1 : 0;
  }
  return fill;
}

std::string VolumeLine(const v1::Volume& volume) {
  const Fill fill = FillOf(volume);
  std::string line = absl::StrFormat(
      "  %s  %-7s  %3d%% of %-9s  agent %s  nginx %s",
      VolumeIdText(volume.volume_id()), StateText(volume.state()),
      fill.percent(), HumanBytes(fill.capacity_bytes), volume.grpc_address(),
      volume.http_address());
  if (!volume.zone().empty()) {
    absl::StrAppend(&line, "  zone ", volume.zone());
  }
  if (fill.full > 0) absl::StrAppend(&line, "  ", fill.full, " disks full");
  if (fill.failed > 0) {
    absl::StrAppend(&line, "  ", fill.failed, " disks failed");
  }
  return line + "\n";
}

Json VolumeJson(const v1::Volume& volume) {
  const Fill fill = FillOf(volume);
  return {{"volume_id", VolumeIdText(volume.volume_id())},
          {"state", StateText(volume.state())},
          {"agent", volume.grpc_address()},
          {"nginx", volume.http_address()},
          {"zone", volume.zone()},
          {"weight", volume.weight()},
          {"subvolumes_count", volume.subvolumes_size()},
          {"capacity_bytes", fill.capacity_bytes},
          {"free_bytes", fill.free_bytes},
          {"subvolumes_full_count", fill.full},
          {"subvolumes_failed_count", fill.failed}};
}

// A protobuf map has no order of its own.
std::map<std::string, std::string> UserMetadata(const v1::Record& record) {
  return {record.metadata().user().begin(), record.metadata().user().end()};
}

}  // namespace

std::string HumanBytes(int64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would print as 1024.0.
  while (value >= 1023.95 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string StatText(absl::string_view key, const v1::Record& record,
                     const v1::ClusterMap& map) {
  const v1::ValueMetadata& metadata = record.metadata();
  std::string text = absl::StrCat(
      "key       ", base::EscapeKeyForUrl(key), "\nsize      ",
      record.size_bytes(), "\netag      ", base::ToHex(record.digest().md5()),
      "\nmodified  ", Modified(record), "\nversion   ",
      FromProto(record.version()).ToHex(), "\n");
  if (!metadata.content_type().empty()) {
    absl::StrAppend(&text, "type      ", metadata.content_type(), "\n");
  }
  if (!metadata.content_encoding().empty()) {
    absl::StrAppend(&text, "encoding  ", metadata.content_encoding(), "\n");
  }
  for (const auto& [name, value] : UserMetadata(record)) {
    absl::StrAppend(&text, "meta      ", name, "=", value, "\n");
  }
  for (const v1::SubvolumeId& replica : record.replicas()) {
    const v1::Volume* const volume =
        placement::FindVolume(map, replica.volume_id());
    absl::StrAppend(&text, "replica   ", VolumeIdText(replica.volume_id()), "/",
                    replica.subvolume());
    if (volume == nullptr) {
      absl::StrAppend(&text, "  (not in the cluster map)\n");
    } else {
      absl::StrAppend(&text, "  ", volume->http_address(), "  ",
                      StateText(volume->state()), "\n");
    }
  }
  return text;
}

std::string StatJson(absl::string_view key, const v1::Record& record,
                     const v1::ClusterMap& map) {
  Json json = {{"key", base::EscapeKeyForUrl(key)},
               {"size_bytes", record.size_bytes()},
               {"etag", base::ToHex(record.digest().md5())},
               {"modified", Modified(record)},
               {"version", FromProto(record.version()).ToHex()},
               {"content_type", record.metadata().content_type()},
               {"content_encoding", record.metadata().content_encoding()}};
  json["metadata"] = Json::object();
  for (const auto& [name, value] : UserMetadata(record)) {
    json["metadata"][name] = value;
  }
  json["replicas"] = Json::array();
  for (const v1::SubvolumeId& replica : record.replicas()) {
    const v1::Volume* const volume =
        placement::FindVolume(map, replica.volume_id());
    json["replicas"].push_back(
        {{"volume_id", VolumeIdText(replica.volume_id())},
         {"subvolume", replica.subvolume()},
         {"nginx", volume == nullptr ? "" : volume->http_address()},
         {"state",
          volume == nullptr ? "unknown" : StateText(volume->state())}});
  }
  return Dump(json);
}

std::string StatusText(const v1::GetStatusResponse& status) {
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
                  "\nkeys      ", status.keys_count(), "\nremovals  ",
                  status.removals_waiting_count(), " waiting, ",
                  status.tombstones_count(), " deleted keys remembered\n");
  absl::StrAppend(&text, "master    cairn-master ", status.program_version(),
                  "\nvolumes   ", map.volumes_size(), "\n");
  for (const v1::Volume& volume : map.volumes()) {
    text += VolumeLine(volume);
  }
  return text;
}

std::string StatusJson(const v1::GetStatusResponse& status) {
  const v1::ClusterMap& map = status.map();
  Json json = {{"ready", status.ready()},
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
               {"removals_waiting_count", status.removals_waiting_count()},
               {"tombstones_count", status.tombstones_count()},
               {"program_version", status.program_version()}};
  json["volumes"] = Json::array();
  for (const v1::Volume& volume : map.volumes()) {
    json["volumes"].push_back(VolumeJson(volume));
  }
  return Dump(json);
}

}  // namespace cairn::admin
