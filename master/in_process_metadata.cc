#include "master/in_process_metadata.h"

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "master/key_lister.h"

namespace cairn::master {
namespace {

v1::OpResult ResultOf(const absl::Status& status) {
  v1::OpResult result;
  result.set_code(static_cast<int>(status.code()));
  result.set_message(std::string(status.message()));
  return result;
}

// Hands the outcome of one operation on.
class OneOp final : public CommitSink, public DeleteSink {
 public:
  explicit OneOp(client::MetadataClient::OpDone done)
      : done_(std::move(done)) {}
  void OnCommitted(int64_t op_id, index::MutationResult result) override {
    v1::OpResult out = ResultOf(result.status);
    out.set_replaced(result.replaced);
    if (absl::IsAborted(result.status)) {
      *out.mutable_record() = std::move(result.current);
    }
    done_(std::move(out));
  }
  void OnDeleted(int64_t op_id, absl::Status status) override {
    done_(ResultOf(status));
  }
  void OnGroupEnd() override {}

 private:
  const client::MetadataClient::OpDone done_;
};

}  // namespace

void InProcessMetadata::Lookup(v1::LookupOp op, absl::Time deadline,
                               OpDone done) {
  const absl::Status serving = options_.membership->CheckServing();
  if (!serving.ok()) return done(ResultOf(serving));
  const std::vector<std::string> keys = {op.key()};
  auto answer = options_.index->Lookup(keys, op.with_value());
  if (!answer.ok()) return done(ResultOf(answer.status()));
  absl::StatusOr<index::Found>& found = answer->front();
  if (!found.ok()) return done(ResultOf(found.status()));
  if (found->record.tombstone()) {
    return done(ResultOf(absl::NotFoundError("no such key")));
  }
  v1::OpResult result;
  *result.mutable_record() = std::move(found->record);
  result.set_has_inline_value(found->has_value);
  result.set_inline_value(std::move(found->value));
  done(std::move(result));
}

void InProcessMetadata::Commit(v1::CommitOp op, absl::Time deadline,
                               OpDone done) {
  std::vector<PendingCommit> commits(1);
  PendingCommit& commit = commits.front();
  commit.mutation.key = std::move(*op.mutable_key());
  commit.mutation.record = std::move(*op.mutable_record());
  commit.mutation.precondition = std::move(*op.mutable_precondition());
  commit.mutation.inline_value = std::move(*op.mutable_inline_value());
  commit.sink = std::make_shared<OneOp>(std::move(done));
  options_.commits->Submit(std::move(commits));
}

void InProcessMetadata::Delete(v1::DeleteOp op, absl::Time deadline,
                               OpDone done) {
  std::vector<PendingDelete> deletes(1);
  PendingDelete& one = deletes.front();
  one.key = std::move(*op.mutable_key());
  one.precondition = std::move(*op.mutable_precondition());
  one.sink = std::make_shared<OneOp>(std::move(done));
  options_.deletes->Submit(std::move(deletes));
}

void InProcessMetadata::ListKeys(v1::ListKeysRequest request,
                                 absl::Time deadline, ListDone done) {
  const absl::Status serving = options_.membership->CheckServing();
  if (!serving.ok()) return done(serving);
  done(master::ListKeys(options_.index, request));
}

std::shared_ptr<const client::ClusterView> InProcessMetadata::view() {
  return options_.membership->view();
}

absl::Status InProcessMetadata::WaitReady(absl::Duration timeout) {
  return absl::OkStatus();
}

base::VersionClock& InProcessMetadata::clock() {
  options_.clock->Observe(options_.now_ms());
  return *options_.clock;
}

}  // namespace cairn::master
