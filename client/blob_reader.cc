#include "client/blob_reader.h"

#include <utility>

#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "rpc/server.h"

namespace cairn::client {
namespace {

// Reads one message when asked for one, so that a slow taker slows the agent
// down through HTTP/2's flow control. Destroys itself after the last event.
class ReaderCall final : public std::enable_shared_from_this<ReaderCall> {
 public:
  ReaderCall(rpc::EventLoop* loop, v1::VolumeService::Stub* stub,
             const v1::GetBlobRequest& request)
      : use_(std::make_unique<rpc::EventLoop::Use>(loop)) {
    stream_ = stub->PrepareAsyncGet(&context_, request, loop->cq());
  }

  void Start(rpc::EventLoop* loop) {
    {
      base::MutexLock lock(&mu_);
      self_ = shared_from_this();
      asked_at_ = absl::Now();
      stream_->StartCall(&start_event_);
    }
    loop->AddTicker([weak = weak_from_this()] {
      const auto call = weak.lock();
      return call != nullptr && call->Tick();
    });
  }

  void Read(BlobReader::PieceDone done) {
    absl::Status status;
    bool ended = false;
    {
      base::MutexLock lock(&mu_);
      ended = ended_;
      if (!ended) {
        done_ = std::move(done);
        asked_at_ = absl::Now();
        if (started_) StartReadLocked();
      }
      status = status_;
    }
    if (ended) Deliver(done, status);
  }

  // Nobody asks any more: whatever still comes is read away, which is what
  // leads gRPC to the end of the stream. A read under way is still answered.
  void Abandon() {
    base::MutexLock lock(&mu_);
    abandoned_ = true;
    if (ended_ || finishing_) return;
    context_.TryCancel();
    if (started_ && !done_) StartReadLocked();
  }

 private:
  struct MethodEvent final : public rpc::Event {
    using Method = void (ReaderCall::*)(bool ok);
    MethodEvent(ReaderCall* call, Method method) : call(call), method(method) {}
    void OnEvent(bool ok) override { (call->*method)(ok); }
    ReaderCall* const call;
    const Method method;
  };

  static void Deliver(const BlobReader::PieceDone& done,
                      const absl::Status& status) {
    if (status.ok()) return done(std::string());
    done(status);
  }

  void StartReadLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    stream_->Read(&response_, &read_event_);
  }

  void OnStart(bool ok) {
    base::MutexLock lock(&mu_);
    started_ = true;
    if (!ok) {
      finishing_ = true;
      stream_->Finish(&grpc_status_, &finish_event_);
    } else if (done_ || abandoned_) {
      StartReadLocked();
    }
  }

  void OnRead(bool ok) {
    BlobReader::PieceDone done;
    std::string piece;
    {
      base::MutexLock lock(&mu_);
      if (!ok) {
        finishing_ = true;
        stream_->Finish(&grpc_status_, &finish_event_);
        return;
      }
      piece.swap(*response_.mutable_data());
      done.swap(done_);
      if (abandoned_) StartReadLocked();
    }
    if (done) done(std::move(piece));
  }

  void OnFinish(bool) {
    const auto use = std::move(use_);  // Ends last.
    const auto last = std::move(self_);
    BlobReader::PieceDone done;
    absl::Status status = rpc::FromGrpc(grpc_status_);
    {
      base::MutexLock lock(&mu_);
      ended_ = true;
      if (late_) {
        status =
            absl::UnavailableError("the volume agent sent no data in time");
      }
      status_ = status;
      done.swap(done_);
    }
    if (done) Deliver(done, status);
  }

  bool Tick() {
    base::MutexLock lock(&mu_);
    if (ended_) return false;
    if (done_ && absl::Now() - asked_at_ > base::kBlobPieceDeadline) {
      late_ = true;
      context_.TryCancel();
      return false;
    }
    return true;
  }

  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReader<v1::GetBlobResponse>> stream_;
  v1::GetBlobResponse response_;
  grpc::Status grpc_status_;
  std::shared_ptr<ReaderCall> self_;  // Until the last event, as is use_.
  std::unique_ptr<rpc::EventLoop::Use> use_;
  MethodEvent start_event_{this, &ReaderCall::OnStart};
  MethodEvent read_event_{this, &ReaderCall::OnRead};
  MethodEvent finish_event_{this, &ReaderCall::OnFinish};

  base::Mutex mu_;
  BlobReader::PieceDone done_ ABSL_GUARDED_BY(mu_);
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  bool finishing_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool abandoned_ ABSL_GUARDED_BY(mu_) = false;
  bool late_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time asked_at_ ABSL_GUARDED_BY(mu_);
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

class CallReader final : public BlobReader {
 public:
  explicit CallReader(std::shared_ptr<ReaderCall> call)
      : call_(std::move(call)) {}
  ~CallReader() override { call_->Abandon(); }
  void Read(PieceDone done) override { call_->Read(std::move(done)); }

 private:
  const std::shared_ptr<ReaderCall> call_;
};

class FailedReader final : public BlobReader {
 public:
  explicit FailedReader(absl::Status status) : status_(std::move(status)) {}
  void Read(PieceDone done) override { done(status_); }

 private:
  const absl::Status status_;
};

}  // namespace

std::unique_ptr<BlobReader> StartBlobReader(rpc::EventLoop* loop,
                                            v1::VolumeService::Stub* stub,
                                            const v1::GetBlobRequest& request) {
  auto call = std::make_shared<ReaderCall>(loop, stub, request);
  call->Start(loop);
  return std::make_unique<CallReader>(std::move(call));
}

std::unique_ptr<BlobReader> FailedBlobReader(absl::Status status) {
  return std::make_unique<FailedReader>(std::move(status));
}

}  // namespace cairn::client
