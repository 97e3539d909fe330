#include "gateway/upload_sink.h"

#include <utility>

#include "base/limits.h"
#include "base/status.h"

namespace cairn::gateway {

UploadSink::UploadSink(CallPtr call, PutRequest request,
                       client::PutOptions options, RespondPut respond)
    : call_(std::move(call)),
      request_(std::move(request)),
      options_(std::move(options)),
      respond_(std::move(respond)) {}

absl::Status UploadSink::Open(int64_t size_bytes_expected) {
  // The callback may come from any thread, and while the writer is being
  // destroyed: it touches nothing of ours. A failed writer is found out by the
  // next piece or by the end.
  std::weak_ptr<http::Exchange> exchange = call_->exchange;
  auto writer = call_->store().NewLargeWriter(
      call_->target.key, options_, size_bytes_expected, [exchange] {
        if (const auto open = exchange.lock()) open->ResumeBody();
      });
  if (!writer.ok()) return writer.status();
  writer_ = *std::move(writer);
  return absl::OkStatus();
}

bool UploadSink::OnPiece(const client::Piece& piece) {
  if (call_ == nullptr) return true;
  size_bytes_ += piece.size;
  if (size_bytes_ > base::kValueBytesMax) {
    Drop()->RespondProblem(413,
                           "the value is larger than 5 TiB, the most a "
                           "key can hold");
    return true;
  }
  hasher_.Update(piece.view());
  if (request_.json) {
    const absl::Status json = json_.Update(piece.view());
    if (!json.ok()) {
      Fail(json);
      return true;
    }
  }
  return writer_ == nullptr ? Keep(piece) : WriteOut(piece);
}

bool UploadSink::Keep(const client::Piece& piece) {
  kept_.append(piece.data.get(), piece.size);
  if (static_cast<int64_t>(kept_.size()) <= base::kSmallBlobBytesMax) {
    return true;
  }
  const absl::Status opened = Open(/*size_bytes_expected=*/0);
  if (!opened.ok()) {
    Fail(opened);
    return true;
  }
  client::Piece joined = client::Piece::Allocate(kept_.size());
  joined.size = kept_.copy(joined.data.get(), kept_.size());
  kept_ = std::string();
  return WriteOut(joined);
}

bool UploadSink::WriteOut(const client::Piece& piece) {
  if (writer_->Write(piece)) return true;
  const absl::Status status = writer_->status();
  if (status.ok()) return false;  // Full; `writable` resumes.
  Fail(status);
  return true;
}

void UploadSink::OnEnd() {
  if (call_ == nullptr) return;
  const base::Digest digest = hasher_.Finish();
  absl::Status status = CheckContentMd5(request_, digest);
  if (status.ok() && request_.json) status = json_.Finish();
  if (!status.ok()) return Fail(status);
  if (writer_ == nullptr) return FinishSmall(digest);
  // The sink, and with it the writer, lives until the outcome is known.
  writer_->Finish(digest, [self = shared_from_this(), call = std::move(call_)](
                              absl::StatusOr<client::PutOutcome> outcome) {
    self->respond_(*call, std::move(outcome));
  });
}

void UploadSink::FinishSmall(const base::Digest& digest) {
  const CallPtr call = std::move(call_);
  call->store().PutSmall(
      call->target.key, std::move(kept_), digest, std::move(options_),
      [call, respond = respond_](absl::StatusOr<client::PutOutcome> outcome) {
        respond(*call, std::move(outcome));
      });
}

CallPtr UploadSink::Drop() {
  writer_.reset();  // Before Finish() that cancels: nothing stays.
  kept_ = std::string();
  return std::move(call_);
}

void UploadSink::Fail(const absl::Status& status) {
  const CallPtr call = Drop();
  respond_(*call, status);
}

void UploadSink::OnAbort() { Drop(); }

}  // namespace cairn::gateway
