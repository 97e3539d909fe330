// The server's side of a bidirectional stream of batches, on gRPC's completion
// queues: a sync handler would pin a thread for each client, and the callback
// API's pollers sleep up to 100 ms when idle.

#ifndef CAIRN_RPC_BATCH_SERVER_H_
#define CAIRN_RPC_BATCH_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "rpc/event_loop.h"

namespace cairn::rpc {

// One client's stream. Send() from any thread; responses leave in the order of
// the calls, one write at a time. After the client is gone Send() does nothing.
template <typename Response>
class BatchStream {
 public:
  virtual ~BatchStream() = default;
  virtual void Send(Response response) = 0;
  // Ends the stream with an error.
  virtual void Fail(const grpc::Status& status) = 0;
  // "ipv4:127.0.0.1:1234".
  virtual std::string peer() const = 0;
  // Owned by the handler: what it knows of this client. Set in OnOpen or in
  // the first OnRequest; touched only from the stream's own callbacks.
  std::shared_ptr<void> context;
};

// What the server does with batches. Called on the loop's thread.
template <typename Request, typename Response>
class BatchHandler {
 public:
  using Stream = std::shared_ptr<BatchStream<Response>>;
  virtual ~BatchHandler() = default;
  // The next request is read when this returns: returning late is the way to
  // slow a client down, but holds up all else that the loop does.
  virtual void OnRequest(const Stream& stream, Request* request) = 0;
  virtual void OnClosed(const Stream& stream) {}
};

// Serves one streaming method of an async service on an event loop.
//
//   grpc::ServerBuilder builder;
//   EventLoop loop(&builder);
//   BatchServer<BatchRequest, BatchResponse> server(
//       &handler, [&](auto* context, auto* stream, void* tag) {
//         auto* const cq = loop.server_cq();
//         service.RequestBatch(context, stream, cq, cq, tag);
//       });
//   auto grpc_server = builder.BuildAndStart();
//   server.Start();
//   ...
//   grpc_server->Shutdown(deadline);
//   server.Stop();
template <typename Request, typename Response>
class BatchServer {
 public:
  using RawStream = grpc::ServerAsyncReaderWriter<Response, Request>;
  // Asks for the method's next call on the loop's queue.
  using Accept =
      std::function<void(grpc::ServerContext*, RawStream*, void* tag)>;

  // `handler`, and the loop behind `accept`, must outlive the server.
  BatchServer(BatchHandler<Request, Response>* handler, Accept accept)
      : handler_(handler), accept_(std::move(accept)) {}
  ~BatchServer() { Stop(); }

  // Call when the gRPC server runs.
  void Start() { AcceptNext(); }

  // Call after grpc::Server::Shutdown(), which ends the streams. Waits for
  // their last events: gRPC aborts the process when an operation, even the
  // Finish() of a cancelled stream, begins on a queue that was shut down.
  void Stop() {
    base::MutexLock lock(&mu_);
    while (connections_ > 0) unused_.Wait(&mu_);
  }

 private:
  class Connection;
  enum class Kind { kAccept, kRead, kWrite, kFinish, kDone };
  // An operation of a connection that is under way.
  class Tag final : public Event {
   public:
    Tag(Kind kind, Connection* connection)
        : kind_(kind), connection_(connection) {}
    void OnEvent(bool ok) override { connection_->OnEvent(kind_, ok); }

   private:
    const Kind kind_;
    Connection* const connection_;
  };

  class Connection final : public BatchStream<Response>,
                           public std::enable_shared_from_this<Connection> {
   public:
    explicit Connection(BatchServer* server) : server_(server) {}

    // Its own step: another thread may have the client's first event before
    // this returns, and needs the whole object and `self`.
    void Accept() {
      context_.AsyncNotifyWhenDone(&done_tag_);
      server_->accept_(&context_, &stream_, &accept_tag_);
    }

    void Send(Response response) override {
      base::MutexLock lock(&mu_);
      if (closing_) return;
      queue_.push_back(std::move(response));
      MaybeWriteLocked();
    }
    void Fail(const grpc::Status& status) override {
      base::MutexLock lock(&mu_);
      if (closing_) return;
      closing_ = true;
      queue_.clear();
      finish_status_ = status;
      MaybeFinishLocked();
    }
    std::string peer() const override { return context_.peer(); }

    // The last one destroys the connection.
    void OnEvent(Kind kind, bool ok) {
      if (HandleEvent(kind, ok)) return;
      server_->Close(std::move(self), /*opened=*/kind != Kind::kAccept);
    }

    std::shared_ptr<Connection> self;  // Held while operations are under way.

   private:
    // Returns false when no operation is under way any more: each event, and
    // what follows it, is counted under one lock.
    bool HandleEvent(Kind kind, bool ok) {
      if (kind == Kind::kAccept) {
        // The server is shutting down; no done event follows.
        if (!ok) return false;
        server_->AcceptNext();
      }
      if (kind == Kind::kRead && ok) {
        server_->handler_->OnRequest(this->shared_from_this(), &request_);
      }
      base::MutexLock lock(&mu_);
      --pending_;
      if (kind == Kind::kWrite) writing_ = false;
      const bool reads = kind == Kind::kAccept || kind == Kind::kRead;
      const bool ends = kind == Kind::kFinish || kind == Kind::kDone;
      if (!ok || ends) closing_ = true;
      if (reads && !closing_) {
        ++pending_;
        stream_.Read(&request_, &read_tag_);
      }
      MaybeWriteLocked();
      MaybeFinishLocked();
      return pending_ > 0;
    }

    void MaybeWriteLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      if (writing_ || closing_ || queue_.empty()) return;
      writing_ = true;
      ++pending_;
      stream_.Write(queue_.front(), &write_tag_);
      queue_.pop_front();  // Write() has serialized it.
    }

    void MaybeFinishLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
      if (!closing_ || writing_ || finished_) return;
      finished_ = true;
      ++pending_;
      stream_.Finish(finish_status_, &finish_tag_);
    }

    BatchServer* const server_;
    grpc::ServerContext context_;
    RawStream stream_{&context_};
    Request request_;
    Tag accept_tag_{Kind::kAccept, this};
    Tag read_tag_{Kind::kRead, this};
    Tag write_tag_{Kind::kWrite, this};
    Tag finish_tag_{Kind::kFinish, this};
    Tag done_tag_{Kind::kDone, this};

    base::Mutex mu_;
    std::deque<Response> queue_ ABSL_GUARDED_BY(mu_);
    // Operations whose tag has not come back; the done event and the accept
    // are the first.
    int pending_ ABSL_GUARDED_BY(mu_) = 2;
    bool writing_ ABSL_GUARDED_BY(mu_) = false;
    bool closing_ ABSL_GUARDED_BY(mu_) = false;
    bool finished_ ABSL_GUARDED_BY(mu_) = false;
    grpc::Status finish_status_ ABSL_GUARDED_BY(mu_);
  };

  void AcceptNext() {
    {
      base::MutexLock lock(&mu_);
      ++connections_;
    }
    auto connection = std::make_shared<Connection>(this);
    connection->self = connection;
    connection->Accept();
  }

  void Close(std::shared_ptr<Connection> last, bool opened) {
    if (opened) handler_->OnClosed(last);
    base::MutexLock lock(&mu_);
    if (--connections_ == 0) unused_.SignalAll();
  }

  BatchHandler<Request, Response>* const handler_;
  const Accept accept_;
  base::Mutex mu_;
  base::CondVar unused_;
  // Streams, the one that waits for its client included.
  int connections_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace cairn::rpc

#endif  // CAIRN_RPC_BATCH_SERVER_H_
