// A body on its way from the client to the agents, for bodies that are large
// or of unknown length.

#ifndef CAIRN_GATEWAY_UPLOAD_SINK_H_
#define CAIRN_GATEWAY_UPLOAD_SINK_H_

#include <functional>
#include <memory>
#include <string>

#include "base/hash.h"
#include "client/store_client.h"
#include "gateway/call.h"
#include "gateway/json_checker.h"
#include "gateway/put_request.h"

namespace cairn::gateway {

// Hashes and checks what passes, and hands it on. The first
// kSmallBlobBytesMax of a body of unknown length are kept back: if it ends
// there, it goes the way of small values.
//
// Thread safety: as http::BodySink. It and the exchange hold each other until
// the body has ended, failed or was aborted.
class UploadSink final : public http::BodySink,
                         public std::enable_shared_from_this<UploadSink> {
 public:
  // `respond` gets the outcome, exactly once; not after OnAbort().
  using RespondPut =
      std::function<void(const Call& call, absl::StatusOr<client::PutOutcome>)>;
  UploadSink(CallPtr call, PutRequest request, client::PutOptions options,
             RespondPut respond);

  // Opens the writer now, for a body known to be large. An error: the sink is
  // of no use, and `respond` is not called.
  absl::Status Open(int64_t size_bytes_expected);

  bool OnPiece(const client::Piece& piece) override;
  void OnEnd() override;
  void OnAbort() override;

 private:
  bool Keep(const client::Piece& piece);
  bool WriteOut(const client::Piece& piece);
  // Cancels the write and gives back the call to answer.
  CallPtr Drop();
  void Fail(const absl::Status& status);
  void FinishSmall(const base::Digest& digest);

  CallPtr call_;  // nullptr once answered or aborted.
  const PutRequest request_;
  client::PutOptions options_;
  const RespondPut respond_;
  base::DigestHasher hasher_;
  JsonChecker json_;
  // Before there is a writer: what came so far.
  std::string kept_;
  int64_t size_bytes_ = 0;
  std::unique_ptr<client::LargeWriter> writer_;
};

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_UPLOAD_SINK_H_
