#include "base/hash.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "base/check.h"

namespace cairn::base {

std::string Md5Hex(const std::array<uint8_t, 16>& md5) {
  return ToHex(
      absl::string_view(reinterpret_cast<const char*>(md5.data()), md5.size()));
}

std::string ToHex(absl::string_view bytes) {
  return absl::BytesToHexString(bytes);
}

std::string FromHex(absl::string_view hex) {
  if (hex.size() % 2 != 0) return "";
  for (const char c : hex) {
    if (!absl::ascii_isxdigit(static_cast<unsigned char>(c))) return "";
  }
  return absl::HexStringToBytes(hex);
}

std::string Sha1Hex(absl::string_view bytes) {
  std::array<unsigned char, 20> sha1;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), sha1.data(), nullptr, EVP_sha1(),
                   nullptr) == 1);
  return ToHex(absl::string_view(reinterpret_cast<const char*>(sha1.data()),
                                 sha1.size()));
}

uint64_t Xxh3(absl::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

std::string Xxh3Hex128(absl::string_view bytes) {
  const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  return ToHex(
      absl::string_view(reinterpret_cast<const char*>(canonical.digest),
                        sizeof(canonical.digest)));
}

struct Xxh3Hasher::State {
  XXH3_state_t* xxh3 = XXH3_createState();
  ~State() { XXH3_freeState(xxh3); }
};

Xxh3Hasher::Xxh3Hasher() : state_(std::make_unique<State>()) {
  XXH3_64bits_reset(state_->xxh3);
}
Xxh3Hasher::~Xxh3Hasher() = default;
Xxh3Hasher::Xxh3Hasher(Xxh3Hasher&&) noexcept = default;
Xxh3Hasher& Xxh3Hasher::operator=(Xxh3Hasher&&) noexcept = default;

void Xxh3Hasher::Update(absl::string_view bytes) {
  XXH3_64bits_update(state_->xxh3, bytes.data(), bytes.size());
}

uint64_t Xxh3Hasher::Finish() const { return XXH3_64bits_digest(state_->xxh3); }

struct DigestHasher::State {
  EVP_MD_CTX* md5 = EVP_MD_CTX_new();
  Xxh3Hasher xxh3;
  ~State() { EVP_MD_CTX_free(md5); }
};

namespace {

// Fetched once: EVP_md5() would be looked up by name in each DigestInit.
const EVP_MD* Md5Algorithm() {
  static const EVP_MD* const md5 = EVP_MD_fetch(nullptr, "MD5", nullptr);
  return md5;
}

}  // namespace

DigestHasher::DigestHasher() : state_(std::make_unique<State>()) {
  CHECK(EVP_DigestInit_ex(state_->md5, Md5Algorithm(), nullptr) == 1);
}
DigestHasher::~DigestHasher() = default;
DigestHasher::DigestHasher(DigestHasher&&) noexcept = default;
DigestHasher& DigestHasher::operator=(DigestHasher&&) noexcept = default;

void DigestHasher::Update(absl::string_view bytes) {
  CHECK(EVP_DigestUpdate(state_->md5, bytes.data(), bytes.size()) == 1);
  state_->xxh3.Update(bytes);
}

Digest DigestHasher::Finish() {
  Digest digest;
  CHECK(EVP_DigestFinal_ex(state_->md5, digest.md5.data(), nullptr) == 1);
  digest.xxh3 = state_->xxh3.Finish();
  return digest;
}

Digest DigestOf(absl::string_view bytes) {
  Digest digest;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), digest.md5.data(), nullptr,
                   Md5Algorithm(), nullptr) == 1);
  digest.xxh3 = Xxh3(bytes);
  return digest;
}

}  // namespace cairn::base
