#include "proto/convert.h"

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/limits.h"

namespace cairn {
namespace {

// RFC 9110's token, lower case.
bool IsLowerToken(absl::string_view name) {
  if (name.empty()) return false;
  for (const unsigned char c : name) {
    const bool ok = absl::ascii_islower(c) || absl::ascii_isdigit(c) ||
                    std::strchr("!#$%&'*+-.^_`|~", c) != nullptr;
    if (c == 0 || !ok) return false;
  }
  return true;
}

// What may stand in a header's value.
bool IsFieldValue(absl::string_view value) {
  for (const unsigned char c : value) {
    if ((c < 0x20 && c != '\t') || c == 0x7F) return false;
  }
  return true;
}

}  // namespace

base::Version FromProto(const v1::Version& version) {
  base::Version out;
  out.time_ms = version.time_ms();
  out.counter = static_cast<uint16_t>(version.counter());
  out.writer_id = version.writer_id();
  return out;
}

v1::Version ToProto(const base::Version& version) {
  v1::Version out;
  out.set_time_ms(version.time_ms);
  out.set_counter(version.counter);
  out.set_writer_id(version.writer_id);
  return out;
}

void SetDigest(const base::Digest& digest, v1::Digest* out) {
  out->set_md5(digest.md5.data(), digest.md5.size());
  out->set_xxh3(digest.xxh3);
}

base::Digest FromProto(const v1::Digest& digest) {
  base::Digest out;
  if (digest.md5().size() == out.md5.size()) {
    std::memcpy(out.md5.data(), digest.md5().data(), out.md5.size());
  }
  out.xxh3 = digest.xxh3();
  return out;
}

int64_t MetadataBytes(const v1::ValueMetadata& metadata) {
  int64_t bytes =
      metadata.content_type().size() + metadata.content_encoding().size();
  for (const auto& [name, value] : metadata.user()) {
    bytes += name.size() + value.size();
  }
  return bytes;
}

absl::Status CheckMetadata(const v1::ValueMetadata& metadata) {
  if (const int64_t bytes = MetadataBytes(metadata);
      bytes > base::kMetadataBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "content type, encoding and metadata have ", bytes,
        " bytes together, at most ", base::kMetadataBytesMax, " are allowed"));
  }
  if (!IsFieldValue(metadata.content_type()) ||
      !IsFieldValue(metadata.content_encoding())) {
    return absl::InvalidArgumentError(
        "the content type or encoding holds control bytes: remove them");
  }
  for (const auto& [name, value] : metadata.user()) {
    if (!IsLowerToken(name)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the metadata name \"", name, "\" is not a lower-case token"));
    }
    if (!IsFieldValue(value)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the value of metadata \"", name, "\" holds control bytes"));
    }
  }
  return absl::OkStatus();
}

absl::Status StatusFromCode(int code, absl::string_view message) {
  return absl::Status(static_cast<absl::StatusCode>(code), message);
}

std::string VolumeIdText(uint32_t volume_id) {
  return absl::StrFormat("%08x", volume_id);
}

std::string PlaceText(uint32_t volume_id, int subvolume) {
  return absl::StrCat(VolumeIdText(volume_id), "/", subvolume);
}

std::string PlaceText(const v1::SubvolumeId& where) {
  return PlaceText(where.volume_id(), where.subvolume());
}

}  // namespace cairn
