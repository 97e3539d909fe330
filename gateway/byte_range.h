// The Range header, understood exactly as each volume's nginx 1.22 understands
// it under `max_ranges 1`, so that a value reads the same whoever answers.

#ifndef CAIRN_GATEWAY_BYTE_RANGE_H_
#define CAIRN_GATEWAY_BYTE_RANGE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace cairn::gateway {

struct ByteRange {
  enum class Kind {
    kWhole,          // 200, as if there were no Range.
    kPart,           // 206 with `offset` and `length`.
    kUnsatisfiable,  // 416
  };
  Kind kind = Kind::kWhole;
  int64_t offset = 0;
  int64_t length = 0;  // At least 1 for kPart.
};

// `header` is the value of Range ("" if there is none), `size_bytes` that of
// the whole value.
// * Not "bytes=": whole.
// * A malformed range: unsatisfiable, wherever it stands.
// * An end past the value: clamped. A suffix longer than the value: all of it.
// * A range that begins at 0 and is empty ("0-" of an empty value): whole.
// * Others that hold no byte of the value are passed over; if none is left:
//   unsatisfiable; two or more left: whole.
ByteRange ParseByteRange(absl::string_view header, int64_t size_bytes);

// "bytes 0-4/10", and "bytes */10" for a 416.
std::string ContentRange(const ByteRange& range, int64_t size_bytes);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_BYTE_RANGE_H_
