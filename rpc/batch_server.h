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
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/mutex.h"

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

// What the server does with batches. Callbacks of one stream never overlap;
// those of different streams may, if the server runs several threads.
template <typename Request, typename Response>
class BatchHandler {
 public:
  using Stream = std::shared_ptr<BatchStream<Response>>;
  virtual ~BatchHandler() = default;
  // The next request is read when this returns: returning late is the way to
  // slow a client down, but holds up the other streams of the thread.
  virtual void OnRequest(const Stream& stream, Request* request) = 0;
  virtual void OnClosed(const Stream& stream) {}
};

// Serves one streaming method of an async service on threads of its own.
//
//   BatchServer<BatchRequest, BatchResponse> server(&handler);
//   server.Register(&builder, [&](auto* context, auto* stream, auto* cq,
//                                 void* tag) {
//     service.RequestBatch(context, stream, cq, cq, tag);
//   });
//   auto grpc_server = builder.BuildAndStart();
//   server.Start(/*threads=*/1);
//   ...
//   grpc_server->Shutdown(deadline);
//   server.Stop();
template <typename Request, typename Response>
class BatchServer {
 public:
  using RawStream = grpc::ServerAsyncReaderWriter<Response, Request>;
  using Accept = std::function<void(grpc::ServerContext*, RawStream*,
                                    grpc::ServerCompletionQueue*, void* tag)>;

  // `handler` must outlive the server.
  explicit BatchServer(BatchHandler<Request, Response>* handler)
      : handler_(handler) {}
  ~BatchServer() { Stop(); }

  void Register(grpc::ServerBuilder* builder, Accept accept) {
    accept_ = std::move(accept);
    cq_ = builder->AddCompletionQueue();
  }

  void Start(int threads) {
    AcceptNext();
    for (int i = 0; i < threads; ++i) {
      threads_.emplace_back([this] { Run(); });
    }
  }

  // Call after grpc::Server::Shutdown(), which ends the streams. Waits for
  // their last events: gRPC aborts the process when an operation, even the
  // Finish() of a cancelled stream, begins on a queue that was shut down.
  void Stop() {
    if (cq_ == nullptr || stopped_) return;
    stopped_ = true;
    {
      base::MutexLock lock(&mu_);
      while (connections_ > 0) unused_.Wait(&mu_);
    }
    cq_->Shutdown();
    for (auto& thread : threads_) thread.join();
    if (threads_.empty()) Run();
  }

 private:
  class Connection;
  // A tag is an operation of a connection that is under way.
  struct Tag {
    enum class Kind { kAccept, kRead, kWrite, kFinish, kDone } kind;
    Connection* connection;
  };

  class Connection final : public BatchStream<Response>,
                           public std::enable_shared_from_this<Connection> {
   public:
    explicit Connection(BatchServer* server) : server_(server) {}

    // Its own step: another thread may have the client's first event before
    // this returns, and needs the whole object and `self`.
    void Accept() {
      context_.AsyncNotifyWhenDone(&done_tag_);
      server_->accept_(&context_, &stream_, server_->cq_.get(), &accept_tag_);
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

    // Returns false when no operation is under way any more. The thread that
    // sees that is the last one here: the others have counted their event,
    // and what follows it, under one lock.
    bool OnEvent(typename Tag::Kind kind, bool ok) {
      if (kind == Tag::Kind::kAccept) {
        // The server is shutting down; no done event follows.
        if (!ok) return false;
        server_->AcceptNext();
      }
      if (kind == Tag::Kind::kRead && ok) {
        server_->handler_->OnRequest(this->shared_from_this(), &request_);
      }
      base::MutexLock lock(&mu_);
      --pending_;
      if (kind == Tag::Kind::kWrite) writing_ = false;
      const bool reads = kind == Tag::Kind::kAccept || kind == Tag::Kind::kRead;
      const bool ends = kind == Tag::Kind::kFinish || kind == Tag::Kind::kDone;
      if (!ok || ends) closing_ = true;
      if (reads && !closing_) {
        ++pending_;
        stream_.Read(&request_, &read_tag_);
      }
      MaybeWriteLocked();
      MaybeFinishLocked();
      return pending_ > 0;
    }

    std::shared_ptr<Connection> self;  // Held while operations are under way.

   private:
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
    Tag accept_tag_{Tag::Kind::kAccept, this};
    Tag read_tag_{Tag::Kind::kRead, this};
    Tag write_tag_{Tag::Kind::kWrite, this};
    Tag finish_tag_{Tag::Kind::kFinish, this};
    Tag done_tag_{Tag::Kind::kDone, this};

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

  void Run() {
    void* raw_tag = nullptr;
    bool ok = false;
    while (cq_->Next(&raw_tag, &ok)) {
      const Tag tag = *static_cast<Tag*>(raw_tag);
      if (tag.connection->OnEvent(tag.kind, ok)) continue;
      const std::shared_ptr<Connection> last = std::move(tag.connection->self);
      if (tag.kind != Tag::Kind::kAccept) handler_->OnClosed(last);
      base::MutexLock lock(&mu_);
      if (--connections_ == 0) unused_.SignalAll();
    }
  }

  BatchHandler<Request, Response>* const handler_;
  Accept accept_;
  std::unique_ptr<grpc::ServerCompletionQueue> cq_;
  std::vector<std::thread> threads_;
  bool stopped_ = false;

  base::Mutex mu_;
  base::CondVar unused_;
  // Streams, the one that waits for its client included.
  int connections_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace cairn::rpc

#endif  // CAIRN_RPC_BATCH_SERVER_H_
