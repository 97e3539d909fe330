#include "master/delete_coordinator.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/blob_name.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/logging.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {

// One delete. Each step is started by the answers to the one before, on
// whatever thread they come; steps never overlap, answers within one do.
class DeleteCoordinator::Delete final
    : public CommitSink,
      public std::enable_shared_from_this<DeleteCoordinator::Delete> {
 public:
  Delete(DeleteCoordinator* owner, PendingDelete request)
      : owner_(owner), request_(std::move(request)) {}

  // The commit of the tombstone, at a new version.
  PendingCommit NewCommit() {
    version_ = ToProto(options().clock->Next());
    PendingCommit commit;
    commit.mutation.kind = index::Mutation::Kind::kDelete;
    commit.mutation.key = request_.key;
    *commit.mutation.record.mutable_version() = version_;
    commit.mutation.precondition = request_.precondition;
    commit.sink = shared_from_this();
    commit.op_id = kTombstone;
    return commit;
  }

  void OnCommitted(int64_t op_id, index::MutationResult result) override {
    if (op_id == kTombstoneReplicas) return OnRecorded(result.status);
    switch (result.status.code()) {
      case absl::StatusCode::kOk:
        return Unlink(std::move(result.removals));
      case absl::StatusCode::kAborted:
        options().clock->Advance(FromProto(result.current.version()));
        return Retry();
      case absl::StatusCode::kOutOfRange:
        options().clock->Observe(options().now_ms());
        return Retry();
      default:
        return Finish(result.status);
    }
  }

 private:
  enum : int64_t { kTombstone, kTombstoneReplicas };

  const Options& options() const { return owner_->options_; }

  void Retry() {
    if (++tries_ >= base::kDeleteTriesMax) {
      return Finish(absl::UnavailableError(
          "other writers of this key were always first: try again"));
    }
    std::vector<PendingCommit> commits;
    commits.push_back(NewCommit());
    options().commits->Submit(std::move(commits));
  }

  void Unlink(std::vector<index::Removal> removals) {
    if (removals.empty()) return Finish(absl::OkStatus());
    removals_ = std::move(removals);
    confirmed_ = std::make_unique<std::atomic<bool>[]>(removals_.size());
    unanswered_ = static_cast<int>(removals_.size());
    const absl::Time deadline =
        absl::Now() + (options().unlink_deadline == absl::ZeroDuration()
                           ? base::kDeleteUnlinkDeadline
                           : options().unlink_deadline);
    // The last answer may come from within the loop's last call.
    const size_t count = removals_.size();
    for (size_t i = 0; i < count; ++i) {
      v1::UnlinkOp op;
      *op.mutable_blob() = removals_[i].blob;
      op.set_fencing_number(options().fencing_number);
      options().agents->Unlink(
          removals_[i].volume_id, std::move(op), deadline,
          [self = shared_from_this(), i](const absl::Status& status) {
            self->confirmed_[i].store(status.ok());
            if (--self->unanswered_ == 0) self->OnUnlinked();
          });
    }
  }

  void OnUnlinked() {
    bool all = true;
    for (size_t i = 0; i < removals_.size(); ++i) {
      if (confirmed_[i].load()) {
        end_.confirmed.push_back(std::move(removals_[i]));
        continue;
      }
      all = false;
      options().on_unconfirmed(removals_[i].volume_id);
    }
    if (all) return Finish(absl::OkStatus());
    WriteTombstones();
  }

  // A volume that comes back with the blob must find a tombstone above it.
  void WriteTombstones() {
    const auto view = options().view();
    const int replicas = view->map.replicas();
    durability_ = view->map.durability();
    {
      base::MutexLock lock(&mu_);
      order_ = placement::WritableOrder(view->map, request_.key);
      replicas_wanted_ = replicas;
    }
    unanswered_ = replicas;
    for (int i = 0; i < replicas; ++i) PutNext();
  }

  // Tries the next volume; ends one of the places when there is none.
  void PutNext() {
    placement::Target target;
    {
      base::MutexLock lock(&mu_);
      if (next_target_ < order_.size()) target = order_[next_target_++];
    }
    if (target.volume_id == 0) return OnPlaceEnd();
    v1::SmallPutOp op;
    v1::BlobId* blob = op.mutable_blob();
    blob->set_subvolume(target.subvolume);
    blob->set_key(request_.key);
    *blob->mutable_version() = version_;
    blob->set_tombstone(true);
    SetDigest(base::DigestOf(""), op.mutable_digest());
    op.set_replicas(replicas_wanted_);
    op.set_durability(durability_);
    op.set_committed(true);
    index::Removal place{target.volume_id, *blob};
    options().agents->Put(
        target.volume_id, std::move(op), absl::Now() + base::kBlobOpDeadline,
        [self = shared_from_this(), place = std::move(place)](
            const absl::Status& status) { self->OnPut(place, status); });
  }

  void OnPut(const index::Removal& place, const absl::Status& status) {
    {
      base::MutexLock lock(&mu_);
      // Without an answer it may be there all the same.
      (status.ok() ? written_ : end_.abandoned).push_back(place);
    }
    if (status.ok()) return OnPlaceEnd();
    PutNext();
  }

  void OnPlaceEnd() {
    if (--unanswered_ > 0) return;
    PendingCommit commit;
    commit.mutation.kind = index::Mutation::Kind::kTombstoneReplicas;
    commit.mutation.key = request_.key;
    v1::Record& record = commit.mutation.record;
    *record.mutable_version() = version_;
    record.set_tombstone(true);
    {
      base::MutexLock lock(&mu_);
      for (const index::Removal& place : written_) {
        v1::SubvolumeId* replica = record.add_replicas();
        replica->set_volume_id(place.volume_id);
        replica->set_subvolume(place.blob.subvolume());
      }
    }
    if (record.replicas_size() == 0) return OnRecorded(absl::OkStatus());
    commit.sink = shared_from_this();
    commit.op_id = kTombstoneReplicas;
    std::vector<PendingCommit> commits;
    commits.push_back(std::move(commit));
    options().commits->Submit(std::move(commits));
  }

  void OnRecorded(const absl::Status& status) {
    int written = 0;
    {
      base::MutexLock lock(&mu_);
      written = static_cast<int>(written_.size());
      // Definitely refused: a newer write of the key makes the tombstone moot.
      // Unknown: a tombstone too many does no harm.
      if (!status.ok() && !absl::IsUnavailable(status)) {
        std::move(written_.begin(), written_.end(),
                  std::back_inserter(end_.abandoned));
      }
    }
    if (written < replicas_wanted_) {
      return Finish(absl::UnavailableError(
          absl::StrCat("the key is deleted, but a volume that is down still "
                       "has it and only ",
                       written, " of ", replicas_wanted_,
                       " volumes could note that: start more volumes")));
    }
    Finish(absl::IsUnavailable(status) ? status : absl::OkStatus());
  }

  void Finish(absl::Status status) {
    end_.sink = std::move(request_.sink);
    end_.op_id = request_.op_id;
    end_.status = std::move(status);
    owner_->Finish(std::move(end_));
  }

  DeleteCoordinator* const owner_;
  PendingDelete request_;
  // Of the step under way; a step begins after the one before has ended.
  v1::Version version_;
  int tries_ = 0;
  std::vector<index::Removal> removals_;
  // One for each of removals_, set by its answer; read when all have come.
  std::unique_ptr<std::atomic<bool>[]> confirmed_;
  std::atomic<int> unanswered_{0};
  v1::Durability durability_ = v1::DURABILITY_FSYNC;
  int replicas_wanted_ = 0;
  Finished end_;  // abandoned: guarded by mu_ while tombstones are written.

  base::Mutex mu_;
  std::vector<placement::Target> order_ ABSL_GUARDED_BY(mu_);
  size_t next_target_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<index::Removal> written_ ABSL_GUARDED_BY(mu_);
};

DeleteCoordinator::DeleteCoordinator(Options options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

DeleteCoordinator::~DeleteCoordinator() { Stop(); }

void DeleteCoordinator::Submit(std::vector<PendingDelete> deletes) {
  std::vector<PendingCommit> commits;
  commits.reserve(deletes.size());
  for (PendingDelete& request : deletes) {
    absl::Status refusal = base::CheckKey(request.key);
    if (refusal.ok() && under_way_.load() >= base::kOpsWaitingMax) {
      refusal = absl::UnavailableError("too many operations wait; try again");
    }
    if (!refusal.ok()) {
      request.sink->OnDeleted(request.op_id, refusal);
      request.sink->OnGroupEnd();
      continue;
    }
    ++under_way_;
    commits.push_back(
        std::make_shared<Delete>(this, std::move(request))->NewCommit());
  }
  options_.commits->Submit(std::move(commits));
}

void DeleteCoordinator::Stop() {
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    work_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

void DeleteCoordinator::Finish(Finished finished) {
  base::MutexLock lock(&mu_);
  finished_.push_back(std::move(finished));
  work_.Signal();
}

// Deletes that come to their end while a group is written form the next.
void DeleteCoordinator::Run() {
  while (true) {
    std::vector<Finished> all;
    {
      base::MutexLock lock(&mu_);
      while (finished_.empty() && !stopping_) work_.Wait(&mu_);
      if (finished_.empty()) return;
      all.swap(finished_);
    }
    FinishAll(std::move(all));
  }
}

void DeleteCoordinator::FinishAll(std::vector<Finished> all) {
  std::vector<index::Removal> confirmed;
  std::vector<index::Removal> abandoned;
  for (Finished& one : all) {
    std::move(one.confirmed.begin(), one.confirmed.end(),
              std::back_inserter(confirmed));
    std::move(one.abandoned.begin(), one.abandoned.end(),
              std::back_inserter(abandoned));
  }
  absl::Status written;
  if (!confirmed.empty()) written = options_.index->FinishRemovals(confirmed);
  if (!abandoned.empty()) {
    written.Update(options_.index->AddRemovals(abandoned));
    for (const auto& place : abandoned) {
      options_.on_unconfirmed(place.volume_id);
    }
  }
  // The entries that stay are unlinked, as no-ops, once more.
  if (!written.ok()) {
    base::LogWarning("noting the end of deletes: ", written.message());
  }
  std::vector<DeleteSink*> sinks;
  for (Finished& one : all) {
    --under_way_;
    one.sink->OnDeleted(one.op_id, std::move(one.status));
    if (std::find(sinks.begin(), sinks.end(), one.sink.get()) == sinks.end()) {
      sinks.push_back(one.sink.get());
    }
  }
  for (DeleteSink* const sink : sinks) sink->OnGroupEnd();
}

}  // namespace cairn::master
