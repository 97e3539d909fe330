#include "master/commit_all.h"

#include <cstdint>
#include <memory>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace cairn::master {
namespace {

class WaitingSink final : public CommitSink {
 public:
  explicit WaitingSink(size_t count) : results_(count), left_(count) {}

  void OnCommitted(int64_t op_id, index::MutationResult result) override {
    base::MutexLock lock(&mu_);
    results_[op_id] = std::move(result.status);
    if (--left_ == 0) done_.SignalAll();
  }
  std::vector<absl::Status> Wait() {
    base::MutexLock lock(&mu_);
    while (left_ > 0) done_.Wait(&mu_);
    return std::move(results_);
  }

 private:
  base::Mutex mu_;
  base::CondVar done_;
  std::vector<absl::Status> results_ ABSL_GUARDED_BY(mu_);
  size_t left_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::vector<absl::Status> CommitAll(CommitQueue* queue,
                                    std::vector<index::Mutation> mutations) {
  const auto sink = std::make_shared<WaitingSink>(mutations.size());
  std::vector<PendingCommit> commits(mutations.size());
  for (size_t i = 0; i < mutations.size(); ++i) {
    commits[i].mutation = std::move(mutations[i]);
    commits[i].sink = sink;
    commits[i].op_id = static_cast<int64_t>(i);
  }
  queue->Submit(std::move(commits));
  return sink->Wait();
}

}  // namespace cairn::master
