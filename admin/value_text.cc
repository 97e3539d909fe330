#include "admin/value_text.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "admin/cluster_text.h"
#include "admin/json.h"
#include "base/blob_name.h"
#include "base/hash.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::admin {
namespace {

std::string Modified(const v1::Record& record) {
  return absl::FormatTime(
      "%Y-%m-%dT%H:%M:%SZ",
      absl::FromUnixSeconds(FromProto(record.version()).time_seconds()),
      absl::UTCTimeZone());
}

// A protobuf map has no order of its own.
std::map<std::string, std::string> UserMetadata(const v1::Record& record) {
  return {record.metadata().user().begin(), record.metadata().user().end()};
}

// What ls and stat both say.
Json RecordJson(absl::string_view key, const v1::Record& record) {
  return {{"key", base::EscapeKeyForUrl(key)},
          {"size_bytes", record.size_bytes()},
          {"etag", base::ToHex(record.digest().md5())},
          {"modified", Modified(record)},
          {"version", FromProto(record.version()).ToHex()},
          {"content_type", record.metadata().content_type()},
          {"content_encoding", record.metadata().content_encoding()}};
}

}  // namespace

std::string KeyLine(absl::string_view key, const v1::Record& record) {
  return absl::StrFormat("%15d  %s  %s\n", record.size_bytes(),
                         Modified(record), base::EscapeKeyForUrl(key));
}

std::string KeyJsonLine(absl::string_view key, const v1::Record& record) {
  return JsonLine(RecordJson(key, record));
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
  Json json = RecordJson(key, record);
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
  return JsonText(json);
}

}  // namespace cairn::admin
