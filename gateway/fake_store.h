// A store in memory: three volumes, two replicas, versions one a second. A
// test may make it fail or slow. Not thread-safe; answers from within the call.

#ifndef CAIRN_GATEWAY_FAKE_STORE_H_
#define CAIRN_GATEWAY_FAKE_STORE_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/version_clock.h"
#include "client/store_client.h"

namespace cairn::gateway {

// The view of a healthy cluster; volumes 1 to 3 with a subvolume each.
client::ClusterView HealthyView();

class FakeMetadata final : public client::MetadataClient {
 public:
  void Lookup(v1::LookupOp op, absl::Time deadline, OpDone done) override;
  void Commit(v1::CommitOp op, absl::Time deadline, OpDone done) override;
  void Delete(v1::DeleteOp op, absl::Time deadline, OpDone done) override;
  void ListKeys(v1::ListKeysRequest request, absl::Time deadline,
                ListDone done) override;
  std::shared_ptr<const client::ClusterView> view() override;
  absl::Status WaitReady(absl::Duration timeout) override;
  base::VersionClock& clock() override { return clock_; }

  // nullptr: the master never answered.
  std::shared_ptr<client::ClusterView> current =
      std::make_shared<client::ClusterView>(HealthyView());
  // What the index answers to a lookup.
  absl::Status lookup_status = absl::NotFoundError("no such key");

 private:
  base::VersionClock clock_;
};

class FakeStore final : public client::StoreClient {
 public:
  struct Value {
    v1::Record record;
    std::string bytes;
  };

  void Get(std::string key, bool with_value, std::string request_id,
           client::GetDone done) override;
  void PutSmall(std::string key, std::string value, const base::Digest& digest,
                client::PutOptions options, client::PutDone done) override;
  absl::StatusOr<std::unique_ptr<client::LargeWriter>> NewLargeWriter(
      std::string key, client::PutOptions options, int64_t size_bytes_expected,
      std::function<void()> writable) override;
  void Delete(std::string key, v1::Precondition precondition,
              std::string request_id, DeleteDone done) override;
  void ListKeys(v1::ListKeysRequest request,
                client::MetadataClient::ListDone done) override;
  std::unique_ptr<client::BlobReader> NewBlobReader(std::string key,
                                                    const v1::Record& record,
                                                    int replica, int64_t offset,
                                                    int64_t length) override;
  // In the order of the record; notes `salt`.
  std::vector<int> ReadOrder(const v1::Record& record, uint64_t salt) override;
  FakeMetadata& metadata() override { return fake_metadata; }

  // Stores without a client; the new record.
  const v1::Record& Put(const std::string& key, const std::string& value,
                        const client::PutOptions& options = {});

  FakeMetadata fake_metadata;
  std::map<std::string, Value> values;
  // If not OK: what each operation answers.
  absl::Status failure;
  absl::Status list_failure_after_first_page;
  // If not OK: what Write() and Finish() of large writers say.
  absl::Status writer_failure;
  // Large writers take this many pieces before they say they are full.
  int pieces_until_full = 1000;
  std::function<void()> last_writable;
  int64_t last_size_bytes_expected = -1;
  int lookups = 0;
  std::vector<uint64_t> read_salts;  // Of ReadOrder().
  int list_pages = 0;
  int small_puts = 0;
  int open_writers = 0;
  int abandoned_writers = 0;
  int64_t inline_bytes_max = 4096;
  int64_t list_page_keys_max = 10000;
  int64_t read_piece_bytes = 256 << 10;
  // Replicas (index into record.replicas) that fail, and at which offset.
  std::map<int, int64_t> replica_fails_at;
  absl::Status replica_failure = absl::UnavailableError("volume is down");
  // Replicas that give a flipped last byte.
  std::set<int> corrupt_replicas;
  // Called when a blob reader is made.
  std::function<void()> before_read;
  int readers = 0;
  client::PutOptions last_options;
  std::string last_request_id;

 private:
  friend class FakeWriter;
  absl::StatusOr<client::PutOutcome> Commit(const std::string& key,
                                            std::string value,
                                            const base::Digest& digest,
                                            const client::PutOptions& options);

  int64_t next_time_ms_ = 1700000000000;
};

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_FAKE_STORE_H_
