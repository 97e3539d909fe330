#include "admin/blocking_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "admin/fake_store.h"
#include "base/hash.h"
#include "base/limits.h"
#include "proto/convert.h"

namespace cairn::admin {
namespace {

using Code = absl::StatusCode;

class BlockingStoreTest : public testing::Test {
 protected:
  absl::Status Put(const std::string& key, const std::string& bytes) {
    size_t at = 0;
    // Gives odd little pieces, as a pipe does.
    const auto source = [&](char* buffer,
                            size_t size) -> absl::StatusOr<size_t> {
      const size_t got = std::min({size, bytes.size() - at, size_t{7777}});
      bytes.copy(buffer, got, at);
      at += got;
      return got;
    };
    return store_.Put(key, source, 0, {}).status();
  }
  absl::StatusOr<std::string> Get(const std::string& key) {
    std::string bytes;
    const absl::Status status = store_.Get(key, [&](absl::string_view piece) {
      bytes.append(piece.data(), piece.size());
      return absl::OkStatus();
    });
    if (!status.ok()) return status;
    return bytes;
  }
  static std::string Bytes(int64_t size) {
    std::string bytes;
    for (int64_t i = 0; i < size; ++i) bytes.push_back(i * 7 % 251);
    return bytes;
  }

  FakeStore fake_;
  BlockingStore store_{&fake_};
};

TEST_F(BlockingStoreTest, ValuesOfAllSizesComeBack) {
  for (const int64_t size :
       {int64_t{0}, int64_t{1}, base::kSmallBlobBytesMax,
        base::kSmallBlobBytesMax + 1, base::kPieceBytes, base::kPieceBytes + 1,
        5 * base::kPieceBytes + 3}) {
    SCOPED_TRACE(size);
    ASSERT_TRUE(Put("key", Bytes(size)).ok());
    EXPECT_EQ(fake_.values["key"].bytes, Bytes(size));
    EXPECT_EQ(FromProto(fake_.values["key"].record.digest()).xxh3,
              base::Xxh3(Bytes(size)));
    EXPECT_EQ(*Get("key"), Bytes(size));
  }
}

TEST_F(BlockingStoreTest, AnInlinedValueNeedsNoReplica) {
  ASSERT_TRUE(Put("key", "value").ok());
  fake_.inlined = true;
  fake_.breaks_at = {0, 0};
  EXPECT_EQ(*Get("key"), "value");
}

TEST_F(BlockingStoreTest, AnotherReplicaGoesOnWhereOneBrokeOff) {
  ASSERT_TRUE(Put("key", Bytes(10'000)).ok());
  for (const int64_t at : {0, 1, 4321, 9999}) {
    fake_.breaks_at = {at, -1};
    const auto bytes = Get("key");
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    EXPECT_EQ(*bytes, Bytes(10'000));
  }
}

TEST_F(BlockingStoreTest, BlobsThatAreGoneAreNotAMissingKey) {
  ASSERT_TRUE(Put("key", Bytes(10'000)).ok());
  fake_.breaks_at = {0, 0};
  EXPECT_EQ(Get("key").status().code(), Code::kUnavailable);
  fake_.breaks_at = {100, 200};
  EXPECT_EQ(Get("key").status().code(), Code::kUnavailable);
  EXPECT_EQ(Get("other").status().code(), Code::kNotFound);
}

TEST_F(BlockingStoreTest, BytesThatDoNotMatchTheHashAreDataLoss) {
  ASSERT_TRUE(Put("key", Bytes(10'000)).ok());
  fake_.values["key"].bytes[5000] ^= 1;
  EXPECT_EQ(Get("key").status().code(), Code::kDataLoss);
}

TEST_F(BlockingStoreTest, TheSinksErrorEndsARead) {
  ASSERT_TRUE(Put("key", Bytes(10'000)).ok());
  int pieces = 0;
  const absl::Status status = store_.Get("key", [&](absl::string_view) {
    ++pieces;
    return absl::ResourceExhaustedError("disk full");
  });
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_EQ(pieces, 1);
}

TEST_F(BlockingStoreTest, ErrorsOfTheStoreAreReturned) {
  ASSERT_TRUE(Put("key", "value").ok());
  fake_.fails = absl::UnavailableError("no master");
  EXPECT_EQ(Put("key", "value").code(), Code::kUnavailable);
  EXPECT_EQ(Put("key", Bytes(base::kPieceBytes)).code(), Code::kUnavailable);
  EXPECT_EQ(Get("key").status().code(), Code::kUnavailable);
  EXPECT_EQ(store_.Delete("key").code(), Code::kUnavailable);
}

TEST_F(BlockingStoreTest, ASourcesErrorWritesNothing) {
  const auto broken = [](char*, size_t) -> absl::StatusOr<size_t> {
    return absl::DataLossError("read: input/output error");
  };
  EXPECT_EQ(store_.Put("key", broken, 0, {}).status().code(), Code::kDataLoss);
  EXPECT_EQ(fake_.values.size(), 0u);
}

TEST_F(BlockingStoreTest, DeletesAndLists) {
  ASSERT_TRUE(Put("pa", "1").ok());
  ASSERT_TRUE(Put("pb", "22").ok());
  ASSERT_TRUE(Put("q", "").ok());
  EXPECT_EQ(store_.List("p", "", false)->keys_size(), 2);
  EXPECT_EQ(fake_.last_prefix, "p");
  const auto page = store_.List("p", "pb", true);
  ASSERT_EQ(page->records_size(), 1);
  EXPECT_EQ(page->records(0).size_bytes(), 2);
  EXPECT_TRUE(store_.Delete("pa").ok());
  EXPECT_EQ(store_.Delete("pa").code(), Code::kNotFound);
  EXPECT_EQ(store_.Stat("pb")->size_bytes(), 2);
}

}  // namespace
}  // namespace cairn::admin
