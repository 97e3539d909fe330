#include "gateway/fake_store.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/key_block.h"
#include "proto/convert.h"

namespace cairn::gateway {

client::ClusterView HealthyView() {
  client::ClusterView view;
  view.map.set_cluster_id("0123456789abcdef0123456789abcdef");
  view.map.set_replicas(2);
  view.map.set_subvolumes_per_volume(1);
  view.map.set_inline_bytes_max(4096);
  for (int id = 1; id <= 3; ++id) {
    v1::Volume* volume = view.map.add_volumes();
    volume->set_volume_id(id);
    volume->set_state(v1::VOLUME_STATE_UP);
    volume->set_weight(1);
    volume->set_http_address(absl::StrCat("127.0.0.1:330", id));
    volume->set_signing_secret(std::string(64, 'a'));
    volume->add_subvolumes()->set_capacity_bytes(1 << 30);
    volume->mutable_subvolumes(0)->set_free_bytes(1 << 30);
    volume->mutable_subvolumes(0)->set_free_inodes(1 << 20);
  }
  return view;
}

void FakeMetadata::Lookup(v1::LookupOp, absl::Time, OpDone done) {
  v1::OpResult result;
  result.set_code(static_cast<int>(lookup_status.code()));
  result.set_message(std::string(lookup_status.message()));
  done(result);
}
void FakeMetadata::Commit(v1::CommitOp, absl::Time, OpDone done) {
  done(absl::UnavailableError("not part of this fake"));
}
void FakeMetadata::Delete(v1::DeleteOp, absl::Time, OpDone done) {
  done(absl::UnavailableError("not part of this fake"));
}
void FakeMetadata::ListKeys(v1::ListKeysRequest, absl::Time, ListDone done) {
  done(absl::UnavailableError("not part of this fake"));
}
std::shared_ptr<const client::ClusterView> FakeMetadata::view() {
  return current;
}
absl::Status FakeMetadata::WaitReady(absl::Duration) {
  return absl::OkStatus();
}

class FakeWriter final : public client::LargeWriter {
 public:
  FakeWriter(FakeStore* store, std::string key, client::PutOptions options)
      : store_(store), key_(std::move(key)), options_(std::move(options)) {
    ++store_->open_writers;
  }
  ~FakeWriter() override {
    --store_->open_writers;
    if (!finished_) ++store_->abandoned_writers;
  }
  bool Write(const client::Piece& piece) override {
    value_.append(piece.data.get(), piece.size);
    if (!store_->writer_failure.ok()) return false;
    return ++pieces_ % store_->pieces_until_full != 0;
  }
  void Finish(const base::Digest& digest, client::PutDone done) override {
    finished_ = true;
    if (!store_->writer_failure.ok()) return done(store_->writer_failure);
    done(store_->Commit(key_, value_, digest, options_));
  }
  absl::Status status() override { return store_->writer_failure; }

 private:
  FakeStore* const store_;
  const std::string key_;
  const client::PutOptions options_;
  std::string value_;
  int pieces_ = 0;
  bool finished_ = false;
};

namespace {

class FakeReader final : public client::BlobReader {
 public:
  FakeReader(std::string bytes, int64_t piece_bytes, int64_t fails_at,
             absl::Status failure)
      : bytes_(std::move(bytes)),
        piece_bytes_(piece_bytes),
        fails_at_(fails_at),
        failure_(std::move(failure)) {}
  void Read(PieceDone done) override {
    if (fails_at_ >= 0 && offset_ >= fails_at_) return done(failure_);
    std::string piece = bytes_.substr(offset_, piece_bytes_);
    offset_ += piece.size();
    done(std::move(piece));
  }

 private:
  const std::string bytes_;
  const int64_t piece_bytes_;
  const int64_t fails_at_;
  const absl::Status failure_;
  int64_t offset_ = 0;
};

absl::Status CheckPrecondition(const v1::Precondition& precondition,
                               const FakeStore::Value* found) {
  const absl::Status failed = absl::FailedPreconditionError("precondition");
  if (precondition.absent() && found != nullptr) return failed;
  if (precondition.exists() && found == nullptr) return failed;
  if (precondition.md5_any_of().empty()) return absl::OkStatus();
  if (found == nullptr) return failed;
  const auto& any = precondition.md5_any_of();
  const std::string& md5 = found->record.digest().md5();
  return std::find(any.begin(), any.end(), md5) == any.end() ? failed
                                                             : absl::OkStatus();
}

}  // namespace

void FakeStore::Get(std::string key, bool with_value, std::string request_id,
                    client::GetDone done) {
  ++lookups;
  last_request_id = request_id;
  if (!failure.ok()) return done(failure);
  const auto found = values.find(key);
  if (found == values.end()) return done(absl::NotFoundError("no such key"));
  client::GetOutcome outcome;
  outcome.record = found->second.record;
  if (with_value && outcome.record.size_bytes() <= inline_bytes_max) {
    outcome.has_value = true;
    outcome.value = found->second.bytes;
  }
  done(std::move(outcome));
}

void FakeStore::PutSmall(std::string key, std::string value,
                         const base::Digest& digest, client::PutOptions options,
                         client::PutDone done) {
  ++small_puts;
  last_request_id = options.request_id;
  if (!failure.ok()) return done(failure);
  done(Commit(key, std::move(value), digest, options));
}

absl::StatusOr<std::unique_ptr<client::LargeWriter>> FakeStore::NewLargeWriter(
    std::string key, client::PutOptions options, int64_t size_bytes_expected,
    std::function<void()> writable) {
  if (!failure.ok()) return failure;
  last_writable = std::move(writable);
  last_size_bytes_expected = size_bytes_expected;
  return std::make_unique<FakeWriter>(this, std::move(key), std::move(options));
}

absl::StatusOr<client::PutOutcome> FakeStore::Commit(
    const std::string& key, std::string value, const base::Digest& digest,
    const client::PutOptions& options) {
  last_options = options;
  const auto found = values.find(key);
  const Value* old = found == values.end() ? nullptr : &found->second;
  const absl::Status status = CheckPrecondition(options.precondition, old);
  if (!status.ok()) return status;
  client::PutOutcome outcome;
  outcome.replaced = old != nullptr;
  v1::Record& record = outcome.record;
  record.mutable_version()->set_time_ms(next_time_ms_ += 1000);
  record.mutable_version()->set_writer_id(7);
  record.set_size_bytes(value.size());
  SetDigest(digest, record.mutable_digest());
  *record.mutable_metadata() = options.metadata;
  const auto order = placement::Order(fake_metadata.current->map, key);
  for (int i = 0; i < 2; ++i) {
    v1::SubvolumeId* where = record.add_replicas();
    where->set_volume_id(order[i].volume_id);
    where->set_subvolume(order[i].subvolume);
  }
  values[key] = {record, std::move(value)};
  return outcome;
}

const v1::Record& FakeStore::Put(const std::string& key,
                                 const std::string& value,
                                 const client::PutOptions& options) {
  (void)Commit(key, value, base::DigestOf(value), options);
  return values[key].record;
}

void FakeStore::Delete(std::string key, v1::Precondition precondition,
                       std::string request_id, DeleteDone done) {
  last_request_id = request_id;
  if (!failure.ok()) return done(failure);
  const auto found = values.find(key);
  if (found == values.end()) return done(absl::NotFoundError("no such key"));
  const absl::Status status = CheckPrecondition(precondition, &found->second);
  if (!status.ok()) return done(status);
  values.erase(found);
  done(absl::OkStatus());
}

void FakeStore::ListKeys(v1::ListKeysRequest request,
                         client::MetadataClient::ListDone done) {
  if (!failure.ok()) return done(failure);
  if (++list_pages > 1 && !list_failure_after_first_page.ok()) {
    return done(list_failure_after_first_page);
  }
  const int64_t keys_max =
      std::min<int64_t>(request.page_size(), list_page_keys_max);
  v1::ListKeysResponse page;
  const std::string begin = std::max(request.prefix(), request.start());
  for (auto it = values.lower_bound(begin); it != values.end(); ++it) {
    if (!absl::StartsWith(it->first, request.prefix())) break;
    const size_t cut =
        request.delimiter().empty()
            ? std::string::npos
            : it->first.find(request.delimiter(), request.prefix().size());
    const std::string key = it->first.substr(
        0, cut == std::string::npos ? cut : cut + request.delimiter().size());
    if (page.keys_size() > 0 && page.keys(page.keys_size() - 1) == key) {
      continue;
    }
    if (page.keys_size() == keys_max) {
      page.set_next(key);
      break;
    }
    page.add_keys(key);
    if (request.with_records()) {
      v1::Record* record = page.add_records();
      if (cut == std::string::npos) *record = it->second.record;
    }
  }
  page.set_keys_count(page.keys_size());
  if (request.with_key_block()) {
    for (const std::string& key : page.keys()) {
      base::AppendToKeyBlock(key, page.mutable_key_block());
    }
    page.clear_keys();
  }
  done(std::move(page));
}

std::unique_ptr<client::BlobReader> FakeStore::NewBlobReader(
    std::string key, const v1::Record& record, int replica, int64_t offset,
    int64_t length) {
  ++readers;
  if (before_read) before_read();
  const auto found = values.find(key);
  const bool gone =
      found == values.end() ||
      FromProto(found->second.record.version()) != FromProto(record.version());
  if (gone) {
    return std::make_unique<FakeReader>("", read_piece_bytes, 0,
                                        absl::NotFoundError("no such blob"));
  }
  std::string bytes = found->second.bytes.substr(offset, length);
  if (corrupt_replicas.count(replica) != 0) bytes.back() ^= 1;
  const auto fails = replica_fails_at.find(replica);
  return std::make_unique<FakeReader>(
      std::move(bytes), read_piece_bytes,
      fails == replica_fails_at.end()
          ? -1
          : std::max<int64_t>(0, fails->second - offset),
      replica_failure);
}

std::vector<int> FakeStore::ReadOrder(const v1::Record& record, uint64_t salt) {
  read_salts.push_back(salt);
  std::vector<int> order;
  for (int i = 0; i < record.replicas_size(); ++i) order.push_back(i);
  return order;
}

}  // namespace cairn::gateway
