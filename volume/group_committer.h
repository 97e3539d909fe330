// GroupCommitter executes the small operations of all clients in groups that
// share one sync: the agent's hot path.
//
// There is no timer: what arrives while the writers are busy is the next
// group, so an idle agent adds no wait and a busy one syncs rarely. Where
// nothing is synced, a small message is executed by the thread that brings it:
// a switch of threads costs as much as a file.

#ifndef CAIRN_VOLUME_GROUP_COMMITTER_H_
#define CAIRN_VOLUME_GROUP_COMMITTER_H_

#include <atomic>
#include <deque>
#include <memory>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"
#include "proto/cairn/v1/volume.pb.h"
#include "volume/blob_store.h"
#include "volume/volume_directory.h"

namespace cairn::volume {

// Where the results of one client's operations go: one message a group.
// Called from any thread, never with a lock held.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  virtual void Send(v1::BlobBatchResponse response) = 0;
};

// Thread safety: any method from any thread.
class GroupCommitter {
 public:
  // `store` and `directory` must outlive the committer.
  GroupCommitter(BlobStore* store, VolumeDirectory* directory, int writers);
  // Drains.
  ~GroupCommitter();
  GroupCommitter(const GroupCommitter&) = delete;
  GroupCommitter& operator=(const GroupCommitter&) = delete;

  // Takes the operations out of `request`; each is answered once, when it is
  // as durable as it asks for, possibly from within the call. Blocks while
  // kPutBytesWaitingMax bytes wait.
  void Submit(const std::shared_ptr<ResponseSink>& sink,
              v1::BlobBatchRequest* request);

  // Marks a blob committed, soon; nobody is told.
  void Mark(v1::BlobId blob);

  // The cluster keeps its data in the page cache only: removals need no sync
  // either, and small messages are executed by their caller. False at first.
  void SetUnsynced(bool unsynced);

  // False: new blobs are refused (kUnavailable), since the volume is being
  // drained; all else goes on. True at first.
  void SetTakesNewBlobs(bool takes);
  bool takes_new_blobs() const {
    return takes_new_blobs_.load(std::memory_order_relaxed);
  }

  // Waits until all operations and marks submitted so far are done, then ends
  // the writers. Operations that come later are kUnavailable.
  void Drain();

 private:
  struct Op {
    enum class Kind { kPut, kRename, kUnlink } kind = Kind::kPut;
    std::shared_ptr<ResponseSink> sink;
    int64_t op_id = 0;
    v1::SmallPutOp put;
    v1::RenameOp rename;
    v1::UnlinkOp unlink;
  };
  using Group = std::vector<Op>;

  // Whether the caller of Submit() may execute these now; then it must.
  bool StartHere(const Group& ops, const v1::BlobBatchRequest& request);
  void RunHere(Group ops, const v1::BlobBatchRequest& request);
  // False: draining; nothing was taken.
  bool Enqueue(Group* ops, int64_t bytes, v1::BlobBatchRequest* request);
  void Run();
  // False: there is nothing to do and there never will be.
  bool NextWork(Group* group, std::vector<v1::BlobId>* marks);
  void Commit(Group group);
  void DoMark(const v1::BlobId& blob);
  absl::StatusOr<Unsynced> Execute(const Op& op);
  bool NeedsSync(const Op& op) const;

  BlobStore* const store_;
  VolumeDirectory* const directory_;
  // A setting read per operation; an old value does no harm.
  std::atomic<bool> unsynced_{false};
  std::atomic<bool> takes_new_blobs_{true};  // Likewise.
  std::vector<std::thread> writers_;

  // Guards the queues, nothing slow.
  base::Mutex mu_;
  base::CondVar work_;       // There is work, or draining_ was set.
  base::CondVar room_;       // bytes_waiting_ fell.
  base::CondVar done_here_;  // running_here_ fell to 0.
  std::deque<Op> ops_ ABSL_GUARDED_BY(mu_);
  std::deque<v1::BlobId> marks_ ABSL_GUARDED_BY(mu_);
  int64_t bytes_waiting_ ABSL_GUARDED_BY(mu_) = 0;
  int running_here_ ABSL_GUARDED_BY(mu_) = 0;  // Callers that execute.
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_GROUP_COMMITTER_H_
