#include "gateway/proxy_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/logging.h"
#include "proto/convert.h"

namespace cairn::gateway {

ProxySource::ProxySource(client::StoreClient* store, std::string key,
                         v1::Record record, std::vector<int> order,
                         int64_t offset, int64_t length)
    : store_(store),
      key_(std::move(key)),
      record_(std::move(record)),
      order_(std::move(order)),
      begin_(offset),
      end_(offset + length),
      check_hash_(length == record_.size_bytes()),
      offset_(offset) {}

void ProxySource::Start(std::function<void(absl::Status)> ready) {
  Read([self = shared_from_this(),
        ready = std::move(ready)](absl::StatusOr<std::string> piece) {
    if (!piece.ok()) return ready(piece.status());
    self->first_ = *std::move(piece);
    ready(absl::OkStatus());
  });
}

void ProxySource::Next(Done done) {
  if (!first_.empty()) {
    given_ = true;
    return done(std::exchange(first_, std::string()));
  }
  Read([self = shared_from_this(),
        done = std::move(done)](absl::StatusOr<std::string> piece) {
    self->given_ = true;
    done(std::move(piece));
  });
}

void ProxySource::Read(Done done) {
  if (offset_ == end_) return done(std::string());
  if (reader_ == nullptr) {
    if (next_replica_ == order_.size()) return done(failure_);
    replica_ = order_[next_replica_++];
    reader_ =
        store_->NewBlobReader(key_, record_, replica_, offset_, end_ - offset_);
  }
  reader_->Read([self = shared_from_this(),
                 done = std::move(done)](absl::StatusOr<std::string> piece) {
    self->OnPiece(std::move(piece), done);
  });
}

void ProxySource::OnPiece(absl::StatusOr<std::string> piece, Done done) {
  if (!piece.ok()) return ReplicaFailed(piece.status(), std::move(done));
  const absl::Status status = Accept(*piece);
  if (status.ok()) return done(std::move(piece));
  if (given_ && offset_ == end_) return done(status);  // Too late for another.
  if (!given_) {
    offset_ = begin_;
    hasher_ = base::Xxh3Hasher();
  }
  ReplicaFailed(status, std::move(done));
}

// kDataLoss: the piece does not belong to the value.
absl::Status ProxySource::Accept(const std::string& piece) {
  const int64_t size = piece.size();
  if (size == 0) return absl::DataLossError("the blob is too short");
  if (size > end_ - offset_) return absl::DataLossError("the blob is too long");
  offset_ += size;
  if (!check_hash_) return absl::OkStatus();
  hasher_.Update(piece);
  if (offset_ < end_ || hasher_.Finish() == record_.digest().xxh3()) {
    return absl::OkStatus();
  }
  return absl::DataLossError("the blob does not match its hash");
}

void ProxySource::ReplicaFailed(const absl::Status& status, Done done) {
  const v1::SubvolumeId& where = record_.replicas(replica_);
  const absl::Status named(
      status.code(),
      absl::StrCat("volume ", VolumeIdText(where.volume_id()), ", subvolume ",
                   where.subvolume(), ": ", status.message()));
  // A blob that is just gone was replaced or moved: no reason for a line.
  if (!absl::IsNotFound(status)) {
    base::LogWarning("read of a replica failed: ", named.message());
    failure_ = named;
  }
  reader_ = nullptr;
  Read(std::move(done));
}

}  // namespace cairn::gateway
