// The signed URL that a gateway redirects a reader to, and that the nginx of a
// volume checks. docs/architecture.md shows one; volume/nginx.cc holds the
// other half of the contract.
//
//   http://HOST:PORT/<subvolume>/<directory>/<name>
//       ?m=<signature>&e=<expires>&et=<MD5>&ct=<type>&ce=<encoding>
//       &g=<gateway>&k=<key>
//
// nginx does not percent-decode arguments, so each stands there as it is used.
// The signature is secure_link_md5 of nginx over SignedText().

#ifndef CAIRN_BASE_SIGNED_URL_H_
#define CAIRN_BASE_SIGNED_URL_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "base/version.h"

namespace cairn::base {

// What a signed URL says of one blob of a value (never of a tombstone).
struct BlobUrl {
  // host:port of the volume's nginx, as clients reach it.
  std::string http_address;
  int subvolume = 0;
  std::string key;
  Version version;
  // 32 hexadecimal digits; sent as the ETag, in quotes.
  std::string md5_hex;
  // Empty: application/octet-stream.
  std::string content_type;
  // Empty: none is sent.
  std::string content_encoding;
  // host:port that the reader is sent back to, once, when the blob is gone.
  // Empty, or not plain (IsPlainAddress): nginx answers 503 then.
  std::string gateway;
  // Seconds since 1970; from then on nginx answers 410.
  int64_t expires_unix_seconds = 0;
};

// False: the type or the encoding holds a byte that not every client leaves
// alone in a URL (quotes, '&', '#', '%', '~', '|', more than two spaces, ...).
// The gateway then streams the value itself.
bool CanRedirect(absl::string_view content_type,
                 absl::string_view content_encoding);

// Letters, digits, '.', ':', '-', '[' and ']' only, and not empty: what may
// stand in a URL as host:port. A Host header is checked before it is used.
bool IsPlainAddress(absl::string_view host_and_port);

// REQUIRES: CanRedirect(). `secret` is Volume.signing_secret.
std::string SignBlobUrl(const BlobUrl& url, absl::string_view secret);

// nginx's expression for what is signed, with `$` variables, the secret last;
// no field can hold a '|', so no two sets of fields give the same text.
std::string SignedTextForNginx(absl::string_view secret);

}  // namespace cairn::base

#endif  // CAIRN_BASE_SIGNED_URL_H_
