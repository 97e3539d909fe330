// What is printed of keys. Pure functions; each text ends with a newline.

#ifndef CAIRN_ADMIN_VALUE_TEXT_H_
#define CAIRN_ADMIN_VALUE_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::admin {

// A line of `ls --long`, and of `ls --json`.
std::string KeyLine(absl::string_view key, const v1::Record& record);
std::string KeyJsonLine(absl::string_view key, const v1::Record& record);

// `map` tells the addresses of the replicas' volumes.
std::string StatText(absl::string_view key, const v1::Record& record,
                     const v1::ClusterMap& map);
std::string StatJson(absl::string_view key, const v1::Record& record,
                     const v1::ClusterMap& map);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_VALUE_TEXT_H_
