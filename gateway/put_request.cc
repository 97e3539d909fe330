#include "gateway/put_request.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"
#include "gateway/call.h"
#include "proto/convert.h"

namespace cairn::gateway {
namespace {

constexpr absl::string_view kMetaPrefix = "x-cairn-meta-";

// Field names and types are ASCII; only user metadata may be any bytes.
absl::Status CheckAscii(absl::string_view name, absl::string_view value) {
  for (const unsigned char c : value) {
    if (c >= 0x80) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " holds a byte that is not ASCII"));
    }
  }
  return absl::OkStatus();
}

bool IsJson(absl::string_view content_type) {
  const absl::string_view media_type = absl::StripAsciiWhitespace(
      content_type.substr(0, content_type.find(';')));
  return absl::EqualsIgnoreCase(media_type, "application/json");
}

// absl's decoder alone would take base64 without padding or with spaces.
absl::StatusOr<std::string> ParseContentMd5(absl::string_view text) {
  std::string md5;
  if (text.size() == 24 && absl::Base64Unescape(text, &md5) &&
      md5.size() == 16 && absl::Base64Escape(md5) == text) {
    return md5;
  }
  return absl::InvalidArgumentError(
      "Content-MD5 is not the base64 form of 16 bytes: send the output of "
      "`openssl md5 -binary FILE | base64`, or leave it out");
}

}  // namespace

absl::StatusOr<PutRequest> ParsePutRequest(const http::RequestHead& head) {
  PutRequest request;
  for (const auto& [name, value] : head.headers) {
    if (!absl::StartsWith(name, kMetaPrefix)) continue;
    std::string& stored =
        (*request.metadata.mutable_user())[name.substr(kMetaPrefix.size())];
    absl::StrAppend(&stored, stored.empty() ? "" : ", ", value);
  }
  const std::string type = JoinedHeader(head, "content-type").value_or("");
  const std::string encoding =
      JoinedHeader(head, "content-encoding").value_or("");
  RETURN_IF_ERROR(CheckAscii("Content-Type", type));
  RETURN_IF_ERROR(CheckAscii("Content-Encoding", encoding));
  request.metadata.set_content_type(type);
  request.metadata.set_content_encoding(encoding);
  RETURN_IF_ERROR(CheckMetadata(request.metadata));
  // A compressed body is not JSON itself.
  request.json = IsJson(type) && (encoding.empty() || encoding == "identity");
  if (const auto md5 = JoinedHeader(head, "content-md5")) {
    ASSIGN_OR_RETURN(request.md5, ParseContentMd5(*md5));
  }
  return request;
}

absl::Status CheckContentMd5(const PutRequest& request,
                             const base::Digest& digest) {
  if (request.md5.empty() ||
      std::equal(digest.md5.begin(), digest.md5.end(),
                 reinterpret_cast<const uint8_t*>(request.md5.data()))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "the body does not match Content-MD5: its MD5 is ",
      base::Md5Hex(digest.md5), ", announced was ", base::ToHex(request.md5),
      "; nothing was stored, send it again"));
}

}  // namespace cairn::gateway
