// Where a blob lies in its subvolume: `<directory>/<name>`.
//
// The name is `<escaped key>@<version>`, with `.gone` behind it for a
// tombstone. docs/disk_format.md is the specification.

#ifndef CAIRN_BASE_BLOB_NAME_H_
#define CAIRN_BASE_BLOB_NAME_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/version.h"

namespace cairn::base {

// An escaped key longer than this does not fit a 255-byte name; the name then
// carries its first bytes, `~` and a hash, and the xattr carries the key.
inline constexpr int kEscapedKeyBytesMax = 225;

// Percent-escapes all but [A-Za-z0-9_-] and dots that do not come first.
// Upper-case digits. The same form is used in file names and listings of
// disks; listings over HTTP keep '/' readable (see EscapeKeyForUrl).
std::string EscapeKey(absl::string_view key);
// Percent-escapes all but RFC 3986's unreserved characters and '/'.
std::string EscapeKeyForUrl(absl::string_view key);
// The same, appended to `out`.
void AppendKeyForUrl(absl::string_view key, std::string* out);
// Strict: %XX with hexadecimal digits only; anything else stays.
// kInvalidArgument: a '%' not followed by two hexadecimal digits.
absl::StatusOr<std::string> Unescape(absl::string_view escaped);

// Two hexadecimal digits, from XXH3-64 of the key.
std::string BlobDirectory(absl::string_view key);
// The part of the name before '@': tells keys apart.
std::string BlobKeyPart(absl::string_view key);
std::string BlobFileName(absl::string_view key, const Version& version,
                         bool tombstone);
// `<directory>/<name>`.
std::string BlobPath(absl::string_view key, const Version& version,
                     bool tombstone);

struct ParsedBlobName {
  // Empty when the name carries only a part of it: see the xattr.
  std::string key;
  bool key_in_xattr = false;
  Version version;
  bool tombstone = false;
};
// kInvalidArgument: not the name of a blob.
absl::StatusOr<ParsedBlobName> ParseBlobFileName(absl::string_view name);

// OK for 1 to kKeyBytesMax bytes; else a sentence for the client.
absl::Status CheckKey(absl::string_view key);

}  // namespace cairn::base

#endif  // CAIRN_BASE_BLOB_NAME_H_
