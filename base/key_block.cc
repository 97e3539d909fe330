#include "base/key_block.h"

#include <cstddef>

#include "base/check.h"

namespace cairn::base {
namespace {

constexpr size_t kOneByteMax = 0x7f;
constexpr size_t kTwoBytesMax = 0x3fff;

}  // namespace

void AppendToKeyBlock(absl::string_view key, std::string* block) {
  CHECK(key.size() <= kTwoBytesMax);
  if (key.size() > kOneByteMax) {
    block->push_back(static_cast<char>((key.size() & kOneByteMax) | 0x80));
    block->push_back(static_cast<char>(key.size() >> 7));
  } else {
    block->push_back(static_cast<char>(key.size()));
  }
  block->append(key.data(), key.size());
}

bool KeyBlockReader::Next(absl::string_view* key) {
  if (left_.empty() || damaged_) return false;
  size_t size = static_cast<unsigned char>(left_[0]);
  size_t head = 1;
  if (size > kOneByteMax && left_.size() > 1) {
    size = (size & kOneByteMax) |
           (size_t{static_cast<unsigned char>(left_[1])} << 7);
    head = 2;
  }
  if (left_.size() - head < size || size > kTwoBytesMax) {
    damaged_ = true;
    return false;
  }
  *key = left_.substr(head, size);
  left_.remove_prefix(head + size);
  return true;
}

}  // namespace cairn::base
