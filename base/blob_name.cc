#include "base/blob_name.h"

#include <algorithm>
#include <array>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/status.h"

namespace cairn::base {
namespace {

constexpr char kUpperDigits[] = "0123456789ABCDEF";
constexpr absl::string_view kTombstoneSuffix = ".gone";
// How much of a long escaped key its name still shows: with '~' and the 32
// digits of the hash it stays within kEscapedKeyBytesMax.
constexpr int kLongKeyShownBytes = 190;

void AppendEscaped(unsigned char c, std::string* out) {
  out->push_back('%');
  out->push_back(kUpperDigits[c >> 4]);
  out->push_back(kUpperDigits[c & 15]);
}

// RFC 3986's unreserved characters, and '/'.
constexpr std::array<bool, 256> PlainInUrl() {
  std::array<bool, 256> plain = {};
  for (int c = '0'; c <= '9'; ++c) plain[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) plain[c] = plain[c + 'a' - 'A'] = true;
  for (const char c : {'_', '-', '.', '~', '/'}) plain[c] = true;
  return plain;
}

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

std::string EscapeKey(absl::string_view key) {
  std::string out;
  out.reserve(key.size() + 16);
  for (size_t i = 0; i < key.size(); ++i) {
    const unsigned char c = key[i];
    if (absl::ascii_isalnum(c) || c == '_' || c == '-' || (c == '.' && i > 0)) {
      out.push_back(c);
    } else {
      AppendEscaped(c, &out);
    }
  }
  return out;
}

std::string EscapeKeyForUrl(absl::string_view key) {
  std::string out;
  out.reserve(key.size() + 16);
  AppendKeyForUrl(key, &out);
  return out;
}

void AppendKeyForUrl(absl::string_view key, std::string* out) {
  static constexpr std::array<bool, 256> kPlain = PlainInUrl();
  size_t begin = 0;  // Of the plain run that is not appended yet.
  for (size_t i = 0; i < key.size(); ++i) {
    const unsigned char c = key[i];
    if (kPlain[c]) continue;
    out->append(key.data() + begin, i - begin);
    AppendEscaped(c, out);
    begin = i + 1;
  }
  out->append(key.data() + begin, key.size() - begin);
}

absl::StatusOr<std::string> Unescape(absl::string_view escaped) {
  std::string out;
  out.reserve(escaped.size());
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] != '%') {
      out.push_back(escaped[i]);
      continue;
    }
    const int high = i + 1 < escaped.size() ? HexValue(escaped[i + 1]) : -1;
    const int low = i + 2 < escaped.size() ? HexValue(escaped[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the '%' at position ", i,
          " is not followed by two hexadecimal digits: write it as %25"));
    }
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

std::string BlobDirectory(absl::string_view key) {
  constexpr char kLowerDigits[] = "0123456789abcdef";
  const unsigned byte = Xxh3(key) & 0xff;
  return {kLowerDigits[byte >> 4], kLowerDigits[byte & 15]};
}

std::string BlobKeyPart(absl::string_view key) {
  std::string escaped = EscapeKey(key);
  if (escaped.size() <= kEscapedKeyBytesMax) return escaped;
  size_t shown = kLongKeyShownBytes;
  // Never cut an escape in two.
  for (size_t back = 1; back <= 2; ++back) {
    if (escaped[shown - back] == '%') {
      shown -= back;
      break;
    }
  }
  escaped.resize(shown);
  return absl::StrCat(escaped, "~", Xxh3Hex128(key));
}

std::string BlobFileName(absl::string_view key, const Version& version,
                         bool tombstone) {
  return absl::StrCat(BlobKeyPart(key), "@", version.ToHex(),
                      tombstone ? kTombstoneSuffix : "");
}

std::string BlobPath(absl::string_view key, const Version& version,
                     bool tombstone) {
  return absl::StrCat(BlobDirectory(key), "/",
                      BlobFileName(key, version, tombstone));
}

absl::StatusOr<ParsedBlobName> ParseBlobFileName(absl::string_view name) {
  ParsedBlobName parsed;
  absl::string_view rest = name;
  parsed.tombstone = absl::ConsumeSuffix(&rest, kTombstoneSuffix);
  const size_t at = rest.rfind('@');
  if (at == absl::string_view::npos || at == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("not the name of a blob: ", name));
  }
  ASSIGN_OR_RETURN(parsed.version, Version::FromHex(rest.substr(at + 1)));
  const absl::string_view key_part = rest.substr(0, at);
  if (key_part.size() > kEscapedKeyBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("not the name of a blob: ", name));
  }
  if (absl::StrContains(key_part, '~')) {
    parsed.key_in_xattr = true;
    return parsed;
  }
  ASSIGN_OR_RETURN(parsed.key, Unescape(key_part));
  if (EscapeKey(parsed.key) != key_part) {
    return absl::InvalidArgumentError(
        absl::StrCat("not the name of a blob: ", name));
  }
  return parsed;
}

absl::Status CheckKey(absl::string_view key) {
  if (key.empty()) {
    return absl::InvalidArgumentError(
        "the key is empty: name one after the slash");
  }
  if (key.size() > kKeyBytesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("the key has ", key.size(), " bytes, at most ",
                     kKeyBytesMax, " are allowed"));
  }
  return absl::OkStatus();
}

}  // namespace cairn::base
