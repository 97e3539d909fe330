#include "gateway/http/read_ahead.h"

#include <utility>

namespace cairn::http {
namespace {

// Nothing comes behind it.
bool IsLast(const absl::StatusOr<std::string>& piece) {
  return !piece.ok() || piece->empty();
}

}  // namespace

ReadAhead::ReadAhead(std::shared_ptr<BodySource> source)
    : source_(std::move(source)) {}

void ReadAhead::Next(Done done) {
  std::optional<absl::StatusOr<std::string>> piece;
  bool ask = false;
  {
    base::MutexLock lock(&mu_);
    piece.swap(piece_);
    if (!piece.has_value()) waiting_ = std::move(done);
    const bool more = !piece.has_value() || !IsLast(*piece);
    if (more && !asking_) ask = asking_ = true;
  }
  if (ask) Ask();
  if (piece.has_value()) done(*std::move(piece));
}

void ReadAhead::Ask() {
  source_->Next([self = shared_from_this()](absl::StatusOr<std::string> piece) {
    self->OnPiece(std::move(piece));
  });
}

void ReadAhead::OnPiece(absl::StatusOr<std::string> piece) {
  Done done;
  const bool last = IsLast(piece);
  bool ask = false;
  {
    base::MutexLock lock(&mu_);
    asking_ = false;
    done = std::exchange(waiting_, nullptr);
    if (done == nullptr) {
      piece_ = std::move(piece);
    } else {
      ask = asking_ = !last;
    }
  }
  if (done == nullptr) return;
  // First the one who waits.
  done(std::move(piece));
  if (ask) Ask();
}

}  // namespace cairn::http
