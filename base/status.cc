#include "base/status.h"

#include <cerrno>
#include <string>

#include "absl/strings/str_cat.h"

namespace cairn::base {

absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(context, ": ", status.message()));
}

absl::Status PosixError(absl::string_view call, absl::string_view path,
                        int error) {
  const std::string where = absl::StrCat(call, " ", path);
  switch (error) {
    case EIO:
      return absl::DataLossError(absl::StrCat(where, ": input/output error"));
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(
          absl::StrCat(where, ": no space left on the disk"));
    case EROFS:
      return absl::UnavailableError(
          absl::StrCat(where, ": the file system is read-only"));
    default:
      return absl::ErrnoToStatus(error, where);
  }
}

}  // namespace cairn::base
