// How client/ speaks to the master: lookups, commits, deletes, lists, the map.
//
// Two implementations: over gRPC (GrpcMetadataClient: gateway, CLI, other
// services) and in process (the master's own StoreService).
//
// Thread safety: any method from any thread. No method blocks; `done` is called
// exactly once, from a thread of the implementation (or from within the call),
// which it must not hold up: no waiting, no disk.

#ifndef CAIRN_CLIENT_METADATA_CLIENT_H_
#define CAIRN_CLIENT_METADATA_CLIENT_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/version_clock.h"
#include "proto/cairn/v1/common.pb.h"
#include "proto/cairn/v1/metadata.pb.h"
#include "rpc/event_loop.h"

namespace cairn::client {

// What the master last said of the cluster. Immutable; share and keep.
struct ClusterView {
  v1::ClusterMap map;
  // Empty, or the sentence why nothing is served.
  std::string unavailable_reason;
};

class MetadataClient {
 public:
  virtual ~MetadataClient() = default;

  // `status` is not OK only when there was no answer in time (kUnavailable,
  // kDeadlineExceeded) or too much waits (kResourceExhausted never: shed load
  // is kUnavailable); otherwise result.code says the outcome. A lookup is
  // repeated over reconnects until its deadline, a commit only unchanged. A
  // delete waits for a connection but is not repeated once it was sent: found
  // done, it would be kNotFound. op_id is filled in by the implementation.
  using OpDone = std::function<void(absl::StatusOr<v1::OpResult> result)>;
  virtual void Lookup(v1::LookupOp op, absl::Time deadline, OpDone done) = 0;
  virtual void Commit(v1::CommitOp op, absl::Time deadline, OpDone done) = 0;
  virtual void Delete(v1::DeleteOp op, absl::Time deadline, OpDone done) = 0;

  using ListDone =
      std::function<void(absl::StatusOr<v1::ListKeysResponse> page)>;
  virtual void ListKeys(v1::ListKeysRequest request, absl::Time deadline,
                        ListDone done) = 0;

  // The newest view; nullptr before the first came.
  virtual std::shared_ptr<const ClusterView> view() = 0;
  // Waits until there is a view and a writer id; kDeadlineExceeded.
  virtual absl::Status WaitReady(absl::Duration timeout) = 0;

  // Takes versions; follows the index's clock.
  virtual base::VersionClock& clock() = 0;
};

struct GrpcMetadataOptions {
  std::string master_address;  // host:port
  std::string client_name;     // For logs.
  // Where answers come in; outlives the client. Share one with the
  // StoreClient: each thread that waits in gRPC may take another's events
  // first and must then wake it. nullptr: a loop of its own.
  rpc::EventLoop* loop = nullptr;
  // True: lookups with `want_lease` are answered from memory while a lease
  // holds (client/lease_cache.h). For those who ask for the same keys often.
  bool leases = false;
};
std::unique_ptr<MetadataClient> NewGrpcMetadataClient(
    const GrpcMetadataOptions& options);

}  // namespace cairn::client

#endif  // CAIRN_CLIENT_METADATA_CLIENT_H_
