#include "admin/blocking_store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/limits.h"
#include "proto/convert.h"

namespace cairn::admin {
namespace {

using Code = absl::StatusCode;

// Two replicas of each value. Answers at once, in the caller's thread; large
// writers ask for a pause after each piece and end it from another thread.
class FakeStore final : public client::StoreClient {
 public:
  struct Value {
    std::string bytes;
    v1::Record record;
  };
  std::map<std::string, Value> values;
  bool inlined = false;
  absl::Status fails;  // What every operation answers, if not OK.
  // Bytes after which a replica breaks off; -1: never.
  std::vector<int64_t> breaks_at = {-1, -1};
  std::string last_prefix;
  client::PutOptions last_options;

  void Store(const std::string& key, const std::string& bytes,
             const base::Digest& digest) {
    Value& value = values[key];
    value.bytes = bytes;
    value.record.set_size_bytes(bytes.size());
    SetDigest(digest, value.record.mutable_digest());
    value.record.clear_replicas();
    value.record.add_replicas()->set_volume_id(1);
    value.record.add_replicas()->set_volume_id(2);
  }

  void Get(std::string key, bool with_value, std::string,
           client::GetDone done) override {
    if (!fails.ok()) return done(fails);
    const auto it = values.find(key);
    if (it == values.end()) return done(absl::NotFoundError("no such key"));
    client::GetOutcome outcome;
    outcome.record = it->second.record;
    outcome.has_value = with_value && inlined;
    if (outcome.has_value) outcome.value = it->second.bytes;
    done(std::move(outcome));
  }

  void PutSmall(std::string key, std::string value, const base::Digest& digest,
                client::PutOptions options, client::PutDone done) override {
    if (!fails.ok()) return done(fails);
    EXPECT_LE(static_cast<int64_t>(value.size()), base::kSmallBlobBytesMax);
    last_options = std::move(options);
    Store(key, value, digest);
    done(client::PutOutcome());
  }

  class Writer final : public client::LargeWriter {
   public:
    Writer(FakeStore* store, std::string key, std::function<void()> writable)
        : store_(store), key_(std::move(key)), writable_(std::move(writable)) {}
    ~Writer() override {
      for (std::thread& thread : threads_) thread.join();
    }
    bool Write(const client::Piece& piece) override {
      EXPECT_LE(static_cast<int64_t>(piece.size), base::kPieceBytes);
      bytes_.append(piece.data.get(), piece.size);
      threads_.emplace_back(writable_);
      return false;
    }
    void Finish(const base::Digest& digest, client::PutDone done) override {
      store_->Store(key_, bytes_, digest);
      done(client::PutOutcome());
    }
    absl::Status status() override { return store_->fails; }

   private:
    FakeStore* const store_;
    const std::string key_;
    const std::function<void()> writable_;
    std::string bytes_;
    std::vector<std::thread> threads_;
  };

  absl::StatusOr<std::unique_ptr<client::LargeWriter>> NewLargeWriter(
      std::string key, client::PutOptions, int64_t,
      std::function<void()> writable) override {
    return std::make_unique<Writer>(this, std::move(key), std::move(writable));
  }

  void Delete(std::string key, v1::Precondition, std::string,
              DeleteDone done) override {
    if (!fails.ok()) return done(fails);
    done(values.erase(key) > 0 ? absl::OkStatus()
                               : absl::NotFoundError("no such key"));
  }

  void ListKeys(v1::ListKeysRequest request,
                client::MetadataClient::ListDone done) override {
    last_prefix = request.prefix();
    v1::ListKeysResponse page;
    for (const auto& [key, value] : values) page.add_keys(key);
    done(std::move(page));
  }

  class Reader final : public client::BlobReader {
   public:
    Reader(std::string bytes, int64_t at, int64_t end)
        : bytes_(std::move(bytes)), at_(at), end_(end) {}
    void Read(PieceDone done) override {
      const int64_t size = static_cast<int64_t>(bytes_.size());
      if (at_ < size && at_ >= end_) {
        return done(absl::NotFoundError("the blob is gone"));
      }
      const int64_t piece = std::min(
          {int64_t{1000}, size - at_, std::max(end_ - at_, int64_t{0})});
      at_ += piece;
      done(bytes_.substr(at_ - piece, piece));
    }

   private:
    const std::string bytes_;
    int64_t at_;
    const int64_t end_;
  };

  std::unique_ptr<client::BlobReader> NewBlobReader(std::string key,
                                                    const v1::Record&,
                                                    int replica, int64_t offset,
                                                    int64_t) override {
    const std::string& bytes = values[key].bytes;
    const int64_t end = breaks_at[replica] < 0 ? INT64_MAX : breaks_at[replica];
    return std::make_unique<Reader>(bytes, offset, end);
  }
  std::vector<int> ReadOrder(const v1::Record&, uint64_t) override {
    return {0, 1};
  }
  client::MetadataClient& metadata() override { std::abort(); }
};

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
  ASSERT_TRUE(Put("a", "1").ok());
  ASSERT_TRUE(Put("b", "2").ok());
  EXPECT_EQ(store_.List("p", "").value().keys_size(), 2);
  EXPECT_EQ(fake_.last_prefix, "p");
  EXPECT_TRUE(store_.Delete("a").ok());
  EXPECT_EQ(store_.Delete("a").code(), Code::kNotFound);
  EXPECT_EQ(store_.Stat("b")->size_bytes(), 1);
}

}  // namespace
}  // namespace cairn::admin
