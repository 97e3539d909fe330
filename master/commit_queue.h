// All writes of the index go through one queue, in groups: what arrives while
// a group is being synced forms the next. No timers, so an idle master adds no
// wait, and one sync serves as many commits as came in its time. Where the
// index waits for nothing, the thread that brings commits may write them.

#ifndef CAIRN_MASTER_COMMIT_QUEUE_H_
#define CAIRN_MASTER_COMMIT_QUEUE_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "index/index_store.h"
#include "master/lease_table.h"

namespace cairn::master {

// Who wants to know what became of commits. Called on the queue's thread or
// from within SubmitHere() (or, for shed load, Submit()); must not hold it up.
class CommitSink {
 public:
  virtual ~CommitSink() = default;
  // `result.status` is kUnavailable when the outcome is unknown or the cluster
  // serves nothing.
  // Called under a cork: what it submits to lanes leaves when all results of
  // the group have been handed over.
  virtual void OnCommitted(int64_t op_id, index::MutationResult result) = 0;
  // All results of a group that concern this sink have been handed over: the
  // moment to send them off in one message.
  virtual void OnGroupEnd() {}
};

struct PendingCommit {
  index::Mutation mutation;
  std::shared_ptr<CommitSink> sink;
  int64_t op_id = 0;  // Handed back to the sink.
  std::string key;    // Filled in by the queue: the mutation's.
};

// Thread safety: any method from any thread.
class CommitQueue {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // Outlives the queue.
    std::function<int64_t()> now_ms;     // The index's clock.
    // Asked right before the group is written; what is not OK is answered with
    // that status and left out. May be empty.
    std::function<absl::Status(const index::Mutation&)> check;
    // After each group in which something was written, before the sinks are
    // told; with what kPut mutations have put into the removal queue.
    std::function<void(std::vector<index::Removal> removals)> on_written;
    // A commit waits here until nobody holds a lease of its key. Outlives the
    // queue; nullptr: nobody is ever granted one.
    LeaseTable* leases = nullptr;
    // SubmitHere() writes on the caller's thread. For an index whose Commit()
    // does not wait (IndexStore::commits_wait()).
    bool write_here = false;
  };
  explicit CommitQueue(Options options);
  ~CommitQueue();
  CommitQueue(const CommitQueue&) = delete;
  CommitQueue& operator=(const CommitQueue&) = delete;

  // Never blocks. Commits of one key keep their order. When too much waits,
  // all that have to are answered kUnavailable at once.
  void Submit(std::vector<PendingCommit> commits);

  // Like Submit(), but the calling thread may write and answer the commits: a
  // switch to the queue's thread and back costs more than a write that need
  // not be synced. REQUIRES: the caller holds no lock that a sink takes.
  void SubmitHere(std::vector<PendingCommit> commits);

  // Writes and answers what waits, then ends the thread. What comes later is
  // answered kUnavailable. Call LeaseTable::Abandon() next.
  void Stop();

 private:
  // Holds back what has to wait for leases; returns the rest.
  std::vector<PendingCommit> Park(std::vector<PendingCommit> commits);
  // False: too much waits, or the queue was stopped; all were answered so.
  // `wake`: the queue's thread is to write them.
  bool Enqueue(std::vector<PendingCommit> commits, bool wake);
  void Run();
  // Each that takes a group is the only one until EndGroup().
  // Waits for one; false: the queue has been stopped and is empty.
  bool TakeGroup(std::vector<PendingCommit>* group);
  // False: there is none, or another thread is writing.
  bool TryTakeGroup(std::vector<PendingCommit>* group);
  void TakeGroupLocked(std::vector<PendingCommit>* group)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EndGroup();
  void CommitGroup(std::vector<PendingCommit> group);
  void Answer(std::vector<PendingCommit> group,
              std::vector<index::MutationResult> results);

  const Options options_;
  base::Mutex mu_;
  base::CondVar work_;
  std::deque<PendingCommit> waiting_ ABSL_GUARDED_BY(mu_);
  int64_t waiting_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;  // A group has been taken.
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: it sees all of the above.
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_COMMIT_QUEUE_H_
