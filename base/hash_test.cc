#include "base/hash.h"

#include <gtest/gtest.h>

namespace cairn::base {
namespace {

TEST(HashTest, Md5IsThatOfTheRfc) {
  EXPECT_EQ(Md5Hex(DigestOf("").md5), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(Md5Hex(DigestOf("abc").md5), "900150983cd24fb0d6963f7d28e17f72");
}

// These values are on disks: they never change.
TEST(HashTest, Xxh3IsThatOfItsSpecification) {
  EXPECT_EQ(Xxh3(""), 0x2d06800538d394c2ULL);
  EXPECT_EQ(DigestOf("").xxh3, 0x2d06800538d394c2ULL);
  EXPECT_EQ(Xxh3Hex128(""), "99aa06d3014798d86001c324468d497f");
}

TEST(HashTest, PiecesGiveWhatTheWholeGives) {
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes.push_back(static_cast<char>(i * 7));
  const Digest whole = DigestOf(bytes);
  for (const size_t piece : {1, 7, 4096, 65536, 200'000}) {
    DigestHasher both;
    Xxh3Hasher xxh3;
    for (size_t at = 0; at < bytes.size(); at += piece) {
      both.Update(absl::string_view(bytes).substr(at, piece));
      xxh3.Update(absl::string_view(bytes).substr(at, piece));
    }
    const Digest digest = both.Finish();
    EXPECT_EQ(digest.md5, whole.md5);
    EXPECT_EQ(digest.xxh3, whole.xxh3);
    EXPECT_EQ(xxh3.Finish(), whole.xxh3);
  }
}

TEST(HashTest, AHasherMayBeMoved) {
  DigestHasher first;
  first.Update("ab");
  DigestHasher second = std::move(first);
  second.Update("c");
  EXPECT_EQ(Md5Hex(second.Finish().md5), Md5Hex(DigestOf("abc").md5));
}

TEST(HashTest, HexadecimalComesBackAndNothingElseDoes) {
  const std::string bytes("\x00\xff\x1a", 3);
  EXPECT_EQ(ToHex(bytes), "00ff1a");
  EXPECT_EQ(FromHex("00ff1a"), bytes);
  EXPECT_EQ(FromHex("00FF1A"), bytes);
  for (const char* text : {"0", "0g", "00ff1", " 0", "0x"}) {
    EXPECT_EQ(FromHex(text), "") << text;
  }
}

TEST(HashTest, Sha1) {
  EXPECT_EQ(Sha1Hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

}  // namespace
}  // namespace cairn::base
