// The client's side of a streaming call, on an EventLoop.

#ifndef CAIRN_RPC_CLIENT_STREAM_H_
#define CAIRN_RPC_CLIENT_STREAM_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <utility>

#include "base/mutex.h"
#include "rpc/event_loop.h"

namespace cairn::rpc {

// One stream, from its start to its end; a new one is made to reconnect.
//
// Thread safety: any method from any thread. The listener is called on the
// loop's thread, one call at a time, and kept alive until OnClosed().
template <typename Request, typename Response,
          typename Stub = grpc::ClientAsyncReaderWriter<Request, Response>>
class ClientStream final : public std::enable_shared_from_this<
                               ClientStream<Request, Response, Stub>> {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // The call has started; Write() may be called.
    virtual void OnOpen() {}
    // The server has sent its initial metadata: at the latest with its first
    // response. Not called when there is none.
    virtual void OnInitialMetadata() {}
    virtual void OnResponse(Response* response) = 0;
    // The last Write() has left; another may be called.
    virtual void OnWritten() {}
    // The end: nothing is called after it.
    virtual void OnClosed(const grpc::Status& status) = 0;
  };
  using Prepare = std::function<std::unique_ptr<Stub>(grpc::ClientContext*,
                                                      grpc::CompletionQueue*)>;

  // `configure` may set a deadline, metadata or wait_for_ready.
  static std::shared_ptr<ClientStream> Start(
      EventLoop* loop, const Prepare& prepare,
      std::shared_ptr<Listener> listener,
      const std::function<void(grpc::ClientContext*)>& configure = nullptr) {
    std::shared_ptr<ClientStream> stream(new ClientStream(std::move(listener)));
    if (configure) configure(&stream->context_);
    stream->self_ = stream;
    stream->use_ = std::make_unique<EventLoop::Use>(loop);
    stream->stub_ = prepare(&stream->context_, loop->cq());
    stream->stub_->StartCall(&stream->start_event_);
    return stream;
  }

  // REQUIRES: OnOpen() was called, and OnWritten() after the Write() before.
  // After the end of the stream it does nothing.
  void Write(const Request& request, bool last = false) {
    base::MutexLock lock(&mu_);
    if (finishing_) return;
    writing_ = true;
    if (last) {
      stub_->WriteLast(request, grpc::WriteOptions(), &write_event_);
    } else {
      stub_->Write(request, &write_event_);
    }
  }

  // Ends the stream soon; OnClosed() follows.
  void Cancel() { context_.TryCancel(); }

 private:
  // A method of the stream as a tag.
  struct MethodEvent final : public Event {
    using Method = void (ClientStream::*)(bool ok);
    MethodEvent(ClientStream* stream, Method method)
        : stream(stream), method(method) {}
    void OnEvent(bool ok) override { (stream->*method)(ok); }
    ClientStream* const stream;
    const Method method;
  };

  explicit ClientStream(std::shared_ptr<Listener> listener)
      : listener_(std::move(listener)) {}

  void OnStart(bool ok) {
    if (!ok) return StartFinish();
    stub_->ReadInitialMetadata(&metadata_event_);
    listener_->OnOpen();
  }
  void OnMetadata(bool ok) {
    if (ok) listener_->OnInitialMetadata();
    stub_->Read(&response_, &read_event_);
  }
  void OnRead(bool ok) {
    if (!ok) return StartFinish();
    listener_->OnResponse(&response_);
    stub_->Read(&response_, &read_event_);
  }
  void OnWrite(bool ok) {
    bool close = false;
    {
      base::MutexLock lock(&mu_);
      writing_ = false;
      close = finished_;
    }
    if (close) return Close();
    // A failed write ends the reads too, which then finish the stream.
    if (ok) listener_->OnWritten();
  }
  void StartFinish() {
    base::MutexLock lock(&mu_);
    finishing_ = true;
    stub_->Finish(&status_, &finish_event_);
  }
  void OnFinish(bool ok) {
    {
      base::MutexLock lock(&mu_);
      finished_ = true;
      if (writing_) return;  // OnWrite() closes.
    }
    Close();
  }
  void Close() {
    const auto use = std::move(use_);  // Ends last.
    const std::shared_ptr<ClientStream> last = std::move(self_);
    const std::shared_ptr<Listener> listener = std::move(listener_);
    listener->OnClosed(status_);
  }

  std::shared_ptr<Listener> listener_;
  std::shared_ptr<ClientStream> self_;  // Until the last event, as is use_.
  std::unique_ptr<EventLoop::Use> use_;
  grpc::ClientContext context_;
  std::unique_ptr<Stub> stub_;
  Response response_;
  grpc::Status status_;
  MethodEvent start_event_{this, &ClientStream::OnStart};
  MethodEvent metadata_event_{this, &ClientStream::OnMetadata};
  MethodEvent read_event_{this, &ClientStream::OnRead};
  MethodEvent write_event_{this, &ClientStream::OnWrite};
  MethodEvent finish_event_{this, &ClientStream::OnFinish};

  base::Mutex mu_;  // Keeps Write() and Finish() apart.
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finishing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace cairn::rpc

#endif  // CAIRN_RPC_CLIENT_STREAM_H_
