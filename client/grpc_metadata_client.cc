// MetadataClient over gRPC: three lanes of batches (lookups; commits; deletes,
// which may take seconds each and must not hold up the others) and a watch on
// the cluster map.

#include <grpcpp/grpcpp.h>

#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "client/metadata_client.h"
#include "proto/cairn/v1/metadata.grpc.pb.h"
#include "rpc/event_loop.h"
#include "rpc/op_lane.h"
#include "rpc/server.h"

namespace cairn::client {
namespace {

using Lane = rpc::OpLane<v1::BatchRequest, v1::BatchResponse, v1::OpResult>;

class GrpcMetadataClient final : public MetadataClient {
 public:
  explicit GrpcMetadataClient(const GrpcMetadataOptions& options)
      : options_(options),
        channel_(rpc::NewChannel(options.master_address, "metadata")),
        stub_(v1::MetadataService::NewStub(channel_)),
        lookups_(NewLane()),
        commits_(NewLane()),
        deletes_(NewLane()),
        watcher_([this] { Watch(); }) {
    lookups_->Start();
    commits_->Start();
    deletes_->Start();
  }

  ~GrpcMetadataClient() override {
    lookups_->Stop();
    commits_->Stop();
    deletes_->Stop();
    {
      base::MutexLock lock(&mu_);
      stopping_ = true;
      if (watch_context_ != nullptr) watch_context_->TryCancel();
      changed_.SignalAll();
    }
    watcher_.join();
  }

  void Lookup(v1::LookupOp op, absl::Time deadline, OpDone done) override {
    lookups_->Submit(
        [op = std::move(op)](int64_t id, v1::BatchRequest* request) {
          v1::LookupOp* out = request->add_lookups();
          *out = op;
          out->set_op_id(id);
        },
        0, /*repeat=*/true, deadline, std::move(done));
  }

  void Commit(v1::CommitOp op, absl::Time deadline, OpDone done) override {
    const int64_t bytes = op.inline_value().size();
    commits_->Submit(
        [op = std::move(op)](int64_t id, v1::BatchRequest* request) {
          v1::CommitOp* out = request->add_commits();
          *out = op;
          out->set_op_id(id);
        },
        bytes, /*repeat=*/true, deadline, std::move(done));
  }

  // Not repeated: a delete that has happened would be answered "not found".
  void Delete(v1::DeleteOp op, absl::Time deadline, OpDone done) override {
    deletes_->Submit(
        [op = std::move(op)](int64_t id, v1::BatchRequest* request) {
          v1::DeleteOp* out = request->add_deletes();
          *out = op;
          out->set_op_id(id);
        },
        0, /*repeat=*/false, deadline, std::move(done));
  }

  void ListKeys(v1::ListKeysRequest request, absl::Time deadline,
                ListDone done) override {
    rpc::AsyncUnary<v1::ListKeysResponse>::Start(
        &loop_, deadline, "",
        [&](grpc::ClientContext* context, grpc::CompletionQueue* cq) {
          context->set_wait_for_ready(true);
          return stub_->PrepareAsyncListKeys(context, request, cq);
        },
        [done = std::move(done)](const grpc::Status& status,
                                 v1::ListKeysResponse* response) {
          if (!status.ok()) return done(rpc::FromGrpc(status));
          done(std::move(*response));
        });
  }

  std::shared_ptr<const ClusterView> view() override {
    base::MutexLock lock(&mu_);
    return view_;
  }

  absl::Status WaitReady(absl::Duration timeout) override {
    const absl::Time deadline = absl::Now() + timeout;
    base::MutexLock lock(&mu_);
    while (view_ == nullptr || clock_.writer_id() == 0) {
      if (absl::Now() >= deadline) {
        return absl::DeadlineExceededError(absl::StrCat(
            "the master at ", options_.master_address, " does not answer"));
      }
      changed_.WaitFor(&mu_, absl::Milliseconds(50));
    }
    return absl::OkStatus();
  }

  base::VersionClock& clock() override { return clock_; }

 private:
  std::shared_ptr<Lane> NewLane() {
    Lane::Options lane;
    lane.loop = &loop_;
    lane.peer = absl::StrCat("the master at ", options_.master_address);
    lane.wait_for_peer = true;
    lane.prepare = [this](grpc::ClientContext* context,
                          grpc::CompletionQueue* cq) {
      return stub_->PrepareAsyncBatch(context, cq);
    };
    lane.hello = [this](v1::BatchRequest* request) {
      request->mutable_hello()->set_client_name(options_.client_name);
      request->mutable_hello()->set_writer_id(clock_.writer_id());
    };
    lane.on_response = [this](const v1::BatchResponse& response) {
      clock_.Observe(response.index_time_ms());
      if (response.has_hello() && clock_.writer_id() == 0) {
        clock_.SetWriterId(response.hello().writer_id());
      }
    };
    return std::make_shared<Lane>(std::move(lane));
  }

  // Runs on a thread of its own: one stream, reopened when it breaks.
  void Watch() {
    while (true) {
      grpc::ClientContext context;
      {
        base::MutexLock lock(&mu_);
        if (stopping_) return;
        watch_context_ = &context;
      }
      context.set_wait_for_ready(true);
      v1::WatchClusterMapRequest request;
      request.set_client_name(options_.client_name);
      const auto reader = stub_->WatchClusterMap(&context, request);
      v1::WatchClusterMapResponse response;
      while (reader->Read(&response)) {
        auto view = std::make_shared<ClusterView>();
        view->map = response.map();
        view->unavailable_reason = response.unavailable_reason();
        base::MutexLock lock(&mu_);
        view_ = std::move(view);
        changed_.SignalAll();
      }
      reader->Finish().ok();
      base::MutexLock lock(&mu_);
      watch_context_ = nullptr;
      if (!stopping_) changed_.WaitFor(&mu_, absl::Milliseconds(200));
    }
  }

  const GrpcMetadataOptions options_;
  base::VersionClock clock_;
  rpc::EventLoop loop_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::MetadataService::Stub> stub_;
  const std::shared_ptr<Lane> lookups_;
  const std::shared_ptr<Lane> commits_;
  const std::shared_ptr<Lane> deletes_;

  base::Mutex mu_;
  base::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* watch_context_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::shared_ptr<const ClusterView> view_ ABSL_GUARDED_BY(mu_);

  std::thread watcher_;  // Last: started when all else is there.
};

}  // namespace

std::unique_ptr<MetadataClient> NewGrpcMetadataClient(
    const GrpcMetadataOptions& options) {
  return std::make_unique<GrpcMetadataClient>(options);
}

}  // namespace cairn::client
