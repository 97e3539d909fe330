// A version orders the writes of one key; higher wins. Unique in a cluster,
// because writer ids are handed out once.

#ifndef CAIRN_BASE_VERSION_H_
#define CAIRN_BASE_VERSION_H_

#include <cstdint>
#include <string>
#include <tuple>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cairn::base {

struct Version {
  int64_t time_ms = 0;  // 48 bits, milliseconds since 1970 (index's clock).
  uint16_t counter = 0;
  uint32_t writer_id = 0;

  // 24 lower-case hexadecimal digits (12 + 4 + 8); sorts like the version.
  std::string ToHex() const;
  static absl::StatusOr<Version> FromHex(absl::string_view hex);
  // Seconds since 1970: the value's mtime and Last-Modified.
  int64_t time_seconds() const { return time_ms / 1000; }

  friend bool operator==(const Version& a, const Version& b) {
    return a.Tie() == b.Tie();
  }
  friend bool operator!=(const Version& a, const Version& b) {
    return !(a == b);
  }
  friend bool operator<(const Version& a, const Version& b) {
    return a.Tie() < b.Tie();
  }
  friend bool operator>(const Version& a, const Version& b) { return b < a; }
  friend bool operator<=(const Version& a, const Version& b) {
    return !(b < a);
  }
  friend bool operator>=(const Version& a, const Version& b) {
    return !(a < b);
  }

 private:
  std::tuple<int64_t, uint16_t, uint32_t> Tie() const {
    return {time_ms, counter, writer_id};
  }
};

inline constexpr int kVersionHexDigits = 24;

}  // namespace cairn::base

#endif  // CAIRN_BASE_VERSION_H_
