// MetadataClient over gRPC: three lanes of batches (lookups; commits; deletes,
// which may take seconds each and must not hold up the others) and a watch on
// the cluster map.

#include <grpcpp/grpcpp.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "client/lease_cache.h"
#include "client/metadata_client.h"
#include "proto/cairn/v1/metadata.grpc.pb.h"
#include "rpc/client_stream.h"
#include "rpc/event_loop.h"
#include "rpc/op_lane.h"
#include "rpc/server.h"

namespace cairn::client {
namespace {

using Lane = rpc::OpLane<v1::BatchRequest, v1::BatchResponse, v1::OpResult>;

using WatchStream =
    rpc::ClientStream<v1::WatchClusterMapRequest, v1::WatchClusterMapResponse,
                      grpc::ClientAsyncReader<v1::WatchClusterMapResponse>>;

// Keeps a stream of cluster maps open. After Stop() nothing is reported.
class MapWatch final : public WatchStream::Listener,
                       public std::enable_shared_from_this<MapWatch> {
 public:
  using Report = std::function<void(std::shared_ptr<const ClusterView>)>;
  MapWatch(rpc::EventLoop* loop, v1::MetadataService::Stub* stub,
           const std::string& client_name, Report report)
      : loop_(loop), stub_(stub), report_(std::move(report)) {
    request_.set_client_name(client_name);
  }

  void Start() {
    Open();
    loop_->AddTicker([weak = weak_from_this()] {
      const auto watch = weak.lock();
      return watch != nullptr && watch->Open();
    });
  }

  void Stop() {
    base::MutexLock lock(&mu_);
    stopped_ = true;
    if (stream_ != nullptr) stream_->Cancel();
  }

 private:
  // Opens the stream unless there is one; false after Stop().
  bool Open() {
    base::MutexLock lock(&mu_);
    if (stopped_) return false;
    if (stream_ != nullptr) return true;
    stream_ = WatchStream::Start(
        loop_,
        [this](grpc::ClientContext* context, grpc::CompletionQueue* cq) {
          return stub_->PrepareAsyncWatchClusterMap(context, request_, cq);
        },
        shared_from_this(),
        [](grpc::ClientContext* context) {
          context->set_wait_for_ready(true);
        });
    return true;
  }

  void OnResponse(v1::WatchClusterMapResponse* response) override {
    auto view = std::make_shared<ClusterView>();
    view->map.Swap(response->mutable_map());
    view->unavailable_reason = response->unavailable_reason();
    base::MutexLock lock(&mu_);
    // Under the lock, so that Stop() ends all reports.
    if (!stopped_) report_(std::move(view));
  }
  void OnClosed(const grpc::Status&) override {
    base::MutexLock lock(&mu_);
    stream_ = nullptr;
  }

  rpc::EventLoop* const loop_;
  v1::MetadataService::Stub* const stub_;
  const Report report_;
  v1::WatchClusterMapRequest request_;
  base::Mutex mu_;
  std::shared_ptr<WatchStream> stream_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
};

class GrpcMetadataClient final : public MetadataClient {
 public:
  explicit GrpcMetadataClient(const GrpcMetadataOptions& options)
      : options_(options),
        own_loop_(options.loop == nullptr ? std::make_unique<rpc::EventLoop>()
                                          : nullptr),
        loop_(options.loop == nullptr ? own_loop_.get() : options.loop),
        channel_(rpc::NewChannel(options.master_address, "metadata")),
        stub_(v1::MetadataService::NewStub(channel_)),
        leases_(options.leases ? std::make_shared<LeaseCache>() : nullptr),
        lookups_(leases_ != nullptr ? NewLeasingLane() : NewLane()),
        commits_(NewLane()),
        deletes_(NewLane()),
        watch_(std::make_shared<MapWatch>(
            loop_, stub_.get(), options.client_name,
            [this](std::shared_ptr<const ClusterView> view) {
              if (leases_ != nullptr) {
                leases_->SetServing(view->unavailable_reason.empty());
              }
              base::MutexLock lock(&mu_);
              view_ = std::move(view);
              changed_.SignalAll();
            })) {
    watch_->Start();
    lookups_->Start();
    commits_->Start();
    deletes_->Start();
  }

  ~GrpcMetadataClient() override {
    lookups_->Stop();
    commits_->Stop();
    deletes_->Stop();
    watch_->Stop();
  }

  void Lookup(v1::LookupOp op, absl::Time deadline, OpDone done) override {
    if (leases_ == nullptr || !op.want_lease()) {
      op.set_want_lease(false);
      return SubmitLookup(std::move(op), deadline, std::move(done));
    }
    v1::OpResult known;
    if (leases_->Find(op.key(), op.with_value(), &known)) {
      return done(std::move(known));
    }
    const int64_t ticket = leases_->Ticket(op.key());
    SubmitLookup(
        op, deadline,
        [leases = leases_, ticket, key = op.key(), with_value = op.with_value(),
         done = std::move(done)](absl::StatusOr<v1::OpResult> result) {
          if (result.ok() && result->leased()) {
            leases->Insert(ticket, key, with_value, *result);
          }
          done(std::move(result));
        });
  }

  void SubmitLookup(v1::LookupOp op, absl::Time deadline, OpDone done) {
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
        loop_, deadline, "",
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
    while (view_ == nullptr || clock_->writer_id() == 0) {
      if (absl::Now() >= deadline) {
        return absl::DeadlineExceededError(absl::StrCat(
            "the master at ", options_.master_address, " does not answer"));
      }
      changed_.WaitFor(&mu_, absl::Milliseconds(50));
    }
    return absl::OkStatus();
  }

  base::VersionClock& clock() override { return *clock_; }

 private:
  std::shared_ptr<Lane> NewLane() {
    return std::make_shared<Lane>(LaneOptions());
  }

  // The lane whose stream the leases belong to.
  std::shared_ptr<Lane> NewLeasingLane() {
    Lane::Options options = LaneOptions();
    // Set below, before the lane starts.
    const auto link = std::make_shared<std::weak_ptr<Lane>>();
    options.envelope = [leases = leases_](v1::BatchRequest* request) {
      request->set_lease_renewal(leases->NoteRenewalSent());
    };
    options.on_closed = [leases = leases_] { leases->Clear(); };
    options.on_response =
        [leases = leases_, link,
         observe = options.on_response](const v1::BatchResponse& response) {
          observe(response);
          for (const v1::Revocation& revocation : response.revocations()) {
            leases->Revoke(revocation);
            if (const auto lane = link->lock(); lane != nullptr) {
              lane->SubmitUnanswered(
                  [id = revocation.id()](int64_t, v1::BatchRequest* request) {
                    request->add_revocations_done(id);
                  });
            }
          }
          if (response.lease_renewal() != 0) {
            leases->Renewed(response.lease_renewal());
          }
        };
    const auto lane = std::make_shared<Lane>(std::move(options));
    *link = lane;
    loop_->AddTicker([leases = leases_, link] {
      const auto lane = link->lock();
      if (lane == nullptr) return false;
      // Any message renews.
      if (leases->WantsRenewal()) {
        lane->SubmitUnanswered([](int64_t, v1::BatchRequest*) {});
      }
      return true;
    });
    return lane;
  }

  Lane::Options LaneOptions() {
    Lane::Options lane;
    lane.loop = loop_;
    lane.peer = absl::StrCat("the master at ", options_.master_address);
    lane.wait_for_peer = true;
    lane.prepare = [stub = stub_.get()](grpc::ClientContext* context,
                                        grpc::CompletionQueue* cq) {
      return stub->PrepareAsyncBatch(context, cq);
    };
    // Answers may still come in while this object is being destroyed: what
    // they touch is shared.
    lane.hello = [clock = clock_,
                  name = options_.client_name](v1::BatchRequest* request) {
      request->mutable_hello()->set_client_name(name);
      request->mutable_hello()->set_writer_id(clock->writer_id());
    };
    lane.on_response = [clock = clock_](const v1::BatchResponse& response) {
      clock->Observe(response.index_time_ms());
      if (response.has_hello() && clock->writer_id() == 0) {
        clock->SetWriterId(response.hello().writer_id());
      }
    };
    return lane;
  }

  const GrpcMetadataOptions options_;
  const std::shared_ptr<base::VersionClock> clock_ =
      std::make_shared<base::VersionClock>();
  const std::unique_ptr<rpc::EventLoop> own_loop_;
  rpc::EventLoop* const loop_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::MetadataService::Stub> stub_;
  const std::shared_ptr<LeaseCache> leases_;  // nullptr: takes none.
  const std::shared_ptr<Lane> lookups_;
  const std::shared_ptr<Lane> commits_;
  const std::shared_ptr<Lane> deletes_;
  const std::shared_ptr<MapWatch> watch_;

  base::Mutex mu_;
  base::CondVar changed_;
  std::shared_ptr<const ClusterView> view_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<MetadataClient> NewGrpcMetadataClient(
    const GrpcMetadataOptions& options) {
  return std::make_unique<GrpcMetadataClient>(options);
}

}  // namespace cairn::client
