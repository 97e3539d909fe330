#include "master/commit_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/limits.h"
#include "rpc/cork.h"

namespace cairn::master {
namespace {

std::vector<index::MutationResult> SameForAll(size_t count,
                                              const absl::Status& status) {
  std::vector<index::MutationResult> results(count);
  for (index::MutationResult& result : results) result.status = status;
  return results;
}

}  // namespace

CommitQueue::CommitQueue(Options options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

CommitQueue::~CommitQueue() { Stop(); }

void CommitQueue::Submit(std::vector<PendingCommit> commits) {
  if (options_.leases != nullptr) commits = Park(std::move(commits));
  Enqueue(std::move(commits), /*wake=*/true);
}

void CommitQueue::SubmitHere(std::vector<PendingCommit> commits) {
  if (!options_.write_here) return Submit(std::move(commits));
  if (options_.leases != nullptr) commits = Park(std::move(commits));
  if (!Enqueue(std::move(commits), /*wake=*/false)) return;
  std::vector<PendingCommit> group;
  if (!TryTakeGroup(&group)) return;  // Who writes now goes on with these.
  CommitGroup(std::move(group));
  EndGroup();
}

std::vector<PendingCommit> CommitQueue::Park(
    std::vector<PendingCommit> commits) {
  std::vector<PendingCommit> rest;
  rest.reserve(commits.size());
  for (PendingCommit& commit : commits) {
    commit.key = commit.mutation.key;
    const std::string key = commit.key;
    const auto parked = std::make_shared<PendingCommit>(std::move(commit));
    const bool free = options_.leases->BeginWrite(key, [this, parked] {
      std::vector<PendingCommit> one;
      one.push_back(std::move(*parked));
      Enqueue(std::move(one), /*wake=*/true);
    });
    if (free) rest.push_back(std::move(*parked));
  }
  return rest;
}

bool CommitQueue::Enqueue(std::vector<PendingCommit> commits, bool wake) {
  if (commits.empty()) return true;
  int64_t bytes = 0;
  for (const PendingCommit& commit : commits) {
    bytes += commit.mutation.inline_value.size();
  }
  absl::Status refusal;
  {
    base::MutexLock lock(&mu_);
    if (stopping_) {
      refusal = absl::UnavailableError("the master is stopping: try again");
    } else if (waiting_.size() + commits.size() > base::kCommitsWaitingMax ||
               waiting_bytes_ + bytes > base::kCommitBytesWaitingMax) {
      refusal = absl::UnavailableError("too many operations wait; try again");
    } else {
      waiting_bytes_ += bytes;
      std::move(commits.begin(), commits.end(), std::back_inserter(waiting_));
      if (wake && !writing_) work_.Signal();
    }
  }
  if (refusal.ok()) return true;
  const size_t count = commits.size();
  Answer(std::move(commits), SameForAll(count, refusal));
  return false;
}

void CommitQueue::Stop() {
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    work_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

void CommitQueue::Run() {
  std::vector<PendingCommit> group;
  while (TakeGroup(&group)) {
    CommitGroup(std::exchange(group, {}));
    EndGroup();
  }
}

bool CommitQueue::TakeGroup(std::vector<PendingCommit>* group) {
  base::MutexLock lock(&mu_);
  while (writing_ || (waiting_.empty() && !stopping_)) work_.Wait(&mu_);
  if (waiting_.empty()) return false;
  TakeGroupLocked(group);
  return true;
}

bool CommitQueue::TryTakeGroup(std::vector<PendingCommit>* group) {
  base::MutexLock lock(&mu_);
  if (writing_ || waiting_.empty()) return false;
  TakeGroupLocked(group);
  return true;
}

void CommitQueue::TakeGroupLocked(std::vector<PendingCommit>* group) {
  writing_ = true;
  int64_t bytes = 0;
  while (!waiting_.empty() && group->size() < base::kBatchOpsMax &&
         bytes <= base::kBatchBytesMax) {
    const int64_t next = waiting_.front().mutation.inline_value.size();
    bytes += next;
    waiting_bytes_ -= next;
    group->push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
}

void CommitQueue::EndGroup() {
  base::MutexLock lock(&mu_);
  writing_ = false;
  if (!waiting_.empty() || stopping_) work_.Signal();
}

void CommitQueue::CommitGroup(std::vector<PendingCommit> group) {
  std::vector<index::MutationResult> results(group.size());
  std::vector<index::Mutation> mutations;
  std::vector<size_t> places;  // In `group`, of each of `mutations`.
  mutations.reserve(group.size());
  places.reserve(group.size());
  for (size_t i = 0; i < group.size(); ++i) {
    if (options_.check) results[i].status = options_.check(group[i].mutation);
    if (!results[i].status.ok()) continue;
    mutations.push_back(std::move(group[i].mutation));
    places.push_back(i);
  }
  if (mutations.empty()) return Answer(std::move(group), std::move(results));

  auto committed = options_.index->Commit(mutations, options_.now_ms());
  std::vector<index::Removal> removals;
  bool written = false;
  for (size_t i = 0; i < places.size(); ++i) {
    index::MutationResult& result = results[places[i]];
    if (!committed.ok()) {
      result.status = absl::UnavailableError(absl::StrCat(
          "the index does not answer: ", committed.status().message()));
      continue;
    }
    result = std::move((*committed)[i]);
    written |= result.status.ok();
    if (mutations[i].kind == index::Mutation::Kind::kDelete) continue;
    std::move(result.removals.begin(), result.removals.end(),
              std::back_inserter(removals));
  }
  if (written && options_.on_written) options_.on_written(std::move(removals));
  Answer(std::move(group), std::move(results));
}

void CommitQueue::Answer(std::vector<PendingCommit> group,
                         std::vector<index::MutationResult> results) {
  CHECK(group.size() == results.size());
  // What a group of deletes sends to the agents now leaves as one message.
  const rpc::Cork cork;
  std::vector<CommitSink*> sinks;
  for (size_t i = 0; i < group.size(); ++i) {
    if (options_.leases != nullptr) options_.leases->EndWrite(group[i].key);
    CommitSink* const sink = group[i].sink.get();
    sink->OnCommitted(group[i].op_id, std::move(results[i]));
    if (std::find(sinks.begin(), sinks.end(), sink) == sinks.end()) {
      sinks.push_back(sink);
    }
  }
  for (CommitSink* const sink : sinks) sink->OnGroupEnd();
}

}  // namespace cairn::master
