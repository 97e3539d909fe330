// status, and the commands of volumes that are no jobs. Exit codes as in
// session.h.

#ifndef CAIRN_ADMIN_CLUSTER_COMMANDS_H_
#define CAIRN_ADMIN_CLUSTER_COMMANDS_H_

#include "admin/arguments.h"

namespace cairn::admin {

// kNo: the cluster answers but does not serve reads and writes now.
int RunStatus(const Arguments& arguments);
int RunVolumeList(const Arguments& arguments);
// kNo: there is no such volume, or it may not be done.
int RunVolumeUndrain(const Arguments& arguments);
int RunVolumeRemove(const Arguments& arguments);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_CLUSTER_COMMANDS_H_
