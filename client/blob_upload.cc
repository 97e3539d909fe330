#include "client/blob_upload.h"

#include <grpcpp/generic/generic_stub.h>

#include <deque>
#include <utility>

#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/limits.h"
#include "rpc/client_stream.h"
#include "rpc/server.h"

namespace cairn::client {
namespace {

using Stream = rpc::ClientStream<grpc::ByteBuffer, grpc::ByteBuffer,
                                 grpc::GenericClientAsyncReaderWriter>;

grpc::ByteBuffer Serialize(const v1::PutBlobRequest& request) {
  grpc::Slice slice(request.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

void DropPiece(void* piece) { delete static_cast<Piece*>(piece); }

// PutBlobRequest{data: piece} as its bytes on the wire (protobuf encoding:
// field 15, wire type 2, length, bytes), the piece's own memory behind a head
// of a few bytes. protobuf would copy it twice for each replica.
grpc::ByteBuffer WrapPiece(const Piece& piece) {
  char head[11];
  size_t head_bytes = 0;
  head[head_bytes++] =
      static_cast<char>(v1::PutBlobRequest::kDataFieldNumber << 3 | 2);
  for (uint64_t rest = piece.size;; rest >>= 7) {
    const bool more = rest >= 0x80;
    head[head_bytes++] = static_cast<char>((rest & 0x7f) | (more ? 0x80 : 0));
    if (!more) break;
  }
  grpc::Slice slices[2] = {
      grpc::Slice(head, head_bytes),
      grpc::Slice(piece.data.get(), piece.size, &DropPiece, new Piece(piece)),
  };
  return grpc::ByteBuffer(slices, 2);
}

// The stream's end of an upload: lives until the stream has closed.
class UploadState final : public Stream::Listener,
                          public std::enable_shared_from_this<UploadState> {
 public:
  UploadState(std::function<void()> progress, AgentClient::Done done)
      : progress_(std::move(progress)), done_(std::move(done)) {}

  void Start(rpc::EventLoop* loop,
             const std::shared_ptr<grpc::Channel>& channel,
             const v1::PutBlobRequest::Header& header) {
    v1::PutBlobRequest request;
    *request.mutable_header() = header;
    auto stub = std::make_shared<grpc::GenericStub>(channel);
    {
      base::MutexLock lock(&mu_);
      queue_.push_back(Serialize(request));
      moved_at_ = absl::Now();
      stream_ = Stream::Start(
          loop,
          [stub](grpc::ClientContext* context, grpc::CompletionQueue* cq) {
            return stub->PrepareCall(context, "/cairn.v1.VolumeService/Put",
                                     cq);
          },
          shared_from_this(),
          [&](grpc::ClientContext* context) {
            context->AddMetadata("x-request-id", header.request_id());
          });
    }
    loop->AddTicker([weak = weak_from_this()] {
      const auto state = weak.lock();
      return state != nullptr && state->Tick();
    });
  }

  int Push(grpc::ByteBuffer message, bool last) {
    {
      base::MutexLock lock(&mu_);
      if (closed_) return 0;
      queue_.push_back(std::move(message));
      last_queued_ = last;
      if (!last) ++pieces_;
      if (!writing_ && !waiting()) moved_at_ = absl::Now();
    }
    Pump();
    base::MutexLock lock(&mu_);
    return pieces_;
  }

  int pieces() {
    base::MutexLock lock(&mu_);
    return pieces_;
  }

  bool accepted() {
    base::MutexLock lock(&mu_);
    return accepted_;
  }

  void Cancel() {
    std::shared_ptr<Stream> stream;
    {
      base::MutexLock lock(&mu_);
      stream = stream_;
    }
    if (stream != nullptr) stream->Cancel();
  }

 private:
  bool waiting() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return queue_.size() > 1 || last_queued_;
  }

  void OnOpen() override {
    {
      base::MutexLock lock(&mu_);
      open_ = true;
    }
    Pump();
  }

  void OnWritten() override {
    {
      base::MutexLock lock(&mu_);
      writing_ = false;
      moved_at_ = absl::Now();
      if (writing_piece_) --pieces_;
    }
    Pump();
    progress_();
  }

  void OnInitialMetadata() override {
    {
      base::MutexLock lock(&mu_);
      accepted_ = true;
    }
    progress_();
  }

  // PutBlobResponse has no fields; the status says it all.
  void OnResponse(grpc::ByteBuffer*) override {}

  void OnClosed(const grpc::Status& status) override {
    absl::Status result = rpc::FromGrpc(status);
    {
      base::MutexLock lock(&mu_);
      closed_ = true;
      stream_ = nullptr;
      queue_.clear();
      pieces_ = 0;
      if (late_) {
        result = absl::DeadlineExceededError(
            "the volume agent took no data in time");
      }
    }
    // The callbacks hold the writer, which holds this upload: end the circle.
    const AgentClient::Done done = std::move(done_);
    progress_ = nullptr;
    done(result);
  }

  void Pump() {
    std::shared_ptr<Stream> stream;
    grpc::ByteBuffer message;
    bool last = false;
    {
      base::MutexLock lock(&mu_);
      if (!open_ || writing_ || closed_ || queue_.empty()) return;
      message.Swap(&queue_.front());
      queue_.pop_front();
      last = last_queued_ && queue_.empty();
      writing_ = true;
      // The first message is the header, the last one the trailer.
      writing_piece_ = header_written_ && !last;
      header_written_ = true;
      stream = stream_;
    }
    stream->Write(message, last);
  }

  bool Tick() {
    std::shared_ptr<Stream> stream;
    {
      base::MutexLock lock(&mu_);
      if (closed_) return false;
      // An upload whose source is slow waits for nobody.
      const absl::Time now = absl::Now();
      const bool stuck = (writing_ || last_queued_) &&
                         now - moved_at_ > base::kBlobPieceDeadline;
      const bool ignored =
          !accepted_ && now - started_at_ > base::kBlobPieceDeadline;
      if (!stuck && !ignored) return true;
      late_ = true;
      stream = stream_;
    }
    stream->Cancel();
    return false;
  }

  // Called, and dropped at the end, on the loop's thread alone.
  std::function<void()> progress_;
  AgentClient::Done done_;
  const absl::Time started_at_ = absl::Now();
  base::Mutex mu_;
  std::shared_ptr<Stream> stream_ ABSL_GUARDED_BY(mu_);
  std::deque<grpc::ByteBuffer> queue_ ABSL_GUARDED_BY(mu_);
  int pieces_ ABSL_GUARDED_BY(mu_) = 0;  // Queued or being written.
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  bool accepted_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool writing_piece_ ABSL_GUARDED_BY(mu_) = false;
  bool header_written_ ABSL_GUARDED_BY(mu_) = false;
  bool last_queued_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  bool late_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time moved_at_ ABSL_GUARDED_BY(mu_);
};

class UploadHandle final : public BlobUpload {
 public:
  explicit UploadHandle(std::shared_ptr<UploadState> state)
      : state_(std::move(state)) {}
  ~UploadHandle() override { state_->Cancel(); }

  int Write(Piece piece) override {
    return state_->Push(WrapPiece(piece), /*last=*/false);
  }
  void Finish(const v1::PutBlobRequest::Trailer& trailer) override {
    v1::PutBlobRequest request;
    *request.mutable_trailer() = trailer;
    state_->Push(Serialize(request), /*last=*/true);
  }
  int pieces_waiting() override { return state_->pieces(); }
  bool accepted() override { return state_->accepted(); }
  void Cancel() override { state_->Cancel(); }

 private:
  const std::shared_ptr<UploadState> state_;
};

}  // namespace

std::shared_ptr<BlobUpload> StartBlobUpload(
    rpc::EventLoop* loop, const std::shared_ptr<grpc::Channel>& channel,
    const v1::PutBlobRequest::Header& header, std::function<void()> progress,
    AgentClient::Done done) {
  auto state =
      std::make_shared<UploadState>(std::move(progress), std::move(done));
  state->Start(loop, channel, header);
  return std::make_shared<UploadHandle>(std::move(state));
}

}  // namespace cairn::client
