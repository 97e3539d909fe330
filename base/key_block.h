// Many keys in one string: a listing of millions would else be bound by the
// allocation of each. Each key is its length as a Protobuf varint (1 or 2
// bytes), then its bytes.

#ifndef CAIRN_BASE_KEY_BLOCK_H_
#define CAIRN_BASE_KEY_BLOCK_H_

#include <string>

#include "absl/strings/string_view.h"

namespace cairn::base {

// `key` has at most 16,383 bytes (a key has at most kKeyBytesMax).
void AppendToKeyBlock(absl::string_view key, std::string* block);

// Not thread-safe. `block` must outlive the reader and what it returns.
class KeyBlockReader {
 public:
  explicit KeyBlockReader(absl::string_view block) : left_(block) {}

  // False: no key is left, or the rest is no key block (see damaged()).
  bool Next(absl::string_view* key);
  bool damaged() const { return damaged_; }

 private:
  absl::string_view left_;
  bool damaged_ = false;
};

}  // namespace cairn::base

#endif  // CAIRN_BASE_KEY_BLOCK_H_
