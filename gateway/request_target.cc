#include "gateway/request_target.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/blob_name.h"
#include "base/limits.h"
#include "base/status.h"

namespace cairn::gateway {
namespace {

absl::StatusOr<std::string> Decode(absl::string_view escaped,
                                   absl::string_view what) {
  auto decoded = base::Unescape(escaped);
  if (decoded.ok()) return decoded;
  return absl::InvalidArgumentError(absl::StrCat(
      what,
      " holds a '%' that is not followed by two hexadecimal digits: "
      "write a percent sign as %25"));
}

absl::StatusOr<int64_t> ParseLimit(absl::string_view text) {
  int64_t limit = 0;
  if (!absl::SimpleAtoi(text, &limit) || limit < 0) {
    return absl::InvalidArgumentError(
        "limit is not a number of keys: give 1 or more, or 0 for all");
  }
  return limit;
}

absl::Status ParseParameter(absl::string_view name, absl::string_view escaped,
                            RequestTarget* out) {
  if (name == "list") {
    out->list = true;
  } else if (name == "long") {
    out->long_form = true;
  } else if (name == "cairn-retry") {
    out->retry = true;
  } else if (name == "limit") {
    ASSIGN_OR_RETURN(const std::string text, Decode(escaped, name));
    ASSIGN_OR_RETURN(out->limit, ParseLimit(text));
  } else if (name == "start") {
    ASSIGN_OR_RETURN(const std::string text, Decode(escaped, name));
    out->start = std::string(absl::StripPrefix(text, "/"));
  } else if (name == "delimiter") {
    ASSIGN_OR_RETURN(out->delimiter, Decode(escaped, name));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<RequestTarget> ParseRequestTarget(absl::string_view target) {
  if (!absl::ConsumePrefix(&target, "/")) {
    return absl::InvalidArgumentError(
        "the request target does not start with '/': ask for /<key>");
  }
  RequestTarget out;
  out.limit = base::kListPageKeysDefault;
  const size_t question = target.find('?');
  ASSIGN_OR_RETURN(out.key, Decode(target.substr(0, question), "the key"));
  if (question == absl::string_view::npos) return out;
  for (const absl::string_view parameter :
       absl::StrSplit(target.substr(question + 1), '&')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(parameter, absl::MaxSplits('=', 1));
    RETURN_IF_ERROR(ParseParameter(parts.first, parts.second, &out));
  }
  return out;
}

}  // namespace cairn::gateway
