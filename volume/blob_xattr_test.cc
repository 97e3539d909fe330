#include "volume/blob_xattr.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/hash.h"

namespace cairn::volume {
namespace {

BlobXattr Sample() {
  BlobXattr xattr;
  xattr.replicas = 3;
  xattr.size_bytes = int64_t{5} << 40;
  xattr.digest = base::DigestOf("some bytes");
  return xattr;
}

void ExpectEqual(const BlobXattr& a, const BlobXattr& b) {
  EXPECT_EQ(a.tombstone, b.tombstone);
  EXPECT_EQ(a.replicas, b.replicas);
  EXPECT_EQ(a.size_bytes, b.size_bytes);
  EXPECT_EQ(a.digest.md5, b.digest.md5);
  EXPECT_EQ(a.digest.xxh3, b.digest.xxh3);
  EXPECT_EQ(a.content_type, b.content_type);
  EXPECT_EQ(a.content_encoding, b.content_encoding);
  EXPECT_EQ(a.user, b.user);
  EXPECT_EQ(a.key, b.key);
}

void ExpectRoundTrip(const BlobXattr& xattr) {
  const auto bytes = EncodeBlobXattr(xattr);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto back = DecodeBlobXattr(*bytes);
  ASSERT_TRUE(back.ok()) << back.status();
  ExpectEqual(*back, xattr);
}

TEST(BlobXattrTest, ACommonTypeStaysInsideTheInode) {
  for (const char* type :
       {"", "application/x-www-form-urlencoded", "application/octet-stream",
        "application/json", "text/plain", "image/jpeg"}) {
    BlobXattr xattr = Sample();
    xattr.content_type = type;
    EXPECT_EQ(EncodeBlobXattr(xattr)->size(), 41u) << type;
    ExpectRoundTrip(xattr);
  }
  BlobXattr other = Sample();
  other.content_type = "application/x-sh";
  EXPECT_LE(EncodeBlobXattr(other)->size(), 68u);
}

TEST(BlobXattrTest, BytesOfTheFormatDoNotChange) {
  BlobXattr xattr;
  xattr.replicas = 2;
  xattr.size_bytes = 3;
  xattr.digest = base::DigestOf("bar");
  xattr.content_type = "application/x-www-form-urlencoded";
  EXPECT_EQ(
      base::ToHex(*EncodeBlobXattr(xattr)).substr(0, 74),
      "01010200"
      "0300000000000000"
      "37b51d194a7513e45b56f6524f2d51f2" +
          base::ToHex([&] {
            std::string le;
            for (int i = 0; i < 8; ++i) {
              le.push_back(static_cast<char>(xattr.digest.xxh3 >> (8 * i)));
            }
            return le;
          }()) +
          "02");
}

TEST(BlobXattrTest, AllFieldsComeBack) {
  BlobXattr xattr = Sample();
  xattr.content_type = "application/vnd.example; v=\"1\"";
  xattr.content_encoding = "gzip";
  xattr.user = {{"a", ""}, {"author", "J\xc3\xbcrgen"}, {"z", "%41"}};
  xattr.key = std::string("k\0\xff", 3) + std::string(1021, 'x');
  ExpectRoundTrip(xattr);
}

TEST(BlobXattrTest, ATombstoneHasItsOwnKind) {
  BlobXattr xattr;
  xattr.tombstone = true;
  xattr.replicas = 2;
  ExpectRoundTrip(xattr);
}

TEST(BlobXattrTest, TheLargestMetadataAndKeyFit) {
  BlobXattr xattr = Sample();
  xattr.content_type = std::string(48, 't');
  xattr.user["n"] = std::string(1999, 'v');
  xattr.key = std::string(1024, 'k');
  ExpectRoundTrip(xattr);
}

TEST(BlobXattrTest, MetadataThatDoesNotFitIsTheCallersMistake) {
  BlobXattr xattr = Sample();
  xattr.key = std::string(1024, 'k');
  for (int i = 0; i < 1020; ++i) xattr.user[std::to_string(i)] = "";
  EXPECT_EQ(EncodeBlobXattr(xattr).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(BlobXattrTest, EveryFlippedBitIsFound) {
  BlobXattr xattr = Sample();
  xattr.content_encoding = "gzip";
  xattr.user["a"] = "b";
  const std::string good = *EncodeBlobXattr(xattr);
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(DecodeBlobXattr(bad).status().code(), absl::StatusCode::kDataLoss)
        << "bit " << bit;
  }
}

TEST(BlobXattrTest, EveryTruncationIsFound) {
  const std::string good = *EncodeBlobXattr(Sample());
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(DecodeBlobXattr(good.substr(0, size)).ok());
  }
}

// With a right checksum, so that the parser itself sees the garbage.
TEST(BlobXattrTest, GarbageWithAGoodChecksumIsRefusedOrRead) {
  std::mt19937 random(20240607);
  const std::string good = *EncodeBlobXattr(Sample());
  for (int round = 0; round < 20000; ++round) {
    std::string body = good.substr(0, good.size() - 4);
    body.resize(37 + random() % 40);
    for (size_t i = 36; i < body.size(); ++i) {
      body[i] = static_cast<char>(random());
    }
    body[3] = static_cast<char>(random());
    body[1] = static_cast<char>(random() % 4);
    const uint32_t checksum = static_cast<uint32_t>(base::Xxh3(body));
    for (int byte = 0; byte < 4; ++byte) {
      body.push_back(static_cast<char>(checksum >> (8 * byte)));
    }
    const auto decoded = DecodeBlobXattr(body);
    if (decoded.ok()) continue;
    EXPECT_EQ(decoded.status().code(), absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace cairn::volume
