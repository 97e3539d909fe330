#include "gateway/value_headers.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "gateway/call.h"
#include "gateway/conditions.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::gateway {
namespace {

constexpr char kDefaultType[] = "application/octet-stream";

// "127.0.0.1:3301/2": where the replica is, for people.
std::string VolumesText(const v1::ClusterMap& map, const v1::Record& record) {
  std::string text;
  for (const v1::SubvolumeId& where : record.replicas()) {
    const v1::Volume* volume = placement::FindVolume(map, where.volume_id());
    absl::StrAppend(&text, text.empty() ? "" : ",",
                    volume == nullptr ? VolumeIdText(where.volume_id())
                                      : volume->http_address(),
                    "/", where.subvolume());
  }
  return text;
}

}  // namespace

void AddValidators(const v1::Record& record, Headers* headers) {
  headers->emplace_back("ETag", EtagOf(record));
  headers->emplace_back("Last-Modified", FormatHttpDate(MtimeOf(record)));
  headers->emplace_back("Cairn-Version", FromProto(record.version()).ToHex());
}

void AddRepresentation(const v1::Record& record, Headers* headers) {
  const v1::ValueMetadata& metadata = record.metadata();
  headers->emplace_back("Content-Type", metadata.content_type().empty()
                                            ? kDefaultType
                                            : metadata.content_type());
  if (!metadata.content_encoding().empty()) {
    headers->emplace_back("Content-Encoding", metadata.content_encoding());
  }
}

void AddCairnHeaders(const v1::ClusterMap& map, absl::string_view key,
                     const v1::Record& record, Headers* headers) {
  headers->emplace_back("Content-Md5", base::ToHex(record.digest().md5()));
  headers->emplace_back("Key-Volumes", VolumesText(map, record));
  headers->emplace_back(
      "Key-Balance", IsBalanced(map, key, record) ? "balanced" : "unbalanced");
  for (const auto& [name, value] : record.metadata().user()) {
    headers->emplace_back(absl::StrCat("x-cairn-meta-", name), value);
  }
}

bool IsBalanced(const v1::ClusterMap& map, absl::string_view key,
                const v1::Record& record) {
  std::vector<placement::Target> wanted = placement::Order(map, key);
  const int replicas = map.replicas();
  if (record.replicas_size() != replicas ||
      static_cast<int>(wanted.size()) < replicas) {
    return false;
  }
  wanted.resize(replicas);
  return std::all_of(
      record.replicas().begin(), record.replicas().end(),
      [&wanted](const v1::SubvolumeId& where) {
        const placement::Target target{where.volume_id(), where.subvolume()};
        return std::find(wanted.begin(), wanted.end(), target) != wanted.end();
      });
}

}  // namespace cairn::gateway
