#include "volume/group_committer.h"

#include <algorithm>
#include <utility>

#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"

namespace cairn::volume {
namespace {

// The results of one group, a message for each client.
class Answers {
 public:
  void Add(const std::shared_ptr<ResponseSink>& sink, int64_t op_id,
           const absl::Status& status) {
    v1::BlobOpResult* const result = ResponseFor(sink)->add_results();
    result->set_op_id(op_id);
    result->set_code(static_cast<int>(status.code()));
    result->set_message(std::string(status.message()));
  }

  void Send() {
    for (auto& [sink, response] : responses_) sink->Send(std::move(response));
  }

 private:
  // A handful of clients: a search beats a hash.
  v1::BlobBatchResponse* ResponseFor(
      const std::shared_ptr<ResponseSink>& sink) {
    for (auto& [known, response] : responses_) {
      if (known == sink) return &response;
    }
    responses_.emplace_back(sink, v1::BlobBatchResponse());
    return &responses_.back().second;
  }

  std::vector<std::pair<std::shared_ptr<ResponseSink>, v1::BlobBatchResponse>>
      responses_;
};

absl::Status Draining() {
  return absl::UnavailableError("the volume is being drained");
}

}  // namespace

GroupCommitter::GroupCommitter(BlobStore* store, VolumeDirectory* directory,
                               int writers)
    : store_(store), directory_(directory) {
  for (int i = 0; i < writers; ++i) {
    writers_.emplace_back([this] { Run(); });
  }
}

GroupCommitter::~GroupCommitter() { Drain(); }

void GroupCommitter::Drain() {
  {
    base::MutexLock lock(&mu_);
    draining_ = true;
    work_.SignalAll();
    while (running_here_ > 0) done_here_.Wait(&mu_);
  }
  for (auto& writer : writers_) writer.join();
  writers_.clear();
}

void GroupCommitter::SetUnsynced(bool unsynced) {
  unsynced_.store(unsynced, std::memory_order_relaxed);
}

void GroupCommitter::SetTakesNewBlobs(bool takes) {
  takes_new_blobs_.store(takes, std::memory_order_relaxed);
}

void GroupCommitter::Submit(const std::shared_ptr<ResponseSink>& sink,
                            v1::BlobBatchRequest* request) {
  Group ops(request->puts_size() + request->renames_size() +
            request->unlinks_size());
  int64_t bytes = 0;
  size_t i = 0;
  for (v1::SmallPutOp& put : *request->mutable_puts()) {
    bytes += static_cast<int64_t>(put.data().size());
    ops[i].op_id = put.op_id();
    ops[i++].put.Swap(&put);
  }
  for (v1::RenameOp& rename : *request->mutable_renames()) {
    ops[i].kind = Op::Kind::kRename;
    ops[i].op_id = rename.op_id();
    ops[i++].rename.Swap(&rename);
  }
  for (v1::UnlinkOp& unlink : *request->mutable_unlinks()) {
    ops[i].kind = Op::Kind::kUnlink;
    ops[i].op_id = unlink.op_id();
    ops[i++].unlink.Swap(&unlink);
  }
  for (Op& op : ops) op.sink = sink;
  if (StartHere(ops, *request)) return RunHere(std::move(ops), *request);
  if (Enqueue(&ops, bytes, request)) return;
  Answers answers;
  for (const Op& op : ops) {
    answers.Add(sink, op.op_id,
                absl::UnavailableError("the volume agent is stopping"));
  }
  answers.Send();
}

bool GroupCommitter::StartHere(const Group& ops,
                               const v1::BlobBatchRequest& request) {
  if (!unsynced_.load(std::memory_order_relaxed) ||
      ops.size() > base::kOpsHereMax ||
      request.committed_size() > base::kOpsHereMax) {
    return false;
  }
  for (const Op& op : ops) {
    if (NeedsSync(op)) return false;
  }
  base::MutexLock lock(&mu_);
  // Behind others, it is better to be a part of their group.
  if (draining_ || !ops_.empty()) return false;
  ++running_here_;
  return true;
}

void GroupCommitter::RunHere(Group ops, const v1::BlobBatchRequest& request) {
  if (!ops.empty()) Commit(std::move(ops));
  for (const v1::BlobId& blob : request.committed()) DoMark(blob);
  base::MutexLock lock(&mu_);
  if (--running_here_ == 0) done_here_.SignalAll();
}

bool GroupCommitter::Enqueue(Group* ops, int64_t bytes,
                             v1::BlobBatchRequest* request) {
  base::MutexLock lock(&mu_);
  while (bytes_waiting_ > base::kPutBytesWaitingMax) room_.Wait(&mu_);
  if (draining_) return false;
  bytes_waiting_ += bytes;
  // One lock: a message's operations become one group if a writer is free.
  for (Op& op : *ops) ops_.push_back(std::move(op));
  for (v1::BlobId& blob : *request->mutable_committed()) {
    marks_.push_back(std::move(blob));
  }
  work_.Signal();
  return true;
}

void GroupCommitter::Mark(v1::BlobId blob) {
  base::MutexLock lock(&mu_);
  marks_.push_back(std::move(blob));
  work_.Signal();
}

bool GroupCommitter::NextWork(Group* group, std::vector<v1::BlobId>* marks) {
  base::MutexLock lock(&mu_);
  while (ops_.empty() && marks_.empty() && !draining_) work_.Wait(&mu_);
  if (ops_.empty() && marks_.empty()) return false;
  int64_t bytes = 0;
  while (!ops_.empty() && group->size() < base::kBatchOpsMax &&
         bytes < base::kBatchBytesMax) {
    bytes += static_cast<int64_t>(ops_.front().put.data().size());
    group->push_back(std::move(ops_.front()));
    ops_.pop_front();
  }
  bytes_waiting_ -= bytes;
  if (bytes > 0) room_.SignalAll();
  while (!marks_.empty() && marks->size() < base::kBatchOpsMax) {
    marks->push_back(std::move(marks_.front()));
    marks_.pop_front();
  }
  return true;
}

void GroupCommitter::Run() {
  for (;;) {
    Group group;
    std::vector<v1::BlobId> marks;
    if (!NextWork(&group, &marks)) return;
    if (!group.empty()) Commit(std::move(group));
    // After the answers: nobody waits for marks.
    for (const v1::BlobId& blob : marks) DoMark(blob);
  }
}

void GroupCommitter::DoMark(const v1::BlobId& blob) {
  const absl::Status status = store_->Mark(blob);
  if (!status.ok()) {
    base::LogWarning("a blob stays unmarked: ", status.message());
  }
}

absl::StatusOr<Unsynced> GroupCommitter::Execute(const Op& op) {
  switch (op.kind) {
    case Op::Kind::kPut:
      if (!takes_new_blobs()) return Draining();
      return store_->Put(op.put);
    case Op::Kind::kRename:
      return store_->Rename(op.rename.blob(), op.rename.new_version());
    case Op::Kind::kUnlink:
      break;
  }
  const int64_t fencing_number = op.unlink.fencing_number();
  if (fencing_number > 0) {
    RETURN_IF_ERROR(directory_->CheckFencingNumber(fencing_number));
  }
  return store_->Unlink(op.unlink.blob(),
                        /*committed_too=*/fencing_number > 0);
}

bool GroupCommitter::NeedsSync(const Op& op) const {
  switch (op.kind) {
    case Op::Kind::kPut:
      return op.put.durability() != v1::DURABILITY_OS;
    case Op::Kind::kRename:
      return op.rename.durability() != v1::DURABILITY_OS;
    case Op::Kind::kUnlink:
      break;
  }
  return !unsynced_.load(std::memory_order_relaxed);
}

void GroupCommitter::Commit(Group group) {
  Answers answers;
  std::vector<Unsynced> changes;
  std::vector<const Op*> waiting;  // For the change of the same place.
  changes.reserve(group.size());
  for (Op& op : group) {
    absl::StatusOr<Unsynced> change = Execute(op);
    op.put.clear_data();
    if (!change.ok() || !NeedsSync(op)) {
      answers.Add(op.sink, op.op_id, change.status());
      continue;
    }
    changes.push_back(*std::move(change));
    waiting.push_back(&op);
    // More than these are synced by syncfs, which needs no open files.
    if (changes.size() > base::kFsyncFilesMax) {
      for (Unsynced& open : changes) open.file.Reset();
    }
  }
  std::vector<Unsynced*> pointers;
  for (Unsynced& change : changes) pointers.push_back(&change);
  const std::vector<absl::Status> synced = store_->Sync(pointers);
  for (size_t i = 0; i < waiting.size(); ++i) {
    answers.Add(waiting[i]->sink, waiting[i]->op_id, synced[i]);
  }
  answers.Send();
}

}  // namespace cairn::volume
