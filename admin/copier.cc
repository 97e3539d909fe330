#include "admin/copier.h"

#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/blob_name.h"

namespace cairn::admin {
namespace {

// A commit that was in doubt, a volume that was just killed, a file that was
// being written to: all of that is over within this.
constexpr int kTriesMax = 3;
constexpr absl::Duration kRetryPause = absl::Milliseconds(500);
// With no success between them they are not about single files any more: the
// cluster is away, or the disk here is full.
constexpr int kFailuresInRowMax = 10;

bool WorthAnotherTry(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsAborted(status) ||
         absl::IsDeadlineExceeded(status);
}

bool ConcernsAll(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsResourceExhausted(status);
}

bool HasNoPlace(const absl::Status& status) {
  return absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status);
}

}  // namespace

absl::Status Copier::Run() {
  std::vector<std::thread> threads;
  for (int i = 0; i < options_.parallel; ++i) {
    threads.emplace_back([this] { Work(); });
  }
  if (options_.count) threads.emplace_back([this] { Count(); });
  const absl::Status listed =
      plan_->List([this](CopyItem item) { return Give(std::move(item)); });
  {
    base::MutexLock lock(&mu_);
    all_given_ = true;
    changed_.SignalAll();
  }
  for (std::thread& thread : threads) thread.join();
  base::MutexLock lock(&mu_);
  if (!gave_up_.ok()) return gave_up_;
  if (stopped_) return absl::CancelledError("stopped");
  return listed;
}

void Copier::Stop() {
  stopped_ = true;
  base::MutexLock lock(&mu_);
  changed_.SignalAll();
}

CopyCounts Copier::counts() const {
  base::MutexLock lock(&mu_);
  return counts_;
}

void Copier::Note(absl::string_view path, absl::string_view why) {
  if (!options_.note) return;
  options_.note(absl::StrCat(base::EscapeKeyForUrl(path), ": ", why));
}

bool Copier::Give(CopyItem item) {
  if (item.kind != CopyItem::Kind::kFile) Note(item.path, item.why);
  base::MutexLock lock(&mu_);
  switch (item.kind) {
    case CopyItem::Kind::kSkipped:
      ++counts_.skipped_count;
      return !stopped_;
    case CopyItem::Kind::kRefused:
      ++counts_.refused_count;
      counts_.done_bytes += item.size_bytes;
      return !stopped_;
    case CopyItem::Kind::kFailed:
      ++counts_.failed_count;
      return !stopped_;
    case CopyItem::Kind::kFile:
      break;
  }
  // Enough that no thread ever waits for the listing; not all of a large tree.
  const size_t waiting_max = 4 * static_cast<size_t>(options_.parallel);
  while (waiting_.size() >= waiting_max && !stopped_) changed_.Wait(&mu_);
  waiting_.push_back(std::move(item));
  changed_.SignalAll();
  return !stopped_;
}

void Copier::Work() {
  for (;;) {
    CopyItem item;
    {
      base::MutexLock lock(&mu_);
      while (waiting_.empty() && !all_given_ && !stopped_) changed_.Wait(&mu_);
      if (waiting_.empty() || stopped_) return;
      item = std::move(waiting_.front());
      waiting_.pop_front();
      changed_.SignalAll();
    }
    CopyOne(item);
  }
}

void Copier::Count() {
  int64_t count = 0, bytes = 0;
  const absl::Status status = plan_->List([&](CopyItem item) {
    if (item.kind != CopyItem::Kind::kSkipped) {
      ++count;
      bytes += item.size_bytes;
    }
    return !stopped_;
  });
  if (!status.ok() || stopped_) return;
  base::MutexLock lock(&mu_);
  counts_.totals_known = true;
  counts_.total_count = count;
  counts_.total_bytes = bytes;
}

void Copier::CopyOne(const CopyItem& item) {
  absl::StatusOr<bool> equal = Try(item);
  for (int tries = 1; tries < kTriesMax && WorthAnotherTry(equal.status());
       ++tries) {
    if (!Pause(kRetryPause)) return;
    equal = Try(item);
  }
  if (!absl::IsCancelled(equal.status())) Tally(item, equal);
}

absl::StatusOr<bool> Copier::Try(const CopyItem& item) {
  int64_t moved_bytes = 0;
  const auto moved = [&](int64_t bytes) -> absl::Status {
    if (stopped_) return absl::CancelledError("stopped");
    moved_bytes += bytes;
    base::MutexLock lock(&mu_);
    counts_.moved_bytes += bytes;
    counts_.done_bytes += bytes;
    return absl::OkStatus();
  };
  auto equal = plan_->Copy(item, moved);
  // Counted as a whole when it is done with, or anew by the next try.
  base::MutexLock lock(&mu_);
  counts_.done_bytes -= moved_bytes;
  return equal;
}

void Copier::Tally(const CopyItem& item, const absl::StatusOr<bool>& equal) {
  const absl::Status status = equal.status();
  const bool gone = absl::IsNotFound(status);
  if (!status.ok()) {
    Note(item.path,
         gone ? "it went while it was being copied" : status.message());
  }
  base::MutexLock lock(&mu_);
  counts_.done_bytes += item.size_bytes;
  if (status.ok()) {
    ++(*equal ? counts_.equal_count : counts_.copied_count);
    failures_in_row_ = 0;
  } else if (gone) {
    ++counts_.skipped_count;
  } else if (HasNoPlace(status)) {
    ++counts_.refused_count;
  } else {
    ++counts_.failed_count;
    if (ConcernsAll(status) && ++failures_in_row_ == kFailuresInRowMax) {
      gave_up_ = absl::UnavailableError(
          absl::StrCat("given up after ", kFailuresInRowMax,
                       " files in a row that could not be copied; run it "
                       "again to copy the rest"));
      stopped_ = true;
      changed_.SignalAll();
    }
  }
}

bool Copier::Pause(absl::Duration duration) {
  const absl::Time end = absl::Now() + duration;
  base::MutexLock lock(&mu_);
  while (!stopped_) {
    const absl::Duration left = end - absl::Now();
    if (left <= absl::ZeroDuration()) return true;
    changed_.WaitFor(&mu_, left);
  }
  return false;
}

}  // namespace cairn::admin
