// What is printed of the cluster. Pure functions; each text ends with a
// newline.

#ifndef CAIRN_ADMIN_CLUSTER_TEXT_H_
#define CAIRN_ADMIN_CLUSTER_TEXT_H_

#include <string>

#include "proto/cairn/v1/admin.pb.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::admin {

// "up", "down", "removed".
const char* StateText(v1::VolumeState state);

std::string StatusText(const v1::GetStatusResponse& status,
                       const v1::ListJobsResponse& jobs);
std::string StatusJson(const v1::GetStatusResponse& status,
                       const v1::ListJobsResponse& jobs);

// A table, and an array of objects.
std::string VolumesText(const v1::ListVolumesResponse& volumes);
std::string VolumesJson(const v1::ListVolumesResponse& volumes);

// {"id": ..., what: true}, a line.
std::string VolumeChangeJson(const std::string& volume_id,
                             const std::string& what);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_CLUSTER_TEXT_H_
