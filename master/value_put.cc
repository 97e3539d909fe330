#include "master/value_put.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/blob_name.h"
#include "base/limits.h"
#include "base/status.h"
#include "client/piece.h"
#include "master/await.h"
#include "master/value_stat.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

// When a stream breaks, gRPC reports the end of the messages some microseconds
// before it reports the break.
constexpr absl::Duration kBreakDelay = absl::Milliseconds(2);

}  // namespace

ValuePut::ValuePut(client::StoreClient* store,
                   const v1::PutRequest::Header& header, std::string request_id)
    : store_(store),
      key_(header.key()),
      size_bytes_expected_(header.size_bytes_expected()),
      must_be_new_(header.must_be_new()) {
  options_.metadata = header.metadata();
  options_.request_id = std::move(request_id);
  auto precondition = MakePrecondition(must_be_new_, header.if_match());
  if (precondition.ok()) options_.precondition = *std::move(precondition);
  status_.Update(base::CheckKey(key_));
  status_.Update(CheckMetadata(options_.metadata));
  status_.Update(precondition.status());
  if (size_bytes_expected_ < 0 || size_bytes_expected_ > base::kValueBytesMax) {
    status_.Update(absl::InvalidArgumentError(
        absl::StrCat("a value has at most ", base::kValueBytesMax, " bytes")));
  }
}

absl::Status ValuePut::Append(absl::string_view data) {
  if (static_cast<int64_t>(data.size()) > base::kPieceBytesMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a message has ", data.size(), " bytes of data: send at most ",
        base::kPieceBytesMax, " in each"));
  }
  size_bytes_ += data.size();
  if (size_bytes_ > base::kValueBytesMax ||
      (size_bytes_expected_ > 0 && size_bytes_ > size_bytes_expected_)) {
    return absl::InvalidArgumentError(
        "there are more bytes than size_bytes_expected or the limit allow: "
        "send what was announced");
  }
  hasher_.Update(data);
  if (large_ != nullptr) return WritePieces(data);
  absl::StrAppend(&collected_, data);
  if (size_bytes_ <= base::kSmallBlobBytesMax) return absl::OkStatus();
  return StartLarge();
}

absl::Status ValuePut::StartLarge() {
  auto writable = [state = writable_] {
    base::MutexLock lock(&state->mu);
    state->now = true;
    state->changed.Signal();
  };
  ASSIGN_OR_RETURN(large_,
                   store_->NewLargeWriter(key_, options_, size_bytes_expected_,
                                          std::move(writable)));
  return WritePieces(std::exchange(collected_, ""));
}

absl::Status ValuePut::WritePieces(absl::string_view data) {
  while (!data.empty()) {
    RETURN_IF_ERROR(WaitWritable());
    const absl::string_view now = data.substr(0, base::kPieceBytes);
    data.remove_prefix(now.size());
    client::Piece piece = client::Piece::Allocate(now.size());
    std::memcpy(piece.data.get(), now.data(), now.size());
    piece.size = now.size();
    {
      // Before the write: `writable` may be called while it returns.
      base::MutexLock lock(&writable_->mu);
      writable_->now = false;
    }
    if (!large_->Write(piece)) continue;
    base::MutexLock lock(&writable_->mu);
    writable_->now = true;
  }
  return large_->status();
}

absl::Status ValuePut::WaitWritable() {
  base::MutexLock lock(&writable_->mu);
  while (!writable_->now) writable_->changed.Wait(&writable_->mu);
  return absl::OkStatus();
}

absl::Status ValuePut::CheckEnd(const std::function<bool()>& cancelled) const {
  if (size_bytes_expected_ > 0) {
    if (size_bytes_ == size_bytes_expected_) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("the stream ended after ", size_bytes_, " of ",
                     size_bytes_expected_, " bytes: send all of them"));
  }
  if (!cancelled()) absl::SleepFor(kBreakDelay);
  if (!cancelled()) return absl::OkStatus();
  return absl::CancelledError("the client ended the put before its end");
}

absl::StatusOr<client::PutOutcome> ValuePut::Finish(
    const std::function<bool()>& cancelled) {
  RETURN_IF_ERROR(CheckEnd(cancelled));
  Await<absl::StatusOr<client::PutOutcome>> outcome;
  if (large_ == nullptr) {
    store_->PutSmall(key_, std::move(collected_), hasher_.Finish(), options_,
                     outcome.Setter());
  } else {
    large_->Finish(hasher_.Finish(), outcome.Setter());
  }
  auto result = outcome.Get();
  if (must_be_new_ && absl::IsFailedPrecondition(result.status())) {
    return absl::AlreadyExistsError("the key exists: put without must_be_new");
  }
  return result;
}

}  // namespace cairn::master
