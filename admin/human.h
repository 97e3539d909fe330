// Numbers as people write and read them. Pure functions.

#ifndef CAIRN_ADMIN_HUMAN_H_
#define CAIRN_ADMIN_HUMAN_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace cairn::admin {

// "999 B", "1.5 KiB".
std::string HumanBytes(int64_t bytes);

// "0:07", "12:34", "1:02:03", "5 days"; rounded up to seconds.
std::string HumanDuration(absl::Duration duration);

// "500", "64K", "1.5G": 1,024s, of either case.
absl::StatusOr<int64_t> ParseBytes(absl::string_view text);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_HUMAN_H_
