#include "admin/human.h"

#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace cairn::admin {

std::string HumanBytes(int64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would print as 1024.0.
  while (value >= 1023.95 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string HumanDuration(absl::Duration duration) {
  const int64_t seconds =
      absl::ToInt64Seconds(absl::Ceil(duration, absl::Seconds(1)));
  const int64_t hours = seconds / 3600;
  if (hours >= 100) return absl::StrCat(hours / 24, " days");
  if (hours > 0) {
    return absl::StrFormat("%d:%02d:%02d", hours, seconds / 60 % 60,
                           seconds % 60);
  }
  return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
}

absl::StatusOr<int64_t> ParseBytes(absl::string_view text) {
  const absl::Status wrong = absl::InvalidArgumentError(absl::StrCat(
      "\"", text, "\" is no number of bytes: write it as 500, 64K, 20M, 1.5G"));
  absl::string_view number = text;
  int shift = 0;
  if (!number.empty()) {
    constexpr absl::string_view kUnits = "KMGTP";
    const size_t unit = kUnits.find(absl::ascii_toupper(number.back()));
    if (unit != absl::string_view::npos) {
      shift = 10 * (static_cast<int>(unit) + 1);
      number.remove_suffix(1);
    }
  }
  double value = 0;
  if (number.find_first_not_of("0123456789.") != absl::string_view::npos ||
      !absl::SimpleAtod(number, &value)) {
    return wrong;
  }
  value *= static_cast<double>(int64_t{1} << shift);
  if (value >= 9.2e18) return wrong;
  return static_cast<int64_t>(value);
}

}  // namespace cairn::admin
