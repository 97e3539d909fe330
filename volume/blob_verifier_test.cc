#include "volume/blob_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <string>

#include "base/hash.h"
#include "base/limits.h"
#include "proto/convert.h"
#include "volume/blob_store_fixture.h"

namespace cairn::volume {
namespace {

using testing::HasSubstr;

class BlobVerifierTest : public BlobStoreFixture {
 protected:
  static v1::ExpectedBlob Expected(const v1::BlobId& blob,
                                   const std::string& data) {
    v1::ExpectedBlob expected;
    *expected.mutable_blob() = blob;
    expected.set_size_bytes(static_cast<int64_t>(data.size()));
    SetDigest(base::DigestOf(data), expected.mutable_digest());
    return expected;
  }
  v1::VerifiedBlob Verify(const v1::ExpectedBlob& expected) {
    return VerifyBlob(store_.get(), expected, /*attributes_only=*/false,
                      [] { return true; });
  }
  void Overwrite(const v1::BlobId& blob, long offset, const std::string& data) {
    FILE* const file = fopen(Path(blob).c_str(), "r+");
    ASSERT_NE(file, nullptr);
    fseek(file, offset, SEEK_SET);
    fwrite(data.data(), 1, data.size(), file);
    fclose(file);
  }

  const v1::BlobId blob_ = Blob("key");
  const std::string data_of_it_ = std::string(100, 'd');
};

TEST_F(BlobVerifierTest, WhatWasWrittenIsGood) {
  for (const std::string& data : {std::string(), data_of_it_}) {
    const v1::BlobId blob = Blob("key", static_cast<int>(data.size()) + 1);
    ASSERT_TRUE(Put(blob, data).ok());
    EXPECT_EQ(Verify(Expected(blob, data)).health(), v1::BLOB_HEALTH_GOOD);
  }
}

TEST_F(BlobVerifierTest, AFlippedByteIsCorrupt) {
  ASSERT_TRUE(Put(blob_, data_of_it_).ok());
  Overwrite(blob_, 99, "x");
  const v1::VerifiedBlob result = Verify(Expected(blob_, data_of_it_));
  EXPECT_EQ(result.health(), v1::BLOB_HEALTH_CORRUPT);
  EXPECT_EQ(result.why(), "its bytes do not match their hash");
}

TEST_F(BlobVerifierTest, AnotherLengthIsCorrupt) {
  ASSERT_TRUE(Put(blob_, data_of_it_).ok());
  Overwrite(blob_, 100, "x");
  const v1::VerifiedBlob result = Verify(Expected(blob_, data_of_it_));
  EXPECT_EQ(result.health(), v1::BLOB_HEALTH_CORRUPT);
  EXPECT_EQ(result.why(), "it has 101 bytes instead of 100");
}

TEST_F(BlobVerifierTest, OtherBytesThanTheIndexKnowsAreCorrupt) {
  ASSERT_TRUE(Put(blob_, std::string(100, 'e')).ok());
  const v1::VerifiedBlob result = Verify(Expected(blob_, data_of_it_));
  EXPECT_EQ(result.health(), v1::BLOB_HEALTH_CORRUPT);
  EXPECT_THAT(result.why(), HasSubstr("than the index"));
}

TEST_F(BlobVerifierTest, AnotherTypeOrOtherMetadataThanTheIndexIsCorrupt) {
  ASSERT_TRUE(Put(blob_, data_of_it_).ok());
  v1::ExpectedBlob expected = Expected(blob_, data_of_it_);
  (*expected.mutable_metadata()->mutable_user())["name"] = "value";
  const v1::VerifiedBlob result = Verify(expected);
  EXPECT_EQ(result.health(), v1::BLOB_HEALTH_CORRUPT);
  EXPECT_EQ(result.why(),
            "its xattr has another type or metadata than the index");
}

TEST_F(BlobVerifierTest, ByAttributesAloneBytesAreNotRead) {
  ASSERT_TRUE(Put(blob_, data_of_it_).ok());
  Overwrite(blob_, 99, "x");
  const auto by_attributes = [&](const std::string& data) {
    return VerifyBlob(store_.get(), Expected(blob_, data),
                      /*attributes_only=*/true, [] { return true; })
        .health();
  };
  EXPECT_EQ(by_attributes(data_of_it_), v1::BLOB_HEALTH_GOOD);
  EXPECT_EQ(by_attributes(data_of_it_ + "x"), v1::BLOB_HEALTH_CORRUPT);
  EXPECT_EQ(by_attributes(std::string(100, 'e')), v1::BLOB_HEALTH_CORRUPT);
}

TEST_F(BlobVerifierTest, ATombstoneIsGoodIfItIsThere) {
  v1::ExpectedBlob expected;
  *expected.mutable_blob() = Blob("gone");
  expected.mutable_blob()->set_tombstone(true);
  EXPECT_EQ(Verify(expected).health(), v1::BLOB_HEALTH_MISSING);
  v1::SmallPutOp op;
  *op.mutable_blob() = expected.blob();
  op.set_replicas(2);
  op.set_committed(true);
  ASSERT_TRUE(store_->Put(op).ok());
  EXPECT_EQ(Verify(expected).health(), v1::BLOB_HEALTH_GOOD);
}

TEST_F(BlobVerifierTest, NoFileIsMissing) {
  EXPECT_EQ(Verify(Expected(blob_, data_of_it_)).health(),
            v1::BLOB_HEALTH_MISSING);
}

TEST_F(BlobVerifierTest, OnceNobodyWaitsItStops) {
  ASSERT_TRUE(Put(blob_, data_of_it_).ok());
  EXPECT_EQ(VerifyBlob(store_.get(), Expected(blob_, data_of_it_),
                       /*attributes_only=*/false, [] { return false; })
                .health(),
            v1::BLOB_HEALTH_UNREADABLE);
}

}  // namespace
}  // namespace cairn::volume
