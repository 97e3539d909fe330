// cp: files and trees between this machine and the cluster.

#ifndef CAIRN_ADMIN_COPY_COMMAND_H_
#define CAIRN_ADMIN_COPY_COMMAND_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "admin/arguments.h"

namespace cairn::admin {

// One side of a copy.
struct CopySide {
  bool in_cluster = false;
  std::string path;  // On this machine; or the key or prefix.
};

// "cairn:KEY" and "cairn:/KEY" are the key KEY (as in a URL, one slash stands
// before it and is no part of it); anything else is a path of this machine.
// kInvalidArgument: `escaped`, and the key has a '%' that stands alone.
absl::StatusOr<CopySide> ParseCopySide(absl::string_view argument,
                                       bool escaped);

// kDone: all that can be copied is there. kNo: so it is, but some files or
// keys have no place on the other side; or the key to copy is missing.
// kFailed: some could not be copied.
int RunCopy(const Arguments& arguments);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_COPY_COMMAND_H_
