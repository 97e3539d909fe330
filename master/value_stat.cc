#include "master/value_stat.h"

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {

void FillStat(const std::string& key, const v1::Record& record,
              const v1::ClusterMap& map, v1::ValueStat* stat) {
  stat->set_key(key);
  stat->set_size_bytes(record.size_bytes());
  stat->set_etag(base::ToHex(record.digest().md5()));
  *stat->mutable_version() = record.version();
  *stat->mutable_metadata() = record.metadata();
  for (const v1::SubvolumeId& where : record.replicas()) {
    const v1::Volume* volume = placement::FindVolume(map, where.volume_id());
    stat->add_replicas(absl::StrCat(volume == nullptr
                                        ? VolumeIdText(where.volume_id())
                                        : volume->http_address(),
                                    "/", where.subvolume()));
  }
}

absl::StatusOr<v1::Precondition> MakePrecondition(bool must_be_new,
                                                  const std::string& if_match) {
  v1::Precondition precondition;
  precondition.set_absent(must_be_new);
  if (if_match.empty()) return precondition;
  const std::string md5 = base::FromHex(if_match);
  if (must_be_new || md5.size() != 16) {
    return absl::InvalidArgumentError(
        "if_match is an ETag, 32 hexadecimal digits, and excludes "
        "must_be_new: correct it or leave it out");
  }
  precondition.add_md5_any_of(md5);
  return precondition;
}

}  // namespace cairn::master
