#include "base/version.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace cairn::base {
namespace {

// -1 for what is not a lower-case hexadecimal digit.
int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

}  // namespace

std::string Version::ToHex() const {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex(kVersionHexDigits, '0');
  // Backwards, part by part. By hand: snprintf takes ten times as long.
  size_t end = hex.size();
  const auto append = [&](uint64_t part, size_t digits) {
    for (size_t at = end; at > end - digits; part >>= 4) {
      hex[--at] = kDigits[part & 15];
    }
    end -= digits;
  };
  append(writer_id, 8);
  append(counter, 4);
  append(static_cast<uint64_t>(time_ms), 12);
  return hex;
}

absl::StatusOr<Version> Version::FromHex(absl::string_view hex) {
  const auto error = [&] {
    return absl::InvalidArgumentError(absl::StrCat(
        "a version is 24 lower-case hexadecimal digits, not \"", hex, "\""));
  };
  if (hex.size() != kVersionHexDigits) return error();
  uint64_t parts[3] = {0, 0, 0};
  for (int i = 0; i < kVersionHexDigits; ++i) {
    const int digit = DigitValue(hex[i]);
    if (digit < 0) return error();
    uint64_t& part = parts[i < 12 ? 0 : i < 16 ? 1 : 2];
    part = part * 16 + digit;
  }
  Version version;
  version.time_ms = static_cast<int64_t>(parts[0]);
  version.counter = static_cast<uint16_t>(parts[1]);
  version.writer_id = static_cast<uint32_t>(parts[2]);
  return version;
}

}  // namespace cairn::base
