// What the command line prints. Pure functions; each text ends with a newline.

#ifndef CAIRN_ADMIN_TEXT_H_
#define CAIRN_ADMIN_TEXT_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "proto/cairn/v1/admin.pb.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::admin {

// "999 B", "1.5 KiB".
std::string HumanBytes(int64_t bytes);

// `map` tells the addresses of the replicas' volumes.
std::string StatText(absl::string_view key, const v1::Record& record,
                     const v1::ClusterMap& map);
std::string StatJson(absl::string_view key, const v1::Record& record,
                     const v1::ClusterMap& map);

std::string StatusText(const v1::GetStatusResponse& status);
std::string StatusJson(const v1::GetStatusResponse& status);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_TEXT_H_
