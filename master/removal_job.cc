#include "master/removal_job.h"

#include <atomic>
#include <iterator>
#include <utility>

#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/logging.h"
#include "proto/convert.h"

namespace cairn::master {

struct RemovalJob::Group {
  uint32_t volume_id = 0;
  std::vector<index::Removal> entries;
  std::vector<index::Removal> all;  // The same, if jobs hold blobs.
  // One for each entry, set by its answer; read when all have come.
  std::unique_ptr<std::atomic<bool>[]> confirmed;
  std::atomic<size_t> unanswered{0};
};

RemovalJob::RemovalJob(Options options)
    : options_(std::move(options)),
      retry_pause_(options_.retry_pause == absl::ZeroDuration()
                       ? base::kRemovalRetryPause
                       : options_.retry_pause) {}

RemovalJob::~RemovalJob() { Stop(); }

void RemovalJob::Start() {
  thread_ = std::thread([this] { Run(); });
}

void RemovalJob::Stop() {
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    work_.SignalAll();
  }
  if (thread_.joinable()) thread_.join();
}

void RemovalJob::Add(std::vector<index::Removal> fresh) {
  if (fresh.empty()) return;
  base::MutexLock lock(&mu_);
  for (index::Removal& removal : fresh) {
    Lane& lane = lanes_[removal.volume_id];
    if (lane.fresh.size() < base::kRemovalsInMemoryMax) {
      lane.fresh.push_back(std::move(removal));
    } else {
      lane.backlog = lane.scan_again = true;
    }
  }
  woken_ = true;
  work_.Signal();
}

void RemovalJob::NoteBacklog(uint32_t volume_id) {
  base::MutexLock lock(&mu_);
  Lane& lane = lanes_[volume_id];
  lane.backlog = lane.scan_again = true;
  lane.retry_at = absl::Now() + retry_pause_;
}

void RemovalJob::Run() {
  while (true) {
    std::vector<std::shared_ptr<Group>> answered;
    {
      base::MutexLock lock(&mu_);
      // The pause also finds volumes that have come up again.
      if (!stopping_ && !woken_) work_.WaitFor(&mu_, retry_pause_);
      if (stopping_) return;
      woken_ = false;
      answered.swap(answered_);
    }
    FinishGroups(std::move(answered));
    const auto view = options_.view();
    if (!view->unavailable_reason.empty()) continue;
    StartGroups();
    SweepTombstones();
  }
}

void RemovalJob::FinishGroups(std::vector<std::shared_ptr<Group>> groups) {
  std::vector<index::Removal> done;
  for (const auto& group : groups) {
    bool all_confirmed = true;
    for (size_t i = 0; i < group->entries.size(); ++i) {
      if (group->confirmed[i].load()) {
        done.push_back(std::move(group->entries[i]));
      } else {
        all_confirmed = false;
      }
    }
    if (!all_confirmed) NoteBacklog(group->volume_id);
  }
  if (!done.empty()) {
    // What is not taken out now is unlinked, as a no-op, once more.
    const absl::Status finished = options_.index->FinishRemovals(done);
    if (!finished.ok()) {
      base::LogWarning("taking removals out of the queue: ",
                       finished.message());
    }
  }
  if (options_.held != nullptr) {
    for (const auto& group : groups) options_.held->EndRemoval(group->all);
  }
  // Only now: a scan that went on before would find them still there.
  base::MutexLock lock(&mu_);
  for (const auto& group : groups) lanes_[group->volume_id].under_way = false;
}

void RemovalJob::StartGroups() {
  const auto view = options_.view();
  for (const v1::Volume& volume : view->map.volumes()) {
    const uint32_t id = volume.volume_id();
    if (volume.state() == v1::VOLUME_STATE_UP) {
      std::vector<index::Removal> entries = Take(id);
      if (options_.held != nullptr) {
        entries = options_.held->BeginRemoval(std::move(entries));
      }
      if (!entries.empty()) Send(id, std::move(entries));
      continue;
    }
    // Memory is for volumes that answer; the index remembers for the others.
    base::MutexLock lock(&mu_);
    Lane& lane = lanes_[id];
    if (!lane.fresh.empty()) lane.backlog = lane.scan_again = true;
    lane.fresh.clear();
  }
}

std::vector<index::Removal> RemovalJob::Take(uint32_t volume_id) {
  bool backlog = false;
  std::string cursor;
  std::vector<index::Removal> entries = TakeFresh(volume_id, &backlog, &cursor);
  if (!entries.empty() || !backlog) return entries;
  auto page =
      options_.index->Removals(volume_id, base::kRemovalGroupMax, &cursor);
  if (!page.ok()) {
    base::LogWarning("reading the removal queue: ", page.status().message());
    NoteBacklog(volume_id);
    return {};
  }
  EndScanPage(volume_id, page->size() < base::kRemovalGroupMax, cursor);
  return *std::move(page);
}

std::vector<index::Removal> RemovalJob::TakeFresh(uint32_t volume_id,
                                                  bool* backlog,
                                                  std::string* cursor) {
  std::vector<index::Removal> entries;
  base::MutexLock lock(&mu_);
  Lane& lane = lanes_[volume_id];
  if (lane.under_way || absl::Now() < lane.retry_at) return entries;
  while (!lane.fresh.empty() && entries.size() < base::kRemovalGroupMax) {
    entries.push_back(std::move(lane.fresh.front()));
    lane.fresh.pop_front();
  }
  if (lane.cursor.empty()) lane.scan_again = false;  // A scan may begin.
  *backlog = lane.backlog;
  *cursor = lane.cursor;
  return entries;
}

void RemovalJob::EndScanPage(uint32_t volume_id, bool at_end,
                             const std::string& cursor) {
  base::MutexLock lock(&mu_);
  Lane& lane = lanes_[volume_id];
  lane.cursor = at_end ? "" : cursor;
  if (at_end) lane.backlog = lane.scan_again;
}

void RemovalJob::Send(uint32_t volume_id, std::vector<index::Removal> entries) {
  auto group = std::make_shared<Group>();
  group->volume_id = volume_id;
  group->unanswered = entries.size();
  group->confirmed = std::make_unique<std::atomic<bool>[]>(entries.size());
  if (options_.held != nullptr) group->all = entries;
  group->entries = std::move(entries);
  {
    base::MutexLock lock(&mu_);
    lanes_[volume_id].under_way = true;
  }
  const absl::Time deadline = absl::Now() + base::kBlobOpDeadline;
  // The last answer may come from within the loop's last call.
  const size_t count = group->entries.size();
  for (size_t i = 0; i < count; ++i) {
    v1::UnlinkOp op;
    *op.mutable_blob() = group->entries[i].blob;
    op.set_fencing_number(options_.fencing_number);
    options_.agents->Unlink(volume_id, std::move(op), deadline,
                            [this, group, i](const absl::Status& status) {
                              OnAnswer(group, i, status.ok());
                            });
  }
}

void RemovalJob::OnAnswer(const std::shared_ptr<Group>& group, size_t place,
                          bool ok) {
  group->confirmed[place].store(ok);
  if (--group->unanswered > 0) return;
  base::MutexLock lock(&mu_);
  answered_.push_back(group);
  woken_ = true;
  work_.Signal();
}

void RemovalJob::SweepTombstones() {
  if (absl::Now() - swept_at_ < base::kTombstoneSweepInterval) return;
  swept_at_ = absl::Now();
  if (options_.keep_tombstones && options_.keep_tombstones()) return;
  const int64_t before_ms =
      options_.now_ms() - absl::ToInt64Milliseconds(base::kTombstoneAgeMin);
  int64_t forgotten = 0;
  while (true) {
    const auto swept =
        options_.index->ForgetTombstones(before_ms, base::kTombstoneSweepMax);
    if (!swept.ok()) {
      base::LogWarning("forgetting tombstones: ", swept.status().message());
      break;
    }
    forgotten += *swept;
    if (*swept < base::kTombstoneSweepMax) break;
  }
  if (forgotten == 0) return;
  // Their own blobs are in the queue now.
  base::MutexLock lock(&mu_);
  for (auto& [id, lane] : lanes_) lane.backlog = lane.scan_again = true;
  woken_ = true;
}

}  // namespace cairn::master
