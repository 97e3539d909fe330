#include "gateway/byte_range.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cairn::gateway {
namespace {

// What one member of the header asks for: bytes [begin, end).
struct Span {
  int64_t begin = 0;
  int64_t end = 0;
};

// Reads the members of a Range header from left to right.
class RangeReader {
 public:
  explicit RangeReader(absl::string_view text) : text_(text) {}

  // False: malformed.
  bool ReadSpan(int64_t size_bytes, Span* span) {
    SkipSpaces();
    if (Take('-')) return ReadSuffix(size_bytes, span);
    if (!ReadNumber(&span->begin)) return false;
    SkipSpaces();
    if (!Take('-')) return false;
    SkipSpaces();
    if (AtMemberEnd()) {
      span->end = size_bytes;
      return true;
    }
    int64_t last = 0;
    if (!ReadNumber(&last)) return false;
    span->end = last >= size_bytes ? size_bytes : last + 1;
    SkipSpaces();
    return AtMemberEnd();
  }

  // True: there is another member.
  bool TakeComma() { return Take(','); }

 private:
  bool ReadSuffix(int64_t size_bytes, Span* span) {
    int64_t count = 0;
    if (!ReadNumber(&count)) return false;
    SkipSpaces();
    span->begin = std::max<int64_t>(0, size_bytes - count);
    span->end = size_bytes;
    return AtMemberEnd();
  }

  // False: no digit, or more than 63 bits.
  bool ReadNumber(int64_t* number) {
    if (text_.empty() || !absl::ascii_isdigit(text_[0])) return false;
    *number = 0;
    while (!text_.empty() && absl::ascii_isdigit(text_[0])) {
      const int digit = text_[0] - '0';
      if (*number > (INT64_MAX - digit) / 10) return false;
      *number = *number * 10 + digit;
      text_.remove_prefix(1);
    }
    return true;
  }

  void SkipSpaces() {
    while (!text_.empty() && text_[0] == ' ') text_.remove_prefix(1);
  }
  bool Take(char c) {
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  bool AtMemberEnd() const { return text_.empty() || text_[0] == ','; }

  absl::string_view text_;
};

}  // namespace

ByteRange ParseByteRange(absl::string_view header, int64_t size_bytes) {
  constexpr absl::string_view kUnit = "bytes=";
  ByteRange whole;
  if (header.size() <= kUnit.size() ||
      !absl::StartsWithIgnoreCase(header, kUnit)) {
    return whole;
  }
  ByteRange unsatisfiable;
  unsatisfiable.kind = ByteRange::Kind::kUnsatisfiable;
  ByteRange part = unsatisfiable;
  RangeReader reader(header.substr(kUnit.size()));
  do {
    Span span;
    if (!reader.ReadSpan(size_bytes, &span)) return unsatisfiable;
    if (span.begin >= span.end) {
      if (span.begin == 0) return whole;
      continue;
    }
    if (part.kind == ByteRange::Kind::kPart) return whole;
    part.kind = ByteRange::Kind::kPart;
    part.offset = span.begin;
    part.length = span.end - span.begin;
  } while (reader.TakeComma());
  return part;
}

std::string ContentRange(const ByteRange& range, int64_t size_bytes) {
  if (range.kind == ByteRange::Kind::kUnsatisfiable) {
    return absl::StrCat("bytes */", size_bytes);
  }
  return absl::StrCat("bytes ", range.offset, "-",
                      range.offset + range.length - 1, "/", size_bytes);
}

}  // namespace cairn::gateway
