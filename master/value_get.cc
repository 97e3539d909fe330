#include "master/value_get.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/status.h"
#include "master/await.h"
#include "master/value_stat.h"

namespace cairn::master {
namespace {

class ValueGet {
 public:
  using Send = std::function<bool(const v1::GetResponse&)>;
  ValueGet(client::StoreClient* store, const v1::GetRequest& request,
           std::string request_id, const Send& send)
      : store_(store),
        request_(request),
        request_id_(std::move(request_id)),
        send_(send) {}

  absl::Status Run() {
    if (request_.offset() < 0 || request_.length() < 0) {
      return absl::InvalidArgumentError(
          "offset and length are not negative: correct them");
    }
    absl::Status status;
    for (int i = 0; i < base::kReadLookupsMax; ++i) {
      RETURN_IF_ERROR(LookUp());
      status = found_.has_value ? SendInline() : SendFromReplicas();
      // Replaced since the lookup: nothing was sent yet, so look again.
      if (!absl::IsNotFound(status) || started_) break;
    }
    // The key is there, its bytes are not: never a "not found".
    if (absl::IsNotFound(status)) {
      return absl::UnavailableError(
          "no replica has the value's bytes now: try again");
    }
    return status;
  }

 private:
  absl::Status LookUp() {
    Await<absl::StatusOr<client::GetOutcome>> found;
    store_->Get(request_.key(), /*with_value=*/true, request_id_,
                found.Setter());
    ASSIGN_OR_RETURN(found_, found.Get());
    const int64_t size = found_.record.size_bytes();
    if (request_.offset() > size) {
      return absl::OutOfRangeError(absl::StrCat("offset ", request_.offset(),
                                                " is beyond the ", size,
                                                " bytes of the value"));
    }
    next_ = request_.offset();
    end_ = request_.length() == 0
               ? size
               : std::min(size, next_ + std::min(request_.length(), size));
    return absl::OkStatus();
  }

  absl::Status SendInline() {
    return SendPiece(found_.value.substr(next_, end_ - next_));
  }

  absl::Status SendFromReplicas() {
    absl::Status status = next_ == end_
                              ? SendPiece("")
                              : absl::UnavailableError("no replica is known");
    const uint64_t salt = found_.record.version().time_ms();
    for (const int replica : store_->ReadOrder(found_.record, salt)) {
      if (next_ == end_) break;
      const auto reader = store_->NewBlobReader(request_.key(), found_.record,
                                                replica, next_, end_ - next_);
      status = SendFrom(reader.get());
      if (gone_) return status;
    }
    if (next_ < end_ || !status.ok()) return status;
    const bool whole =
        request_.offset() == 0 && end_ == found_.record.size_bytes();
    if (whole && hasher_.Finish() != found_.record.digest().xxh3()) {
      return absl::DataLossError(
          "the bytes do not match the value's hash: discard them, read again");
    }
    return absl::OkStatus();
  }

  // Until the end, or until the reader fails.
  absl::Status SendFrom(client::BlobReader* reader) {
    while (next_ < end_) {
      Await<absl::StatusOr<std::string>> read;
      reader->Read(read.Setter());
      ASSIGN_OR_RETURN(std::string piece, read.Get());
      if (piece.empty()) {
        return absl::UnavailableError("a replica ended before its last byte");
      }
      piece.resize(std::min<int64_t>(piece.size(), end_ - next_));
      RETURN_IF_ERROR(SendPiece(std::move(piece)));
    }
    return absl::OkStatus();
  }

  absl::Status SendPiece(std::string piece) {
    hasher_.Update(piece);
    next_ += piece.size();
    v1::GetResponse response;
    if (!started_) {
      FillStat(request_.key(), found_.record, store_->metadata().view()->map,
               response.mutable_stat());
    }
    started_ = true;
    response.set_data(std::move(piece));
    gone_ = !send_(response);
    return gone_ ? absl::CancelledError("the client is gone")
                 : absl::OkStatus();
  }

  client::StoreClient* const store_;
  const v1::GetRequest& request_;
  const std::string request_id_;
  const Send& send_;
  client::GetOutcome found_;
  int64_t next_ = 0;  // The next byte to send, and where to stop.
  int64_t end_ = 0;
  base::Xxh3Hasher hasher_;
  bool started_ = false;  // The first piece was sent.
  bool gone_ = false;     // The client is.
};

}  // namespace

absl::Status GetValue(client::StoreClient* store, const v1::GetRequest& request,
                      const std::string& request_id,
                      const std::function<bool(const v1::GetResponse&)>& send) {
  return ValueGet(store, request, request_id, send).Run();
}

}  // namespace cairn::master
