#include "gateway/conditions.h"

#include <ctime>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/civil_time.h"

namespace cairn::gateway {
namespace {

constexpr absl::string_view kDays[] = {"Sun", "Mon", "Tue", "Wed",
                                       "Thu", "Fri", "Sat"};
constexpr absl::string_view kMonths[] = {"Jan", "Feb", "Mar", "Apr",
                                         "May", "Jun", "Jul", "Aug",
                                         "Sep", "Oct", "Nov", "Dec"};

// Strong comparison for If-Match, weak for If-None-Match.
bool ListMatches(absl::string_view list, absl::string_view etag, bool weak_ok) {
  for (const EntityTag& tag : ParseEntityTags(list)) {
    if (tag.any) return true;
    if (tag.quoted == etag && (weak_ok || !tag.weak)) return true;
  }
  return false;
}

bool UnmodifiedSince(const Conditions& conditions, int64_t mtime) {
  const auto date = ParseHttpDate(*conditions.if_unmodified_since);
  return !date || mtime <= *date;  // What is no date is ignored.
}

// Decimal digits and nothing else; -1 if not.
int Number(absl::string_view digits) {
  int value = 0;
  for (const char c : digits) {
    if (!absl::ascii_isdigit(c)) return -1;
    value = value * 10 + (c - '0');
  }
  return digits.empty() || digits.size() > 4 ? -1 : value;
}

int Month(absl::string_view name) {
  for (int i = 0; i < 12; ++i) {
    if (kMonths[i] == name) return i + 1;
  }
  return -1;
}

absl::optional<int64_t> MakeTime(int year, int month, int day,
                                 absl::string_view clock) {
  const std::vector<absl::string_view> parts = absl::StrSplit(clock, ':');
  if (parts.size() != 3) return absl::nullopt;
  int hms[3];
  for (int i = 0; i < 3; ++i) {
    if (parts[i].size() != 2) return absl::nullopt;
    hms[i] = Number(parts[i]);
  }
  const bool clock_ok = hms[0] >= 0 && hms[0] < 24 && hms[1] >= 0 &&
                        hms[1] < 60 && hms[2] >= 0 && hms[2] <= 60;
  if (!clock_ok || year < 1970 || month < 1 || day < 1) return absl::nullopt;
  const absl::CivilDay date(year, month, day);
  if (date.day() != day) return absl::nullopt;  // The 31st of June.
  return (date - absl::CivilDay(1970, 1, 1)) * int64_t{86400} + hms[0] * 3600 +
         hms[1] * 60 + hms[2];
}

// "06 Nov 1994 08:49:37 GMT"
absl::optional<int64_t> ParseImfDate(absl::string_view rest) {
  const std::vector<absl::string_view> p = absl::StrSplit(rest, ' ');
  if (p.size() != 5 || p[4] != "GMT" || p[2].size() != 4) return absl::nullopt;
  return MakeTime(Number(p[2]), Month(p[1]), Number(p[0]), p[3]);
}

// "06-Nov-94 08:49:37 GMT"
absl::optional<int64_t> ParseRfc850Date(absl::string_view rest) {
  const std::vector<absl::string_view> p = absl::StrSplit(rest, ' ');
  if (p.size() != 3 || p[2] != "GMT") return absl::nullopt;
  const std::vector<absl::string_view> d = absl::StrSplit(p[0], '-');
  if (d.size() != 3 || d[2].size() != 2) return absl::nullopt;
  const int year = Number(d[2]);
  if (year < 0) return absl::nullopt;
  return MakeTime(year < 70 ? 2000 + year : 1900 + year, Month(d[1]),
                  Number(d[0]), p[1]);
}

// "Sun Nov  6 08:49:37 1994"
absl::optional<int64_t> ParseAsctimeDate(absl::string_view text) {
  const std::vector<absl::string_view> p =
      absl::StrSplit(text, ' ', absl::SkipEmpty());
  if (p.size() != 5 || p[4].size() != 4) return absl::nullopt;
  return MakeTime(Number(p[4]), Month(p[1]), Number(p[2]), p[3]);
}

}  // namespace

ConditionResult EvaluateConditions(const Conditions& conditions,
                                   absl::string_view etag, int64_t mtime,
                                   bool read) {
  if (conditions.if_match) {
    if (!ListMatches(*conditions.if_match, etag, /*weak_ok=*/false)) {
      return ConditionResult::kPreconditionFailed;
    }
  } else if (conditions.if_unmodified_since &&
             !UnmodifiedSince(conditions, mtime)) {
    return ConditionResult::kPreconditionFailed;
  }
  if (conditions.if_none_match) {
    if (!ListMatches(*conditions.if_none_match, etag, /*weak_ok=*/true)) {
      return ConditionResult::kHold;
    }
    return read ? ConditionResult::kNotModified
                : ConditionResult::kPreconditionFailed;
  }
  if (read && conditions.if_modified_since) {
    const auto date = ParseHttpDate(*conditions.if_modified_since);
    if (date && mtime <= *date) return ConditionResult::kNotModified;
  }
  return ConditionResult::kHold;
}

bool IfRangeHolds(absl::string_view if_range, absl::string_view etag,
                  int64_t mtime) {
  if (if_range.size() >= 2 && if_range.back() == '"') return if_range == etag;
  const auto date = ParseHttpDate(if_range);
  return date && *date == mtime;
}

std::vector<EntityTag> ParseEntityTags(absl::string_view list) {
  std::vector<EntityTag> tags;
  while (true) {
    while (!list.empty() &&
           (list[0] == ' ' || list[0] == '\t' || list[0] == ',')) {
      list.remove_prefix(1);
    }
    if (list.empty()) return tags;
    EntityTag tag;
    if (absl::ConsumePrefix(&list, "*")) {
      tag.any = true;
      tags.push_back(std::move(tag));
      continue;
    }
    tag.weak = absl::ConsumePrefix(&list, "W/");
    const size_t end = list.empty() || list[0] != '"' ? absl::string_view::npos
                                                      : list.find('"', 1);
    if (end == absl::string_view::npos) return tags;
    tag.quoted = std::string(list.substr(0, end + 1));
    list.remove_prefix(end + 1);
    tags.push_back(std::move(tag));
  }
}

absl::optional<int64_t> ParseHttpDate(absl::string_view text) {
  const size_t comma = text.find(',');
  if (comma == absl::string_view::npos) return ParseAsctimeDate(text);
  const absl::string_view rest =
      absl::StripLeadingAsciiWhitespace(text.substr(comma + 1));
  return absl::StrContains(rest, '-') ? ParseRfc850Date(rest)
                                      : ParseImfDate(rest);
}

std::string FormatHttpDate(int64_t seconds) {
  const time_t time = seconds;
  struct tm tm;
  gmtime_r(&time, &tm);
  // strftime would speak the locale's language, and snprintf takes 0.4 us.
  const auto two = [](int number) {
    return absl::Dec(number, absl::kZeroPad2);
  };
  return absl::StrCat(
      absl::StrCat(kDays[tm.tm_wday], ", ", two(tm.tm_mday), " "),
      absl::StrCat(kMonths[tm.tm_mon], " ",
                   absl::Dec(tm.tm_year + 1900, absl::kZeroPad4), " "),
      absl::StrCat(two(tm.tm_hour), ":", two(tm.tm_min), ":"), two(tm.tm_sec),
      " GMT");
}

}  // namespace cairn::gateway
