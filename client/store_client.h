// The one implementation of "write R replicas, then commit" and "look up, then
// read". Used by the gateway, the master's StoreService, the CLI and anyone
// else's C++.
//
// Thread safety: StoreClient: any method from any thread. Writers and readers:
// one thread at a time. Callbacks: as in metadata_client.h.

#ifndef CAIRN_CLIENT_STORE_CLIENT_H_
#define CAIRN_CLIENT_STORE_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/hash.h"
#include "client/metadata_client.h"
#include "client/piece.h"
#include "placement/placement.h"
#include "proto/cairn/v1/common.pb.h"
#include "proto/cairn/v1/metadata.pb.h"
#include "rpc/event_loop.h"

namespace cairn::client {

// What is said of a value beside its bytes.
struct PutOptions {
  v1::ValueMetadata metadata;
  v1::Precondition precondition;
  std::string request_id;
};

// OK: the ack rule holds (docs/architecture.md). kInvalidArgument,
// kFailedPrecondition, kResourceExhausted: definitely not written.
// kUnavailable, kDeadlineExceeded: not written, or its outcome is unknown.
struct PutOutcome {
  bool replaced = false;
  v1::Record record;
};
using PutDone = std::function<void(absl::StatusOr<PutOutcome>)>;

struct GetOutcome {
  v1::Record record;  // Never a tombstone: that is kNotFound.
  bool has_value = false;
  std::string value;
};
using GetDone = std::function<void(absl::StatusOr<GetOutcome>)>;

// One large value on its way to R agents. Pieces go out to all agents at once;
// the slowest sets the pace. Destroying it before Finish() cancels the upload
// and leaves nothing behind. Never blocks.
class LargeWriter {
 public:
  virtual ~LargeWriter() = default;

  // Takes a piece of at most kPieceBytesMax bytes for all replicas; they share
  // its memory. The piece is taken whatever the answer (dropped once status()
  // is not OK). False: the queue is now full, or the write has failed: do not
  // call again before `writable` (see NewLargeWriter) was called.
  virtual bool Write(const Piece& piece) = 0;

  // No more pieces. `done` gets the outcome after sync and commit. `digest` is
  // of all pieces.
  virtual void Finish(const base::Digest& digest, PutDone done) = 0;

  // OK while at least R agents take the pieces; else why not. Once not OK it
  // stays so; Finish() then gives the same status.
  virtual absl::Status status() = 0;
};

// Streams one blob from an agent, piece by piece, through the caller.
class BlobReader {
 public:
  virtual ~BlobReader() = default;
  // The next piece goes to `done`, an empty one at the end. One at a time.
  // kUnavailable or kNotFound before the first piece: try another replica.
  using PieceDone = std::function<void(absl::StatusOr<std::string> piece)>;
  virtual void Read(PieceDone done) = 0;
};

class StoreClient {
 public:
  virtual ~StoreClient() = default;

  virtual void Get(std::string key, bool with_value, std::string request_id,
                   GetDone done) = 0;
  // A value of at most kSmallBlobBytesMax bytes.
  virtual void PutSmall(std::string key, std::string value,
                        const base::Digest& digest, PutOptions options,
                        PutDone done) = 0;
  // `size_bytes_expected`: 0 if not known. `writable` is called, from another
  // thread, whenever Write() may be called again after it returned false, and
  // when the status has become not OK. It may still be called while the writer
  // is being destroyed, never after.
  virtual absl::StatusOr<std::unique_ptr<LargeWriter>> NewLargeWriter(
      std::string key, PutOptions options, int64_t size_bytes_expected,
      std::function<void()> writable) = 0;
  // OK: gone for good. kNotFound, kFailedPrecondition.
  using DeleteDone = std::function<void(absl::Status)>;
  virtual void Delete(std::string key, v1::Precondition precondition,
                      std::string request_id, DeleteDone done) = 0;
  virtual void ListKeys(v1::ListKeysRequest request,
                        MetadataClient::ListDone done) = 0;
  // Replica `replica` of `record` (index into record.replicas). length 0: to
  // the end.
  virtual std::unique_ptr<BlobReader> NewBlobReader(std::string key,
                                                    const v1::Record& record,
                                                    int replica, int64_t offset,
                                                    int64_t length) = 0;

  // Which replicas of `record` can be read now, best first (indices into
  // record.replicas): volumes that are up, rotated by `salt` to spread load,
  // then those that are up by the map but whose agent does not answer here (it
  // may have died within the last heartbeats), then those on volumes that are
  // unconfirmed, then those that are down.
  virtual std::vector<int> ReadOrder(const v1::Record& record,
                                     uint64_t salt) = 0;

  virtual MetadataClient& metadata() = 0;
};

// `metadata` and `loop` must outlive the client. See GrpcMetadataOptions.loop.
std::unique_ptr<StoreClient> NewStoreClient(MetadataClient* metadata,
                                            rpc::EventLoop* loop = nullptr);

}  // namespace cairn::client

#endif  // CAIRN_CLIENT_STORE_CLIENT_H_
