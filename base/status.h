// Helpers for absl::Status: early returns, errno, and one layer's view.

#ifndef CAIRN_BASE_STATUS_H_
#define CAIRN_BASE_STATUS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#define RETURN_IF_ERROR(expr)                      \
  do {                                             \
    ::absl::Status cairn_status_ = (expr);         \
    if (!cairn_status_.ok()) return cairn_status_; \
  } while (false)

#define CAIRN_CONCAT_INNER_(a, b) a##b
#define CAIRN_CONCAT_(a, b) CAIRN_CONCAT_INNER_(a, b)
#define ASSIGN_OR_RETURN(lhs, expr) \
  CAIRN_ASSIGN_OR_RETURN_(CAIRN_CONCAT_(cairn_statusor_, __LINE__), lhs, expr)
#define CAIRN_ASSIGN_OR_RETURN_(var, lhs, expr)  \
  auto var = (expr);                             \
  if (!var.ok()) return std::move(var).status(); \
  lhs = *std::move(var)

namespace cairn::base {

// The same code, with "context: " before the message.
absl::Status Annotate(const absl::Status& status, absl::string_view context);

// The only place where errno becomes a Status. `call` and `path` say what was
// tried. EIO is kDataLoss, ENOSPC and EDQUOT are kResourceExhausted, EROFS is
// kUnavailable: these three decide what happens to a disk.
absl::Status PosixError(absl::string_view call, absl::string_view path,
                        int error);

}  // namespace cairn::base

#endif  // CAIRN_BASE_STATUS_H_
