// Deletes keys, from the commit of the tombstone to the moment 204 may be said:
// every blob of the key is unlinked and that is synced, or a tombstone lies
// durably on R volumes.
//
//   commit kDelete --> unlink all blobs --all confirmed--------------> OK
//                           |                                          ^
//                           `-- not within 2 s --> tombstone blobs ----'
//                                                  on R volumes, recorded

#ifndef CAIRN_MASTER_DELETE_COORDINATOR_H_
#define CAIRN_MASTER_DELETE_COORDINATOR_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "base/version_clock.h"
#include "client/metadata_client.h"
#include "index/index_store.h"
#include "master/agents.h"
#include "master/commit_queue.h"
#include "proto/cairn/v1/metadata.pb.h"

namespace cairn::master {

// Who wants to know what became of deletes. Called on the coordinator's thread
// or, for what is refused at once, from within Submit().
class DeleteSink {
 public:
  virtual ~DeleteSink() = default;
  // OK: 204 may be said. kNotFound, kFailedPrecondition, kInvalidArgument:
  // nothing happened. kUnavailable: it may have.
  virtual void OnDeleted(int64_t op_id, absl::Status status) = 0;
  // As CommitSink::OnGroupEnd().
  virtual void OnGroupEnd() {}
};

struct PendingDelete {
  std::string key;
  v1::Precondition precondition;
  std::shared_ptr<DeleteSink> sink;
  int64_t op_id = 0;  // Handed back to the sink.
};

// Thread safety: any method from any thread. No thread waits for one delete.
class DeleteCoordinator {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // All outlive the coordinator.
    CommitQueue* commits = nullptr;
    Agents* agents = nullptr;
    // Versions of deletes; has a writer id of the index.
    base::VersionClock* clock = nullptr;
    std::function<int64_t()> now_ms;  // The index's clock.
    std::function<std::shared_ptr<const client::ClusterView>()> view;
    // Told of a volume with unlinks that were not confirmed.
    std::function<void(uint32_t volume_id)> on_unconfirmed;
    int64_t fencing_number = 0;
    absl::Duration unlink_deadline;  // Zero: kDeleteUnlinkDeadline.
  };
  explicit DeleteCoordinator(Options options);
  // Answers of agents and of the commit queue must have stopped coming.
  ~DeleteCoordinator();

  // Never blocks.
  void Submit(std::vector<PendingDelete> deletes);

  // Answers what has come to its end, then ends the thread.
  void Stop();

 private:
  class Delete;
  // A delete at its end, and what is left to write for it.
  struct Finished {
    std::shared_ptr<DeleteSink> sink;
    int64_t op_id = 0;
    absl::Status status;
    std::vector<index::Removal> confirmed;  // To leave the removal queue.
    std::vector<index::Removal> abandoned;  // To enter it.
  };

  void Finish(Finished finished);
  void Run();
  void FinishAll(std::vector<Finished> all);

  const Options options_;
  // Deletes under way; a bound on memory, so a late look does no harm.
  std::atomic<int64_t> under_way_{0};
  base::Mutex mu_;
  base::CondVar work_;
  std::vector<Finished> finished_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: it sees all of the above.
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_DELETE_COORDINATOR_H_
