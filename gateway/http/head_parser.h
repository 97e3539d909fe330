// The strict check of a request's head, before anything else reads it: what
// two readers could understand differently is refused, not repaired.

#ifndef CAIRN_GATEWAY_HTTP_HEAD_PARSER_H_
#define CAIRN_GATEWAY_HTTP_HEAD_PARSER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "gateway/http/exchange.h"

namespace cairn::http {

struct HeadLimits {
  int64_t line_bytes_max = 8 << 10;   // Of the request line: else 414.
  int64_t head_bytes_max = 16 << 10;  // Of all, with the empty line: else 431.
  int headers_max = 100;              // Else 431.
};

// What the head says, and what follows from it for the connection.
struct ParsedHead {
  RequestHead head;  // `peer` is left empty.
  bool chunked = false;
  // The client allows another request behind this one.
  bool keep_alive = false;
  // It waits for "100 Continue". Never set without a body.
  bool expects_continue = false;
};

enum class HeadState { kIncomplete, kComplete, kRefused };

struct HeadResult {
  HeadState state = HeadState::kIncomplete;
  // kComplete: the bytes of the head; the body, if any, comes behind them.
  size_t consumed = 0;
  // kRefused: the status to answer and a sentence for the client. The
  // connection cannot be used further: where the request ends is not known.
  int status = 0;
  absl::string_view sentence;  // Of static storage.
};

// Looks for a head at the start of `in`; up to two empty lines before it are
// skipped. Pure: depends on nothing but its arguments, keeps no pointer to
// them. `scanned` is 0 at first and then whatever the last call with less of
// the same bytes left there: so that a head that comes byte by byte is not
// searched again from the start each time. `out` is filled when kComplete; its
// method also when kRefused, if it was read.
//
// Refused are, besides what passes the limits:
// * 400: bare CR or LF, control bytes, folded lines, a space before a colon, a
//   '#' in the target, no or a second Host, a second or an unreadable
//   Content-Length, one beside Transfer-Encoding, HTTP/1.0 with the latter
// * 405: methods but GET HEAD PUT POST DELETE; 411: a PUT or POST that does not
//   tell its length; 417: an Expect but 100-continue; 501: a Transfer-Encoding
//   but chunked; 505: versions but 1.0 and 1.1
HeadResult ParseHead(absl::string_view in, const HeadLimits& limits,
                     size_t* scanned, ParsedHead* out);

}  // namespace cairn::http

#endif  // CAIRN_GATEWAY_HTTP_HEAD_PARSER_H_
