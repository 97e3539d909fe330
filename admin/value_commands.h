// put, get, ls, rm and stat. Each returns kDone, kNo or kFailed, and has
// printed "cairn: sentence" to standard error unless it is kDone.

#ifndef CAIRN_ADMIN_VALUE_COMMANDS_H_
#define CAIRN_ADMIN_VALUE_COMMANDS_H_

#include "admin/arguments.h"

namespace cairn::admin {

int RunPut(const Arguments& arguments);
int RunGet(const Arguments& arguments);
int RunList(const Arguments& arguments);
int RunRemove(const Arguments& arguments);
int RunStat(const Arguments& arguments);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_VALUE_COMMANDS_H_
