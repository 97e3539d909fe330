// Parts of StoreService's messages.

#ifndef CAIRN_MASTER_VALUE_STAT_H_
#define CAIRN_MASTER_VALUE_STAT_H_

#include <string>

#include "absl/status/statusor.h"
#include "proto/cairn/v1/common.pb.h"
#include "proto/cairn/v1/metadata.pb.h"
#include "proto/cairn/v1/store.pb.h"

namespace cairn::master {

// What `record` says of a key; `map` gives the addresses of its replicas.
void FillStat(const std::string& key, const v1::Record& record,
              const v1::ClusterMap& map, v1::ValueStat* stat);

// kInvalidArgument: both are given, or `if_match` is not an ETag.
absl::StatusOr<v1::Precondition> MakePrecondition(bool must_be_new,
                                                  const std::string& if_match);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_VALUE_STAT_H_
