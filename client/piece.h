// Piece: bytes of a value that several writers share without a copy.

#ifndef CAIRN_CLIENT_PIECE_H_
#define CAIRN_CLIENT_PIECE_H_

#include <cstddef>
#include <cstdlib>
#include <memory>

#include "absl/strings/string_view.h"

namespace cairn::client {

// Cheap to copy: copies share the bytes, which nobody changes once a piece has
// been handed to a writer. Thread safety: as std::shared_ptr.
struct Piece {
  std::shared_ptr<char> data;  // From std::malloc, freed with the last copy.
  size_t size = 0;

  static Piece Allocate(size_t capacity) {
    return {std::shared_ptr<char>(static_cast<char*>(std::malloc(capacity)),
                                  &std::free),
            0};
  }
  absl::string_view view() const { return {data.get(), size}; }
};

}  // namespace cairn::client

#endif  // CAIRN_CLIENT_PIECE_H_
