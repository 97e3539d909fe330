// client::MetadataClient for code inside the master: the same calls that a
// gateway makes over gRPC, made directly.

#ifndef CAIRN_MASTER_IN_PROCESS_METADATA_H_
#define CAIRN_MASTER_IN_PROCESS_METADATA_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "base/version_clock.h"
#include "client/metadata_client.h"
#include "index/index_store.h"
#include "master/commit_queue.h"
#include "master/delete_coordinator.h"
#include "master/membership.h"

namespace cairn::master {

// Lookup() and ListKeys() read the index on the caller's thread and call
// `done` from within the call; they obey no deadline.
class InProcessMetadata final : public client::MetadataClient {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // All outlive the client.
    Membership* membership = nullptr;
    CommitQueue* commits = nullptr;
    DeleteCoordinator* deletes = nullptr;
    base::VersionClock* clock = nullptr;  // Has a writer id of the index.
    std::function<int64_t()> now_ms;      // The index's clock.
  };
  explicit InProcessMetadata(Options options) : options_(std::move(options)) {}

  void Lookup(v1::LookupOp op, absl::Time deadline, OpDone done) override;
  void Commit(v1::CommitOp op, absl::Time deadline, OpDone done) override;
  void Delete(v1::DeleteOp op, absl::Time deadline, OpDone done) override;
  void ListKeys(v1::ListKeysRequest request, absl::Time deadline,
                ListDone done) override;
  std::shared_ptr<const client::ClusterView> view() override;
  absl::Status WaitReady(absl::Duration timeout) override;
  base::VersionClock& clock() override;

 private:
  const Options options_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_IN_PROCESS_METADATA_H_
