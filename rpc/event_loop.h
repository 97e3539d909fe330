// One gRPC completion queue and the thread that serves it: where the answers
// of all streams and calls of a client come in, and a server's streams of
// batches (batch_server.h). Threads that wait in gRPC at the same time take
// each other's events and hand them on by a switch of threads, so a process has
// as few loops as it can (measured: 9 us of CPU for each write through a master
// with one loop for its clients and one for its agents).

#ifndef CAIRN_RPC_EVENT_LOOP_H_
#define CAIRN_RPC_EVENT_LOOP_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/mutex.h"

namespace cairn::rpc {

// What a tag on the queue is. Called on the loop's thread; must not block.
class Event {
 public:
  virtual ~Event() = default;
  virtual void OnEvent(bool ok) = 0;
};

// Thread safety: any method from any thread.
class EventLoop {
 public:
  // For calls to others.
  EventLoop();
  // Also for async methods of the server that is being built. REQUIRES: the
  // server is shut down before the loop is destroyed.
  explicit EventLoop(grpc::ServerBuilder* builder);
  // Waits for the end of every stream and call on the queue: all must have
  // been cancelled or have a deadline.
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  grpc::CompletionQueue* cq() { return cq_.get(); }
  // nullptr unless made for a server. The same queue.
  grpc::ServerCompletionQueue* server_cq() { return server_cq_; }

  // Held by a stream or call from before its first operation until after its
  // last event: gRPC aborts the process when an operation, even the Finish()
  // of a cancelled stream, begins on a queue that was shut down.
  class Use {
   public:
    explicit Use(EventLoop* loop);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    EventLoop* const loop_;
  };

  // Called about every kTick on the loop's thread until it returns false.
  // Keeps deadlines and reconnects going; must not block.
  static constexpr absl::Duration kTick = absl::Milliseconds(100);
  void AddTicker(std::function<bool()> ticker);

 private:
  explicit EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> cq);
  void Run();
  void RunTickers();

  grpc::ServerCompletionQueue* const server_cq_;
  const std::unique_ptr<grpc::CompletionQueue> cq_;
  base::Mutex mu_;
  base::CondVar unused_;
  int uses_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<std::function<bool()>> tickers_ ABSL_GUARDED_BY(mu_);
  // Read by the loop between events; a late look costs one tick.
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

// One call with one answer. `done` runs on the loop's thread. Destroys itself.
//
//   AsyncUnary<ListKeysResponse>::Start(
//       loop, deadline, request_id,
//       [&](grpc::ClientContext* c, grpc::CompletionQueue* cq) {
//         return stub->PrepareAsyncListKeys(c, request, cq);
//       },
//       [](const grpc::Status& s, ListKeysResponse* r) { ... });
template <typename Response>
class AsyncUnary final : public Event {
 public:
  using Reader = std::unique_ptr<grpc::ClientAsyncResponseReader<Response>>;
  using Done = std::function<void(const grpc::Status&, Response*)>;

  template <typename Prepare>
  static void Start(EventLoop* loop, absl::Time deadline,
                    const std::string& request_id, const Prepare& prepare,
                    Done done) {
    auto* call = new AsyncUnary(loop, std::move(done));
    call->context_.set_deadline(absl::ToChronoTime(deadline));
    if (!request_id.empty()) {
      call->context_.AddMetadata("x-request-id", request_id);
    }
    call->reader_ = prepare(&call->context_, loop->cq());
    call->reader_->StartCall();
    call->reader_->Finish(&call->response_, &call->status_, call);
  }

 private:
  AsyncUnary(EventLoop* loop, Done done) : use_(loop), done_(std::move(done)) {}
  void OnEvent(bool ok) override {
    done_(status_, &response_);
    delete this;
  }

  const EventLoop::Use use_;  // First: ends last.
  const Done done_;
  grpc::ClientContext context_;
  Reader reader_;
  Response response_;
  grpc::Status status_;
};

}  // namespace cairn::rpc

#endif  // CAIRN_RPC_EVENT_LOOP_H_
