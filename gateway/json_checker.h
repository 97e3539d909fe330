// Is a body JSON? Checked as it streams, in constant memory, because a body
// announced as application/json may be of any size.
//
// Strict RFC 8259: one value, UTF-8 without a byte order mark, no surrogate
// alone behind \u, no NUL. Numbers may be of any size. Objects and arrays nest
// at most kJsonDepthMax deep. A document cut short is found by Finish().

#ifndef CAIRN_GATEWAY_JSON_CHECKER_H_
#define CAIRN_GATEWAY_JSON_CHECKER_H_

#include <bitset>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/limits.h"

namespace cairn::gateway {

// Not thread-safe.
class JsonChecker {
 public:
  // Takes the next bytes. kInvalidArgument names what is wrong and where (line,
  // column and byte, all from 1); every later call then says the same.
  absl::Status Update(absl::string_view bytes);

  // No more bytes: OK if they were one whole JSON text.
  absl::Status Finish();

 private:
  // What the next byte may be.
  enum class State {
    kValue,         // The beginning of a value.
    kFirstElement,  // As kValue, or ']'.
    kFirstName,     // '"' or '}'.
    kName,          // '"'.
    kColon,
    kAfterValue,  // ',' or the end of the container; or nothing more.
    kString,
    kEscape,        // Behind a backslash.
    kHex,           // Within \uXXXX.
    kLowBackslash,  // Behind a high surrogate: a backslash,
    kLowU,          // then 'u'.
    kUtf8,          // Within a character of several bytes.
    kLiteral,       // Within true, false or null.
    kMinus,         // Behind '-': a digit.
    kZero,          // Behind a leading 0.
    kInteger,
    kPoint,  // Behind '.': a digit.
    kFraction,
    kExponent,      // Behind 'e': a sign or a digit.
    kExponentSign,  // Behind that sign: a digit.
    kExponentDigits,
  };

  // nullptr if `c` may stand here; else what is wrong.
  const char* Step(unsigned char c);
  const char* BeginValue(unsigned char c);
  const char* BeginContainer(bool object);
  const char* BeginLiteral(const char* rest);
  const char* AfterValue(unsigned char c);
  const char* EndContainer();
  const char* InString(unsigned char c);
  const char* BeginUtf8(unsigned char c);
  const char* InEscape(unsigned char c);
  const char* InHex(unsigned char c);
  const char* EndOfHex();
  const char* InNumber(unsigned char c);
  void EndOfString();

  absl::Status Fail(const char* what);

  State state_ = State::kValue;
  // The open containers; true: an object.
  std::bitset<base::kJsonDepthMax> objects_;
  int depth_ = 0;
  bool string_is_name_ = false;
  // What must still come of a literal.
  const char* literal_ = "";
  // How many bytes of a character must still come, and the range of the next.
  int utf8_left_ = 0;
  unsigned char utf8_min_ = 0x80;
  unsigned char utf8_max_ = 0xBF;
  int hex_left_ = 0;
  uint32_t hex_value_ = 0;
  bool after_high_surrogate_ = false;
  // Where the next byte stands, from 1.
  int64_t byte_ = 1;
  int64_t line_ = 1;
  int64_t line_start_ = 1;
  absl::Status failed_;
};

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_JSON_CHECKER_H_
