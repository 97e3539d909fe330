// FakeStore: a client::StoreClient that keeps values in memory.

#ifndef CAIRN_ADMIN_FAKE_STORE_H_
#define CAIRN_ADMIN_FAKE_STORE_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "client/store_client.h"
#include "proto/convert.h"

namespace cairn::admin {

// Two replicas of each value. Answers at once, in the caller's thread; large
// writers ask for a pause after each piece and end it from another thread.
// Thread safety: the methods of StoreClient from any thread; what is public
// beside them, before and after those.
class FakeStore final : public client::StoreClient {
 public:
  struct Value {
    std::string bytes;
    v1::Record record;
  };
  std::map<std::string, Value> values;
  bool inlined = false;
  absl::Status fails;  // What every operation answers, if not OK.
  // Which operations begin to fail so, counted from 0; negative: none.
  int64_t fails_from = 0;
  int64_t fails_to = INT64_MAX;
  // Bytes after which a replica breaks off; -1: never.
  std::vector<int64_t> breaks_at = {-1, -1};
  // Keys in one page.
  size_t page_keys_max = SIZE_MAX;
  std::string last_prefix;
  client::PutOptions last_options;
  int64_t puts_count = 0;

  void Store(const std::string& key, const std::string& bytes) {
    base::MutexLock lock(&mu_);
    StoreLocked(key, bytes, base::DigestOf(bytes));
  }

  void Get(std::string key, bool with_value, std::string,
           client::GetDone done) override {
    if (const absl::Status status = Fails(); !status.ok()) return done(status);
    done(Find(key, with_value));
  }

  void PutSmall(std::string key, std::string value, const base::Digest& digest,
                client::PutOptions options, client::PutDone done) override {
    if (const absl::Status status = Fails(); !status.ok()) return done(status);
    EXPECT_LE(static_cast<int64_t>(value.size()), base::kSmallBlobBytesMax);
    {
      base::MutexLock lock(&mu_);
      last_options = std::move(options);
      StoreLocked(key, value, digest);
    }
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
      {
        base::MutexLock lock(&store_->mu_);
        store_->StoreLocked(key_, bytes_, digest);
      }
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
    if (const absl::Status status = Fails(); !status.ok()) return done(status);
    bool found = false;
    {
      base::MutexLock lock(&mu_);
      found = values.erase(key) > 0;
    }
    done(found ? absl::OkStatus() : absl::NotFoundError("no such key"));
  }

  void ListKeys(v1::ListKeysRequest request,
                client::MetadataClient::ListDone done) override {
    if (const absl::Status status = Fails(); !status.ok()) return done(status);
    done(Page(request));
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
    base::MutexLock lock(&mu_);
    const int64_t end = breaks_at[replica] < 0 ? INT64_MAX : breaks_at[replica];
    return std::make_unique<Reader>(values[key].bytes, offset, end);
  }
  std::vector<int> ReadOrder(const v1::Record&, uint64_t) override {
    return {0, 1};
  }
  client::MetadataClient& metadata() override { std::abort(); }

 private:
  absl::Status Fails() {
    base::MutexLock lock(&mu_);
    const int64_t now = operations_++;
    return now >= fails_from && now < fails_to ? fails : absl::OkStatus();
  }

  void StoreLocked(const std::string& key, const std::string& bytes,
                   const base::Digest& digest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    ++puts_count;
    Value& value = values[key];
    value.bytes = bytes;
    value.record.set_size_bytes(static_cast<int64_t>(bytes.size()));
    SetDigest(digest, value.record.mutable_digest());
    value.record.clear_replicas();
    value.record.add_replicas()->set_volume_id(1);
    value.record.add_replicas()->set_volume_id(2);
  }

  absl::StatusOr<client::GetOutcome> Find(const std::string& key,
                                          bool with_value) {
    base::MutexLock lock(&mu_);
    const auto it = values.find(key);
    if (it == values.end()) return absl::NotFoundError("no such key");
    client::GetOutcome outcome;
    outcome.record = it->second.record;
    outcome.has_value = with_value && inlined;
    if (outcome.has_value) outcome.value = it->second.bytes;
    return outcome;
  }

  v1::ListKeysResponse Page(const v1::ListKeysRequest& request) {
    base::MutexLock lock(&mu_);
    last_prefix = request.prefix();
    v1::ListKeysResponse page;
    const std::string& start = std::max(request.prefix(), request.start());
    for (auto it = values.lower_bound(start);
         it != values.end() && absl::StartsWith(it->first, request.prefix());
         ++it) {
      if (static_cast<size_t>(page.keys_size()) == page_keys_max) {
        page.set_next(it->first);
        break;
      }
      page.add_keys(it->first);
      if (request.with_records()) *page.add_records() = it->second.record;
    }
    return page;
  }

  base::Mutex mu_;  // Guards all that is public above, once threads run.
  int64_t operations_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_FAKE_STORE_H_
