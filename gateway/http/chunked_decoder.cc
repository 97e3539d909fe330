#include "gateway/http/chunked_decoder.h"

#include <algorithm>

#include "base/limits.h"

namespace cairn::http {
namespace {

// 15 digits are 2^60 - 1: no overflow, and no value is that large.
constexpr int kSizeDigitsMax = 15;

int HexDigit(unsigned char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsText(unsigned char c) { return (c >= 0x20 && c != 0x7f) || c == '\t'; }

}  // namespace

ChunkedDecoder::Step ChunkedDecoder::Next(absl::string_view in,
                                          size_t data_max) {
  Step step;
  while (step.consumed < in.size()) {
    if (at_ == At::kData) {
      const int64_t bytes = std::min<int64_t>(
          {left_, static_cast<int64_t>(in.size() - step.consumed),
           static_cast<int64_t>(data_max)});
      step.data = in.substr(step.consumed, bytes);
      step.consumed += bytes;
      left_ -= bytes;
      if (left_ == 0) at_ = At::kDataCr;
      return step;
    }
    if (!Take(static_cast<unsigned char>(in[step.consumed++]))) {
      step.state = State::kBroken;
      return step;
    }
    if (at_ == At::kDone) {
      step.state = State::kEnd;
      return step;
    }
  }
  return step;
}

bool ChunkedDecoder::Take(unsigned char c) {
  switch (at_) {
    case At::kSize:
      return TakeSize(c);
    case At::kExtension:
      if (c == '\r') {
        at_ = At::kSizeLf;
        return true;
      }
      return IsText(c) && ++dropped_bytes_ <= base::kChunkDroppedBytesMax;
    case At::kSizeLf:
      digits_ = 0;
      at_ = left_ == 0 ? At::kTrailer : At::kData;
      return c == '\n';
    case At::kDataCr:
      at_ = At::kDataLf;
      return c == '\r';
    case At::kDataLf:
      at_ = At::kSize;
      return c == '\n';
    case At::kTrailer:
    case At::kTrailerLine:
      return TakeTrailer(c);
    case At::kTrailerLf:
      at_ = At::kTrailer;
      return c == '\n';
    case At::kEndLf:
      at_ = At::kDone;
      return c == '\n';
    case At::kData:
    case At::kDone:
      break;
  }
  return false;
}

bool ChunkedDecoder::TakeSize(unsigned char c) {
  const int digit = HexDigit(c);
  if (digit >= 0) {
    if (++digits_ > kSizeDigitsMax) return false;
    left_ = left_ * 16 + digit;
    return true;
  }
  if (digits_ == 0) return false;
  if (left_ > base::kValueBytesMax - total_) return false;
  if (c != '\r' && c != ';') return false;
  total_ += left_;
  at_ = c == '\r' ? At::kSizeLf : At::kExtension;
  return true;
}

bool ChunkedDecoder::TakeTrailer(unsigned char c) {
  const bool first = at_ == At::kTrailer;
  if (first) trailer_colon_ = false;
  if (c == '\r') {
    if (!first && !trailer_colon_) return false;
    at_ = first ? At::kEndLf : At::kTrailerLf;
    return true;
  }
  if (c == ':') {
    if (first) return false;
    trailer_colon_ = true;
  }
  if (first && (c == ' ' || c == '\t')) return false;
  at_ = At::kTrailerLine;
  return IsText(c) && ++dropped_bytes_ <= base::kChunkDroppedBytesMax;
}

}  // namespace cairn::http
