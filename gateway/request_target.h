// The request target of one request, taken apart: the key, exact to the byte,
// and the parameters that Cairn knows.
//
//   /<key>[?<parameter>[&<parameter>...]]
//
// One leading '/' is dropped, the key ends at the first '?', and %XX is decoded
// once. Nothing else is touched: "%2F", "%00", "..", "//" and bytes that are
// not UTF-8 are bytes of the key like any other.

#ifndef CAIRN_GATEWAY_REQUEST_TARGET_H_
#define CAIRN_GATEWAY_REQUEST_TARGET_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cairn::gateway {

// Values are percent-decoded once; '+' stays a '+'. Unknown parameters are
// ignored; of one given twice the last counts.
struct RequestTarget {
  // May be empty, and is not checked for length: see base::CheckKey().
  std::string key;

  // `list`: the keys that start with `key` are asked for, not a value.
  bool list = false;
  // `long`: with size, type, etag and mtime.
  bool long_form = false;
  // `limit`: most keys listed; 0: all.
  int64_t limit = 0;
  // `start`: the first key to list, inclusive, without the '/' that stands
  // before each key in a listing. Empty: from the first.
  std::string start;
  // `delimiter`: keys are cut behind its first occurrence past the prefix.
  std::string delimiter;

  // `cairn-retry`: a volume did not have the blob and sent the reader back.
  bool retry = false;
};

// kInvalidArgument, with a sentence for the client: no leading '/', a '%' that
// two hexadecimal digits do not follow, a limit that is not a number.
absl::StatusOr<RequestTarget> ParseRequestTarget(absl::string_view target);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_REQUEST_TARGET_H_
