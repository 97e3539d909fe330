// Reads Transfer-Encoding: chunked, strictly.

#ifndef CAIRN_GATEWAY_HTTP_CHUNKED_DECODER_H_
#define CAIRN_GATEWAY_HTTP_CHUNKED_DECODER_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace cairn::http {

// Decodes one body, given its bytes in any cuts. Copies nothing, holds a few
// words. Sizes are hexadecimal digits and nothing else; extensions and trailers
// are bounded, checked for legal bytes, and dropped.
class ChunkedDecoder {
 public:
  enum class State { kMore, kEnd, kBroken };
  struct Step {
    // Bytes of `in` that are done with; more than `data` has.
    size_t consumed = 0;
    // Bytes of the body, a part of `in`.
    absl::string_view data;
    // kMore: call again with what follows. kEnd: the body and its trailers
    // are complete, and what follows is the next request. kBroken: the
    // framing is not to be trusted from here on.
    State state = State::kMore;
  };

  // Reads from `in`, not empty, at most up to the end of a run of data of
  // `data_max` bytes (at least 1). REQUIRES: the last step said kMore.
  Step Next(absl::string_view in, size_t data_max);

 private:
  // What the next byte belongs to.
  enum class At {
    kSize,       // The digits of a chunk's size.
    kExtension,  // Behind a ';', up to CR.
    kSizeLf,     // The LF of the size's line.
    kData,
    kDataCr,
    kDataLf,
    kTrailer,      // The first byte of a trailer's line, or CR of the end.
    kTrailerLine,  // Further bytes of it.
    kTrailerLf,
    kEndLf,
    kDone,
  };

  // Reads one byte that is not data. False: it is illegal.
  bool Take(unsigned char c);
  bool TakeSize(unsigned char c);
  bool TakeTrailer(unsigned char c);

  At at_ = At::kSize;
  int digits_ = 0;
  int64_t left_ = 0;   // Of this chunk, or its size so far.
  int64_t total_ = 0;  // Of all chunks begun.
  // Of extensions and trailers, over the whole body.
  int64_t dropped_bytes_ = 0;
  bool trailer_colon_ = false;
};

}  // namespace cairn::http

#endif  // CAIRN_GATEWAY_HTTP_CHUNKED_DECODER_H_
