// Checksums of values: MD5 (the ETag, for clients) and XXH3-64 (for disks).

#ifndef CAIRN_BASE_HASH_H_
#define CAIRN_BASE_HASH_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace cairn::base {

struct Digest {
  std::array<uint8_t, 16> md5 = {};
  uint64_t xxh3 = 0;
};

// 32 lower-case hexadecimal digits.
std::string Md5Hex(const std::array<uint8_t, 16>& md5);
// Lower-case hexadecimal of any bytes; and back, "" if not hexadecimal.
std::string ToHex(absl::string_view bytes);
std::string FromHex(absl::string_view hex);

// 40 lower-case hexadecimal digits: what Redis calls a script by.
std::string Sha1Hex(absl::string_view bytes);

uint64_t Xxh3(absl::string_view bytes);
// 32 lower-case hexadecimal digits of XXH3-128 (big-endian canonical form).
std::string Xxh3Hex128(absl::string_view bytes);
Digest DigestOf(absl::string_view bytes);

// XXH3-64 of bytes that come in pieces. Not thread-safe.
class Xxh3Hasher {
 public:
  Xxh3Hasher();
  ~Xxh3Hasher();
  Xxh3Hasher(Xxh3Hasher&&) noexcept;
  Xxh3Hasher& operator=(Xxh3Hasher&&) noexcept;
  void Update(absl::string_view bytes);
  uint64_t Finish() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Both checksums of bytes that come in pieces. Not thread-safe.
class DigestHasher {
 public:
  DigestHasher();
  ~DigestHasher();
  DigestHasher(DigestHasher&&) noexcept;
  DigestHasher& operator=(DigestHasher&&) noexcept;
  void Update(absl::string_view bytes);
  // Call once, at the end.
  Digest Finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cairn::base

#endif  // CAIRN_BASE_HASH_H_
