#include "client/ops.h"

#include <atomic>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "proto/convert.h"

namespace cairn::client {
namespace {

class Finisher : public std::enable_shared_from_this<Finisher> {
 public:
  Finisher(MetadataClient* metadata, DurableWrite write, PutDone done)
      : metadata_(metadata), write_(std::move(write)), done_(std::move(done)) {
    for (const Replica& replica : write_.replicas) {
      *write_.record.add_replicas() = replica.where;
    }
  }

  void Commit() {
    v1::CommitOp op;
    op.set_key(write_.key);
    *op.mutable_record() = write_.record;
    *op.mutable_precondition() = write_.options.precondition;
    op.set_inline_value(write_.inline_value);
    op.set_request_id(write_.options.request_id);
    metadata_->Commit(
        std::move(op), write_.deadline,
        [self = shared_from_this()](absl::StatusOr<v1::OpResult> result) {
          self->OnCommitted(std::move(result));
        });
  }

 private:
  void OnCommitted(absl::StatusOr<v1::OpResult> result) {
    if (!result.ok()) {
      return done_(absl::UnavailableError(absl::StrCat(
          "the outcome of the write is unknown: ", result.status().message())));
    }
    const absl::Status status =
        StatusFromCode(result->code(), result->message());
    switch (status.code()) {
      case absl::StatusCode::kOk:
        return Succeed(result->replaced());
      case absl::StatusCode::kAborted:
      case absl::StatusCode::kOutOfRange:
        if (result->has_record()) {
          metadata_->clock().Advance(FromProto(result->record().version()));
        }
        return Rename();
      case absl::StatusCode::kUnavailable:
      case absl::StatusCode::kDeadlineExceeded:
        return done_(status);  // The outcome is unknown: nothing is removed.
      default:
        RemoveUncommitted(write_.key, write_.record.version(), write_.replicas);
        return done_(status);
    }
  }

  void Succeed(bool replaced) {
    for (const Replica& replica : write_.replicas) {
      replica.agent->MarkCommitted(MakeBlobId(write_.key, replica.where,
                                              write_.record.version(), false));
    }
    PutOutcome outcome;
    outcome.replaced = replaced;
    outcome.record = std::move(write_.record);
    done_(std::move(outcome));
  }

  // The blobs' names must carry the version that the index will have.
  void Rename() {
    if (absl::Now() >= write_.deadline) {
      RemoveUncommitted(write_.key, write_.record.version(), write_.replicas);
      return done_(absl::UnavailableError(
          "other writers of this key were always first: try again"));
    }
    const v1::Version old_version = write_.record.version();
    *write_.record.mutable_version() = ToProto(metadata_->clock().Next());
    waiting_ = static_cast<int>(write_.replicas.size());
    for (const Replica& replica : write_.replicas) {
      v1::RenameOp op;
      *op.mutable_blob() =
          MakeBlobId(write_.key, replica.where, old_version, false);
      *op.mutable_new_version() = write_.record.version();
      op.set_durability(write_.durability);
      replica.agent->Rename(
          std::move(op), absl::Now() + base::kBlobOpDeadline,
          [self = shared_from_this()](const absl::Status& status) {
            self->OnRenamed(status);
          });
    }
  }

  void OnRenamed(const absl::Status& status) {
    {
      base::MutexLock lock(&mu_);
      if (!status.ok()) rename_status_ = status;
    }
    if (--waiting_ > 0) return;
    absl::Status failed;
    {
      base::MutexLock lock(&mu_);
      failed = rename_status_;
    }
    if (failed.ok()) return Commit();
    // Refused for good: nothing of this write can be committed any more.
    RemoveUncommitted(write_.key, write_.record.version(), write_.replicas);
    done_(absl::UnavailableError(
        absl::StrCat("a volume failed during the write: ", failed.message())));
  }

  MetadataClient* const metadata_;
  DurableWrite write_;
  const PutDone done_;
  std::atomic<int> waiting_{0};  // Renames not yet answered.
  base::Mutex mu_;
  absl::Status rename_status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

void FinishWrite(MetadataClient* metadata, DurableWrite write, PutDone done) {
  std::make_shared<Finisher>(metadata, std::move(write), std::move(done))
      ->Commit();
}

void RemoveUncommitted(const std::string& key, const v1::Version& version,
                       const std::vector<Replica>& replicas) {
  for (const Replica& replica : replicas) {
    v1::UnlinkOp op;
    *op.mutable_blob() = MakeBlobId(key, replica.where, version, false);
    // What is not reached now, the agent asks the master about later.
    replica.agent->Unlink(std::move(op), absl::Now() + base::kBlobOpDeadline,
                          [](const absl::Status&) {});
  }
}

}  // namespace cairn::client
