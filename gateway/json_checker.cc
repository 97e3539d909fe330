#include "gateway/json_checker.h"

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace cairn::gateway {
namespace {

bool IsSpace(unsigned char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// Bytes of a string that mean themselves and end nothing.
bool IsPlain(unsigned char c) {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

}  // namespace

absl::Status JsonChecker::Update(absl::string_view bytes) {
  if (!failed_.ok()) return failed_;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const unsigned char c = bytes[i];
    if (state_ == State::kString && IsPlain(c)) {
      ++byte_;  // By far the most frequent case.
      continue;
    }
    if (const char* what = Step(c)) return Fail(what);
    ++byte_;
    if (c == '\n') {
      ++line_;
      line_start_ = byte_;
    }
  }
  return absl::OkStatus();
}

absl::Status JsonChecker::Finish() {
  if (!failed_.ok()) return failed_;
  switch (state_) {
    case State::kAfterValue:
    case State::kZero:
    case State::kInteger:
    case State::kFraction:
    case State::kExponentDigits:
      if (depth_ == 0) return absl::OkStatus();
      break;
    default:
      break;
  }
  return Fail("the text ends too early");
}

absl::Status JsonChecker::Fail(const char* what) {
  failed_ = absl::InvalidArgumentError(absl::StrCat(
      "the body is announced as application/json but is not JSON: ", what,
      " at line ", line_, ", column ", byte_ - line_start_ + 1, " (byte ",
      byte_, ")"));
  return failed_;
}

const char* JsonChecker::Step(unsigned char c) {
  switch (state_) {
    case State::kValue:
      return IsSpace(c) ? nullptr : BeginValue(c);
    case State::kFirstElement:
      if (c == ']') return EndContainer();
      return IsSpace(c) ? nullptr : BeginValue(c);
    case State::kFirstName:
      if (c == '}') return EndContainer();
      [[fallthrough]];
    case State::kName:
      if (IsSpace(c)) return nullptr;
      if (c != '"') return "a name in double quotes is missing";
      string_is_name_ = true;
      state_ = State::kString;
      return nullptr;
    case State::kColon:
      if (IsSpace(c)) return nullptr;
      if (c != ':') return "a ':' is missing";
      state_ = State::kValue;
      return nullptr;
    case State::kAfterValue:
      return IsSpace(c) ? nullptr : AfterValue(c);
    case State::kString:
      return InString(c);
    case State::kEscape:
      return InEscape(c);
    case State::kHex:
      return InHex(c);
    case State::kLowBackslash:
      if (c != '\\') return "half of a surrogate pair";
      state_ = State::kLowU;
      return nullptr;
    case State::kLowU:
      if (c != 'u') return "half of a surrogate pair";
      hex_left_ = 4;
      hex_value_ = 0;
      state_ = State::kHex;
      return nullptr;
    case State::kUtf8:
      if (c < utf8_min_ || c > utf8_max_) return "a byte that is not UTF-8";
      utf8_min_ = 0x80;
      utf8_max_ = 0xBF;
      if (--utf8_left_ == 0) state_ = State::kString;
      return nullptr;
    case State::kLiteral:
      if (c != static_cast<unsigned char>(*literal_)) {
        return "neither true, false nor null";
      }
      if (*++literal_ == '\0') state_ = State::kAfterValue;
      return nullptr;
    default:
      return InNumber(c);
  }
}

const char* JsonChecker::BeginValue(unsigned char c) {
  switch (c) {
    case '{':
      return BeginContainer(true);
    case '[':
      return BeginContainer(false);
    case '"':
      string_is_name_ = false;
      state_ = State::kString;
      return nullptr;
    case 't':
      return BeginLiteral("rue");
    case 'f':
      return BeginLiteral("alse");
    case 'n':
      return BeginLiteral("ull");
    case '-':
      state_ = State::kMinus;
      return nullptr;
    case '0':
      state_ = State::kZero;
      return nullptr;
    default:
      if (!absl::ascii_isdigit(c)) return "a value is missing";
      state_ = State::kInteger;
      return nullptr;
  }
}

const char* JsonChecker::BeginContainer(bool object) {
  if (depth_ == base::kJsonDepthMax) return "nested deeper than 128 levels";
  objects_[depth_++] = object;
  state_ = object ? State::kFirstName : State::kFirstElement;
  return nullptr;
}

const char* JsonChecker::BeginLiteral(const char* rest) {
  literal_ = rest;
  state_ = State::kLiteral;
  return nullptr;
}

const char* JsonChecker::AfterValue(unsigned char c) {
  if (depth_ == 0) return "something follows the value";
  const bool object = objects_[depth_ - 1];
  if (c == (object ? '}' : ']')) return EndContainer();
  if (c != ',') {
    return object ? "a ',' or '}' is missing" : "a ',' or ']' is missing";
  }
  state_ = object ? State::kName : State::kValue;
  return nullptr;
}

const char* JsonChecker::EndContainer() {
  --depth_;
  state_ = State::kAfterValue;
  return nullptr;
}

void JsonChecker::EndOfString() {
  state_ = string_is_name_ ? State::kColon : State::kAfterValue;
}

const char* JsonChecker::InString(unsigned char c) {
  if (c == '"') {
    EndOfString();
    return nullptr;
  }
  if (c == '\\') {
    state_ = State::kEscape;
    return nullptr;
  }
  if (c < 0x20) return "a control character in a string";
  return c < 0x80 ? nullptr : BeginUtf8(c);
}

// The table of well-formed sequences of the Unicode standard (3-7).
const char* JsonChecker::BeginUtf8(unsigned char c) {
  if (c < 0xC2 || c > 0xF4) return "a byte that is not UTF-8";
  utf8_left_ = c < 0xE0 ? 1 : c < 0xF0 ? 2 : 3;
  utf8_min_ = c == 0xE0 ? 0xA0 : c == 0xF0 ? 0x90 : 0x80;
  utf8_max_ = c == 0xED ? 0x9F : c == 0xF4 ? 0x8F : 0xBF;
  state_ = State::kUtf8;
  return nullptr;
}

const char* JsonChecker::InEscape(unsigned char c) {
  if (c == 'u') {
    hex_left_ = 4;
    hex_value_ = 0;
    state_ = State::kHex;
    return nullptr;
  }
  if (c == '\0' || std::strchr("\"\\/bfnrt", c) == nullptr) {
    return "an unknown escape in a string";
  }
  state_ = State::kString;
  return nullptr;
}

const char* JsonChecker::InHex(unsigned char c) {
  if (!absl::ascii_isxdigit(c)) return "\\u without four hexadecimal digits";
  const int digit =
      absl::ascii_isdigit(c) ? c - '0' : absl::ascii_tolower(c) - 'a' + 10;
  hex_value_ = hex_value_ * 16 + digit;
  return --hex_left_ == 0 ? EndOfHex() : nullptr;
}

const char* JsonChecker::EndOfHex() {
  const bool high = hex_value_ >= 0xD800 && hex_value_ <= 0xDBFF;
  const bool low = hex_value_ >= 0xDC00 && hex_value_ <= 0xDFFF;
  if (low != after_high_surrogate_) return "half of a surrogate pair";
  after_high_surrogate_ = high;
  state_ = high ? State::kLowBackslash : State::kString;
  return nullptr;
}

const char* JsonChecker::InNumber(unsigned char c) {
  const bool digit = absl::ascii_isdigit(c);
  const bool exponent = c == 'e' || c == 'E';
  switch (state_) {
    case State::kMinus:
      if (!digit) return "a digit is missing";
      state_ = c == '0' ? State::kZero : State::kInteger;
      return nullptr;
    case State::kPoint:
      if (!digit) return "a digit is missing";
      state_ = State::kFraction;
      return nullptr;
    case State::kExponent:
      if (c == '+' || c == '-') {
        state_ = State::kExponentSign;
        return nullptr;
      }
      [[fallthrough]];
    case State::kExponentSign:
      if (!digit) return "a digit is missing";
      state_ = State::kExponentDigits;
      return nullptr;
    case State::kZero:
      if (digit) return "a number begins with 0";
      break;
    default:
      if (digit) return nullptr;
      break;
  }
  const bool integer = state_ == State::kZero || state_ == State::kInteger;
  if (integer && c == '.') {
    state_ = State::kPoint;
    return nullptr;
  }
  if ((integer || state_ == State::kFraction) && exponent) {
    state_ = State::kExponent;
    return nullptr;
  }
  state_ = State::kAfterValue;
  return IsSpace(c) ? nullptr : AfterValue(c);
}

}  // namespace cairn::gateway
