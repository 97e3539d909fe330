#include "volume/blob_xattr.h"

#include <array>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/status.h"

namespace cairn::volume {
namespace {

constexpr uint8_t kFormat = 1;
constexpr uint8_t kKindValue = 1;
constexpr uint8_t kKindTombstone = 2;

constexpr uint8_t kFlagTypeText = 1;
constexpr uint8_t kFlagEncoding = 2;
constexpr uint8_t kFlagUser = 4;
constexpr uint8_t kFlagKey = 8;
constexpr uint8_t kFlagsKnown = 15;

constexpr int kChecksumBytes = 4;
// Version, kind, R, flags, size, MD5, XXH3.
constexpr int kFixedBytes = 4 + 8 + 16 + 8;
// Each takes at least two bytes of the metadata.
constexpr uint64_t kUserFieldsMax = base::kMetadataBytesMax;

// A type's code is its place here. Part of the disk format: only append.
constexpr std::array<const char*, 36> kTypes = {
    "",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "application/json",
    "text/plain",
    "text/plain; charset=utf-8",
    "text/html",
    "text/html; charset=utf-8",
    "text/css",
    "text/csv",
    "text/xml",
    "text/markdown",
    "text/javascript",
    "application/javascript",
    "application/xml",
    "application/pdf",
    "application/zip",
    "application/gzip",
    "application/x-tar",
    "application/zstd",
    "application/wasm",
    "application/x-ndjson",
    "application/x-protobuf",
    "application/vnd.apache.parquet",
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/svg+xml",
    "image/avif",
    "image/tiff",
    "audio/mpeg",
    "audio/ogg",
    "video/mp4",
    "video/webm",
    "font/woff2",
};

int TypeCode(absl::string_view type) {
  for (size_t code = 0; code < kTypes.size(); ++code) {
    if (type == kTypes[code]) return static_cast<int>(code);
  }
  return -1;
}

void AppendFixed64(uint64_t value, std::string* out) {
  for (int byte = 0; byte < 8; ++byte) {
    out->push_back(static_cast<char>(value >> (8 * byte)));
  }
}

// LEB128, as protobuf writes it.
void AppendVarint(uint64_t value, std::string* out) {
  while (value >= 0x80) {
    out->push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out->push_back(static_cast<char>(value));
}

void AppendText(absl::string_view text, std::string* out) {
  AppendVarint(text.size(), out);
  out->append(text.data(), text.size());
}

uint32_t Checksum(absl::string_view bytes) {
  return static_cast<uint32_t>(base::Xxh3(bytes));
}

// Takes fields off the front of bytes that may be anything. After the first
// one that does not fit, ok() is false and all further ones are empty.
class Parser {
 public:
  explicit Parser(absl::string_view bytes) : rest_(bytes) {}

  bool ok() const { return ok_; }
  bool AtEnd() const { return rest_.empty(); }

  absl::string_view Bytes(uint64_t count) {
    if (!ok_ || count > rest_.size()) {
      ok_ = false;
      return {};
    }
    const absl::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }

  uint8_t Byte() {
    const absl::string_view taken = Bytes(1);
    return taken.empty() ? 0 : static_cast<uint8_t>(taken[0]);
  }

  uint64_t Fixed64() {
    uint64_t value = 0;
    const absl::string_view taken = Bytes(8);
    for (size_t byte = 0; byte < taken.size(); ++byte) {
      value |= uint64_t{static_cast<uint8_t>(taken[byte])} << (8 * byte);
    }
    return value;
  }

  uint64_t Varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      const uint8_t byte = Byte();
      value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    ok_ = false;
    return 0;
  }

  std::string Text() {
    const absl::string_view taken = Bytes(Varint());
    return std::string(taken.data(), taken.size());
  }

 private:
  absl::string_view rest_;
  bool ok_ = true;
};

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat("the xattr ", kBlobXattrName, " of the blob ", what));
}

void ParseType(uint8_t flags, Parser* parser, BlobXattr* xattr, bool* known) {
  if ((flags & kFlagTypeText) != 0) {
    xattr->content_type = parser->Text();
    return;
  }
  const uint8_t code = parser->Byte();
  *known = code < kTypes.size();
  if (*known) xattr->content_type = kTypes[code];
}

}  // namespace

absl::StatusOr<std::string> EncodeBlobXattr(const BlobXattr& xattr) {
  const int type_code = TypeCode(xattr.content_type);
  uint8_t flags = 0;
  if (type_code < 0) flags |= kFlagTypeText;
  if (!xattr.content_encoding.empty()) flags |= kFlagEncoding;
  if (!xattr.user.empty()) flags |= kFlagUser;
  if (!xattr.key.empty()) flags |= kFlagKey;

  std::string out;
  out.reserve(64);
  out.push_back(static_cast<char>(kFormat));
  out.push_back(
      static_cast<char>(xattr.tombstone ? kKindTombstone : kKindValue));
  out.push_back(static_cast<char>(xattr.replicas));
  out.push_back(static_cast<char>(flags));
  AppendFixed64(xattr.size_bytes, &out);
  out.append(reinterpret_cast<const char*>(xattr.digest.md5.data()),
             xattr.digest.md5.size());
  AppendFixed64(xattr.digest.xxh3, &out);
  if (type_code < 0) {
    AppendText(xattr.content_type, &out);
  } else {
    out.push_back(static_cast<char>(type_code));
  }
  if (!xattr.content_encoding.empty()) {
    AppendText(xattr.content_encoding, &out);
  }
  if (!xattr.user.empty()) {
    AppendVarint(xattr.user.size(), &out);
    for (const auto& [name, value] : xattr.user) {
      AppendText(name, &out);
      AppendText(value, &out);
    }
  }
  if (!xattr.key.empty()) AppendText(xattr.key, &out);
  const uint32_t checksum = Checksum(out);
  for (int byte = 0; byte < kChecksumBytes; ++byte) {
    out.push_back(static_cast<char>(checksum >> (8 * byte)));
  }
  if (out.size() > kBlobXattrBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "type and metadata take ", out.size(), " bytes on disk, at most ",
        kBlobXattrBytesMax, " fit: send fewer x-cairn-meta-* fields"));
  }
  return out;
}

absl::StatusOr<BlobXattr> DecodeBlobXattr(absl::string_view bytes) {
  if (bytes.size() < kFixedBytes + 1 + kChecksumBytes) {
    return Damaged("is too short");
  }
  if (static_cast<uint8_t>(bytes[0]) != kFormat) {
    return Damaged(absl::StrCat("has format ", static_cast<uint8_t>(bytes[0]),
                                ", this program knows format ", kFormat));
  }
  const absl::string_view body = bytes.substr(0, bytes.size() - kChecksumBytes);
  Parser tail(bytes.substr(body.size()));
  uint32_t checksum = 0;
  for (int byte = 0; byte < kChecksumBytes; ++byte) {
    checksum |= uint32_t{tail.Byte()} << (8 * byte);
  }
  if (checksum != Checksum(body)) return Damaged("has a wrong checksum");

  BlobXattr xattr;
  Parser parser(body);
  parser.Byte();
  const uint8_t kind = parser.Byte();
  xattr.tombstone = kind == kKindTombstone;
  xattr.replicas = parser.Byte();
  const uint8_t flags = parser.Byte();
  xattr.size_bytes = static_cast<int64_t>(parser.Fixed64());
  const absl::string_view md5 = parser.Bytes(xattr.digest.md5.size());
  std::memcpy(xattr.digest.md5.data(), md5.data(), md5.size());
  xattr.digest.xxh3 = parser.Fixed64();
  bool known = (kind == kKindValue || kind == kKindTombstone) &&
               (flags & ~kFlagsKnown) == 0 && xattr.size_bytes >= 0;
  if (known) ParseType(flags, &parser, &xattr, &known);
  if ((flags & kFlagEncoding) != 0) xattr.content_encoding = parser.Text();
  if ((flags & kFlagUser) != 0) {
    const uint64_t count = parser.Varint();
    known = known && count <= kUserFieldsMax;
    for (uint64_t i = 0; known && parser.ok() && i < count; ++i) {
      std::string name = parser.Text();
      xattr.user[std::move(name)] = parser.Text();
    }
  }
  if ((flags & kFlagKey) != 0) xattr.key = parser.Text();
  if (!known || !parser.ok() || !parser.AtEnd()) {
    return Damaged("has fields that this program does not know");
  }
  return xattr;
}

}  // namespace cairn::volume
