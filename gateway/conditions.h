// Conditional requests (RFC 9110, section 13) as pure functions, and the dates
// they speak of. They agree with what each volume's nginx answers under
// `if_modified_since before`.

#ifndef CAIRN_GATEWAY_CONDITIONS_H_
#define CAIRN_GATEWAY_CONDITIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"

namespace cairn::gateway {

// The conditions of one request; absent ones are nullopt. Repeated header
// lines are joined with commas.
struct Conditions {
  absl::optional<std::string> if_match;
  absl::optional<std::string> if_none_match;
  absl::optional<std::string> if_modified_since;
  absl::optional<std::string> if_unmodified_since;

  bool any() const {
    return if_match || if_none_match || if_modified_since ||
           if_unmodified_since;
  }
};

enum class ConditionResult {
  kHold,                // Answer as if there were none.
  kNotModified,         // 304; only for reads.
  kPreconditionFailed,  // 412.
};

// Of a value that exists, in RFC 9110's order: If-Match, else
// If-Unmodified-Since; then If-None-Match, else If-Modified-Since. `etag` is
// with its quotes; `mtime` in seconds since 1970. `read`: GET or HEAD.
ConditionResult EvaluateConditions(const Conditions& conditions,
                                   absl::string_view etag, int64_t mtime,
                                   bool read);

// If-Range: the very ETag, or the very date of Last-Modified. As nginx has it.
bool IfRangeHolds(absl::string_view if_range, absl::string_view etag,
                  int64_t mtime);

// One member of an If-Match or If-None-Match list.
struct EntityTag {
  bool any = false;    // "*"
  bool weak = false;   // W/"..."
  std::string quoted;  // With its quotes.
};
// What can be read of a list; stops at the first byte that fits nothing.
std::vector<EntityTag> ParseEntityTags(absl::string_view list);

// Seconds since 1970. All three forms of RFC 9110, section 5.6.7; two-digit
// years below 70 are of this century, as nginx has it. nullopt: no date.
absl::optional<int64_t> ParseHttpDate(absl::string_view text);
// "Sun, 06 Nov 1994 08:49:37 GMT".
std::string FormatHttpDate(int64_t seconds);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_CONDITIONS_H_
