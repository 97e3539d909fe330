#include "proto/convert.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace cairn {
namespace {

using Code = absl::StatusCode;

TEST(ConvertTest, VersionsGoBothWays) {
  base::Version version;
  version.time_ms = 0xffffffffffff;
  version.counter = 65535;
  version.writer_id = 0xfedcba98;
  EXPECT_EQ(FromProto(ToProto(version)), version);
  EXPECT_EQ(FromProto(v1::Version()), base::Version());
}

TEST(ConvertTest, DigestsGoBothWays) {
  const base::Digest digest = base::DigestOf("foo");
  v1::Digest message;
  SetDigest(digest, &message);
  EXPECT_EQ(message.md5().size(), 16u);
  EXPECT_EQ(FromProto(message).md5, digest.md5);
  EXPECT_EQ(FromProto(message).xxh3, digest.xxh3);
}

TEST(ConvertTest, AnMd5OfAnotherLengthMatchesNothing) {
  v1::Digest message;
  message.set_md5("short");
  EXPECT_EQ(FromProto(message).md5, (std::array<uint8_t, 16>{}));
}

TEST(ConvertTest, MetadataUpToTheLimitIsGood) {
  v1::ValueMetadata metadata;
  metadata.set_content_type("text/plain; charset=\"utf-8\"");
  metadata.set_content_encoding("gzip");
  (*metadata.mutable_user())["colour-1"] = "r\xc3\xa9\tx";
  EXPECT_TRUE(CheckMetadata(metadata).ok());
  const int64_t used = MetadataBytes(metadata);
  (*metadata.mutable_user())["x"] =
      std::string(base::kMetadataBytesMax - used - 1, 'y');
  EXPECT_EQ(MetadataBytes(metadata), base::kMetadataBytesMax);
  EXPECT_TRUE(CheckMetadata(metadata).ok());
  (*metadata.mutable_user())["x"] += "y";
  EXPECT_EQ(CheckMetadata(metadata).code(), Code::kInvalidArgument);
}

TEST(ConvertTest, NamesAreLowerCaseTokensAndValuesHoldNoControlBytes) {
  for (const std::string& name :
       {std::string(), std::string("Upper"), std::string("a b"),
        std::string("a:b"), std::string("a\0b", 3), std::string("\xc3\xa9")}) {
    v1::ValueMetadata metadata;
    (*metadata.mutable_user())[name] = "value";
    EXPECT_EQ(CheckMetadata(metadata).code(), Code::kInvalidArgument) << name;
  }
  for (const std::string& value : {std::string("a\nb"), std::string("a\r"),
                                   std::string("\0", 1), std::string("\x7f")}) {
    v1::ValueMetadata metadata;
    (*metadata.mutable_user())["name"] = value;
    EXPECT_EQ(CheckMetadata(metadata).code(), Code::kInvalidArgument);
    v1::ValueMetadata typed;
    typed.set_content_type(value);
    EXPECT_EQ(CheckMetadata(typed).code(), Code::kInvalidArgument);
  }
}

TEST(ConvertTest, CodesAndIdsReadAsEverywhere) {
  EXPECT_EQ(StatusFromCode(5, "gone").code(), Code::kNotFound);
  EXPECT_EQ(StatusFromCode(5, "gone").message(), "gone");
  EXPECT_TRUE(StatusFromCode(0, "").ok());
  EXPECT_EQ(VolumeIdText(0x0a1b2c3d), "0a1b2c3d");
  EXPECT_EQ(PlaceText(0x0a1b2c3d, 2), "0a1b2c3d/2");
}

}  // namespace
}  // namespace cairn
