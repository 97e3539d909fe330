// The hot path's server side: MetadataService.Batch. Lookups are answered at
// once, one response for each request message; commits and deletes when their
// group is durable, one response for each stream and group.

#ifndef CAIRN_MASTER_BATCH_HANDLER_H_
#define CAIRN_MASTER_BATCH_HANDLER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "index/index_store.h"
#include "master/commit_queue.h"
#include "master/delete_coordinator.h"
#include "master/lease_table.h"
#include "master/membership.h"
#include "proto/cairn/v1/metadata.pb.h"
#include "rpc/batch_server.h"

namespace cairn::master {

// Thread safety: any method from any thread.
class BatchHandler final
    : public rpc::BatchHandler<v1::BatchRequest, v1::BatchResponse> {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // All outlive the handler.
    Membership* membership = nullptr;
    CommitQueue* commits = nullptr;
    DeleteCoordinator* deletes = nullptr;
    LeaseTable* leases = nullptr;
    std::function<int64_t()> now_ms;  // The index's clock.
  };
  explicit BatchHandler(Options options);

  void OnRequest(const Stream& stream, v1::BatchRequest* request) override;
  void OnClosed(const Stream& stream) override;

  // While the volumes have not borne the index out after a restart, the hello
  // is not answered: clients then wait instead of being told "unavailable".
  // Call some times a second; answers those that waited.
  void Tick();

  // Takes no more requests (clients send them again elsewhere or later), waits
  // until those under way are answered, at most `timeout`, and ends all
  // streams with kUnavailable.
  void Drain(absl::Duration timeout);

 private:
  class Client;
  using ClientPtr = std::shared_ptr<Client>;

  void OnHello(const Stream& stream, const ClientPtr& client,
               const v1::Hello& hello);
  void AnswerHello(const ClientPtr& client);
  void KeepLeases(const ClientPtr& client, const v1::BatchRequest& request);
  void LookUp(const ClientPtr& client, v1::BatchRequest* request);
  void Commit(const ClientPtr& client, v1::BatchRequest* request);
  void Delete(const ClientPtr& client, v1::BatchRequest* request);
  // Takes room for `count` operations, or answers `op_ids` "try again".
  bool Admit(const ClientPtr& client, const std::vector<int64_t>& op_ids);

  const Options options_;
  base::Mutex mu_;
  // By their stream, while it is open.
  absl::flat_hash_map<void*, ClientPtr> clients_ ABSL_GUARDED_BY(mu_);
  std::vector<ClientPtr> hellos_waiting_ ABSL_GUARDED_BY(mu_);
  // Read without the lock for each request; one that slips by is waited for.
  std::atomic<bool> draining_{false};
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_BATCH_HANDLER_H_
