#include "client/store_client.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/blob_name.h"
#include "base/limits.h"
#include "base/status.h"
#include "client/agent_client.h"
#include "client/blob_reader.h"
#include "client/large_writer.h"
#include "client/small_put.h"
#include "proto/convert.h"
#include "rpc/event_loop.h"

namespace cairn::client {
namespace {

class StoreClientImpl final : public StoreClient {
 public:
  StoreClientImpl(MetadataClient* metadata, rpc::EventLoop* loop)
      : metadata_(metadata),
        own_loop_(loop == nullptr ? std::make_unique<rpc::EventLoop>()
                                  : nullptr),
        agents_(loop == nullptr ? own_loop_.get() : loop) {}

  void Get(std::string key, bool with_value, std::string request_id,
           GetDone done) override {
    v1::LookupOp op;
    op.set_key(std::move(key));
    op.set_with_value(with_value);
    op.set_want_lease(true);
    metadata_->Lookup(
        std::move(op), absl::Now() + base::kMetadataDeadline,
        [done = std::move(done)](absl::StatusOr<v1::OpResult> result) {
          if (!result.ok()) return done(result.status());
          if (result->code() != 0) {
            return done(StatusFromCode(result->code(), result->message()));
          }
          GetOutcome outcome;
          outcome.record = std::move(*result->mutable_record());
          outcome.has_value = result->has_inline_value();
          outcome.value = std::move(*result->mutable_inline_value());
          done(std::move(outcome));
        });
  }

  void PutSmall(std::string key, std::string value, const base::Digest& digest,
                PutOptions options, PutDone done) override {
    auto view = Writable(key, options);
    if (!view.ok()) return done(view.status());
    StartSmallPut(metadata_, &agents_, *std::move(view), std::move(key),
                  std::move(value), digest, std::move(options),
                  std::move(done));
  }

  absl::StatusOr<std::unique_ptr<LargeWriter>> NewLargeWriter(
      std::string key, PutOptions options, int64_t size_bytes_expected,
      std::function<void()> writable) override {
    ASSIGN_OR_RETURN(auto view, Writable(key, options));
    return StartLargeWriter(metadata_, &agents_, std::move(view),
                            std::move(key), std::move(options),
                            size_bytes_expected, std::move(writable));
  }

  void Delete(std::string key, v1::Precondition precondition,
              std::string request_id, DeleteDone done) override {
    v1::DeleteOp op;
    op.set_key(std::move(key));
    *op.mutable_precondition() = std::move(precondition);
    op.set_request_id(std::move(request_id));
    metadata_->Delete(
        std::move(op), absl::Now() + base::kMetadataDeadline,
        [done = std::move(done)](const absl::StatusOr<v1::OpResult>& result) {
          done(result.ok() ? StatusFromCode(result->code(), result->message())
                           : result.status());
        });
  }

  void ListKeys(v1::ListKeysRequest request,
                MetadataClient::ListDone done) override {
    metadata_->ListKeys(std::move(request),
                        absl::Now() + base::kMetadataDeadline, std::move(done));
  }

  std::unique_ptr<BlobReader> NewBlobReader(std::string key,
                                            const v1::Record& record,
                                            int replica, int64_t offset,
                                            int64_t length) override {
    const auto view = metadata_->view();
    const v1::SubvolumeId& where = record.replicas(replica);
    const auto agent =
        view == nullptr ? nullptr : agents_.Get(view->map, where.volume_id());
    if (agent == nullptr) {
      return FailedBlobReader(absl::UnavailableError(
          "the cluster map does not know the replica's volume"));
    }
    return agent->Read(MakeBlobId(key, where, record.version(), false), offset,
                       length);
  }

  std::vector<int> ReadOrder(const v1::Record& record, uint64_t salt) override {
    const auto view = metadata_->view();
    const int count = record.replicas_size();
    std::vector<int> answering;
    std::vector<int> silent;
    std::vector<int> unconfirmed;
    std::vector<int> down;
    for (int i = 0; i < count; ++i) {
      const int replica = static_cast<int>((i + salt) % count);
      const v1::SubvolumeId& where = record.replicas(replica);
      if (!IsReadable(view.get(), where)) {
        down.push_back(replica);
        continue;
      }
      const v1::Volume* const volume =
          placement::FindVolume(view->map, where.volume_id());
      if (volume->unconfirmed()) {
        unconfirmed.push_back(replica);
        continue;
      }
      const auto agent = agents_.Get(view->map, where.volume_id());
      (agent == nullptr || agent->down() ? silent : answering)
          .push_back(replica);
    }
    answering.insert(answering.end(), silent.begin(), silent.end());
    answering.insert(answering.end(), unconfirmed.begin(), unconfirmed.end());
    answering.insert(answering.end(), down.begin(), down.end());
    return answering;
  }

  MetadataClient& metadata() override { return *metadata_; }

 private:
  static bool IsReadable(const ClusterView* view,
                         const v1::SubvolumeId& where) {
    if (view == nullptr) return false;
    const v1::Volume* volume =
        placement::FindVolume(view->map, where.volume_id());
    return volume != nullptr && volume->state() == v1::VOLUME_STATE_UP &&
           where.subvolume() < volume->subvolumes_size() &&
           !volume->subvolumes(where.subvolume()).failed();
  }

  // The view under which a write may start.
  absl::StatusOr<std::shared_ptr<const ClusterView>> Writable(
      const std::string& key, const PutOptions& options) {
    RETURN_IF_ERROR(base::CheckKey(key));
    RETURN_IF_ERROR(CheckMetadata(options.metadata));
    auto view = metadata_->view();
    if (view == nullptr || metadata_->clock().writer_id() == 0) {
      return absl::UnavailableError("the master does not answer");
    }
    if (!view->unavailable_reason.empty()) {
      return absl::UnavailableError(view->unavailable_reason);
    }
    RETURN_IF_ERROR(placement::CheckWritable(view->map));
    return view;
  }

  MetadataClient* const metadata_;
  // Of the agents' streams; after them in destruction.
  const std::unique_ptr<rpc::EventLoop> own_loop_;
  AgentPool agents_;
};

}  // namespace

std::unique_ptr<StoreClient> NewStoreClient(MetadataClient* metadata,
                                            rpc::EventLoop* loop) {
  return std::make_unique<StoreClientImpl>(metadata, loop);
}

}  // namespace cairn::client
