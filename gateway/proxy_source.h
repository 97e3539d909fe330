// A value, or a range of it, read from the agents and passed on to the client.

#ifndef CAIRN_GATEWAY_PROXY_SOURCE_H_
#define CAIRN_GATEWAY_PROXY_SOURCE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/hash.h"
#include "client/store_client.h"
#include "gateway/http/exchange.h"

namespace cairn::gateway {

// Goes to the next replica wherever one fails, also in the middle. A whole
// value is checked against its hash: the last piece is only given when the
// hash is right; else the answer breaks off with kDataLoss. (While nothing was
// given yet, the next replica is read instead.) Ranges are not checked.
//
// Thread safety: as http::BodySource. Shared: a read under way keeps it.
class ProxySource final : public http::BodySource,
                          public std::enable_shared_from_this<ProxySource> {
 public:
  // Bytes [offset, offset + length) of `record`, length at least 1, from its
  // replicas in `order`. `store` must outlive the source.
  ProxySource(client::StoreClient* store, std::string key, v1::Record record,
              std::vector<int> order, int64_t offset, int64_t length);

  // Call once, first. `ready` gets OK when the first bytes are there; kNotFound
  // when every replica said that it has no such blob; else why the last that
  // could have had it failed.
  void Start(std::function<void(absl::Status)> ready);

  void Next(std::function<void(absl::StatusOr<std::string>)> done) override;

  // The replica that gave the last piece (index into record.replicas).
  int replica() const { return replica_; }

 private:
  using Done = std::function<void(absl::StatusOr<std::string>)>;
  void Read(Done done);
  void OnPiece(absl::StatusOr<std::string> piece, Done done);
  absl::Status Accept(const std::string& piece);
  void ReplicaFailed(const absl::Status& status, Done done);

  client::StoreClient* const store_;
  const std::string key_;
  const v1::Record record_;
  const std::vector<int> order_;
  const int64_t begin_;
  const int64_t end_;
  const bool check_hash_;
  int64_t offset_;  // Of the next byte to read.
  bool given_ = false;
  size_t next_replica_ = 0;  // Into order_.
  int replica_ = -1;
  std::unique_ptr<client::BlobReader> reader_;
  base::Xxh3Hasher hasher_;
  std::string first_;
  absl::Status failure_ = absl::NotFoundError("the blob is on no replica");
};

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_PROXY_SOURCE_H_
