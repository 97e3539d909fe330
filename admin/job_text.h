// What is printed of the master's jobs. Pure functions; each text ends with a
// newline.

#ifndef CAIRN_ADMIN_JOB_TEXT_H_
#define CAIRN_ADMIN_JOB_TEXT_H_

#include <string>

#include "admin/job_watcher.h"
#include "admin/json.h"
#include "proto/cairn/v1/admin.pb.h"

namespace cairn::admin {

// "rebuild", "rebalance", ...
std::string JobKindText(v1::JobKind kind);

// What `now` tells that `before`, the message before it, did not.
JobUpdate UpdateOf(const v1::JobProgress& before, const v1::JobProgress& now);

Json JobJson(const v1::JobProgress& progress);

// A table, and an array of objects.
Json JobsArray(const v1::ListJobsResponse& jobs);
std::string JobsText(const v1::ListJobsResponse& jobs);
std::string JobsJson(const v1::ListJobsResponse& jobs);

// Those that run, for the status: "rebuild (listing, 34%)"; "none".
std::string RunningJobs(const v1::ListJobsResponse& jobs);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_JOB_TEXT_H_
