// The commands that run a job of the master, and `jobs`. Exit codes as in
// session.h: of a job that is done, kNo if it found or left problems. A job
// that the person left running is kDone; one that was stopped, kFailed.

#ifndef CAIRN_ADMIN_JOB_COMMANDS_H_
#define CAIRN_ADMIN_JOB_COMMANDS_H_

#include "admin/arguments.h"

namespace cairn::admin {

int RunVerify(const Arguments& arguments);
int RunRebuild(const Arguments& arguments);
int RunRebalance(const Arguments& arguments);
int RunRepair(const Arguments& arguments);
// kNo also: it was refused, or there is no such volume.
int RunVolumeDrain(const Arguments& arguments);

int RunJobs(const Arguments& arguments);
// kNo: no such job runs.
int RunJobsCancel(const Arguments& arguments);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_JOB_COMMANDS_H_
