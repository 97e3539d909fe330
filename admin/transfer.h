// One value between an open file and a key. Internal to the copy plans.

#ifndef CAIRN_ADMIN_TRANSFER_H_
#define CAIRN_ADMIN_TRANSFER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "admin/blocking_store.h"
#include "admin/copy_plan.h"
#include "admin/files.h"

namespace cairn::admin {

// True: the file has the size and the hashes of `record`. Reads it to its end
// if the sizes agree; Rewind() then.
absl::StatusOr<bool> FileEquals(InputFile* file, const v1::Record& record,
                                const CopyPlan::Moved& moved);

// Puts the file under `key`, unless `always` is false and the key has its bytes
// already: true then. kAborted: somebody wrote to the file meanwhile, and
// nothing was put.
absl::StatusOr<bool> Upload(BlockingStore* store, InputFile* file,
                            const std::string& key, bool always,
                            const CopyPlan::Moved& moved);

// Writes the value of `key` to the file and commits it.
absl::Status Download(BlockingStore* store, const std::string& key,
                      OutputFile* file, const CopyPlan::Moved& moved);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_TRANSFER_H_
