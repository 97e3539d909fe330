#include "base/signed_url.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/blob_name.h"
#include "base/hash.h"

namespace cairn::base {
namespace {

constexpr char kDefaultType[] = "application/octet-stream";
// nginx's map puts at most this many spaces back (volume/nginx.cc).
constexpr int kSpacesMax = 2;

// Left alone in a query by browsers (WHATWG), curl and Python's requests.
bool IsPlainInQuery(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         (c != 0 && std::strchr("!$()*+,-./:;=?@_", c) != nullptr);
}

bool IsPlainHeader(absl::string_view value) {
  int spaces = 0;
  for (const char c : value) {
    if (c == ' ') {
      ++spaces;
    } else if (!IsPlainInQuery(c)) {
      return false;
    }
  }
  return spaces <= kSpacesMax;
}

// A space would end the request line, and "text/html; charset=utf-8" is
// common: it travels as '~', which is in no type.
std::string TypeForUrl(absl::string_view type) {
  if (type.empty()) return kDefaultType;
  return absl::StrReplaceAll(type, {{" ", "~"}});
}

}  // namespace

bool CanRedirect(absl::string_view content_type,
                 absl::string_view content_encoding) {
  // Nothing puts spaces back into an encoding.
  return IsPlainHeader(content_type) &&
         std::all_of(content_encoding.begin(), content_encoding.end(),
                     IsPlainInQuery);
}

bool IsPlainAddress(absl::string_view host_and_port) {
  if (host_and_port.empty()) return false;
  return std::all_of(host_and_port.begin(), host_and_port.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           (c != 0 && std::strchr(".:-[]", c) != nullptr);
  });
}

std::string SignBlobUrl(const BlobUrl& url, absl::string_view secret) {
  const std::string path = absl::StrCat("/", url.subvolume, "/",
                                        BlobPath(url.key, url.version, false));
  const std::string type = TypeForUrl(url.content_type);
  const std::string gateway = IsPlainAddress(url.gateway) ? url.gateway : "";
  const std::string key = EscapeKeyForUrl(url.key);
  const std::string text = absl::StrCat(
      absl::StrCat(url.expires_unix_seconds, "|", path, "|", url.md5_hex, "|"),
      absl::StrCat(type, "|", url.content_encoding, "|", gateway, "|", key),
      "|", secret);
  const Digest digest = DigestOf(text);
  std::string signature;
  absl::WebSafeBase64Escape(
      absl::string_view(reinterpret_cast<const char*>(digest.md5.data()),
                        digest.md5.size()),
      &signature);
  return absl::StrCat(
      absl::StrCat("http://", url.http_address,
                   absl::StrReplaceAll(path, {{"%", "%25"}})),
      absl::StrCat("?m=", signature, "&e=", url.expires_unix_seconds),
      absl::StrCat("&et=", url.md5_hex, "&ct=", type),
      absl::StrCat("&ce=", url.content_encoding, "&g=", gateway), "&k=", key);
}

std::string SignedTextForNginx(absl::string_view secret) {
  return absl::StrCat(
      "$secure_link_expires|$uri|$arg_et|$arg_ct|$arg_ce|$arg_g|$arg_k|",
      secret);
}

}  // namespace cairn::base
