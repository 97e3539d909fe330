// The mark: a number that grows in the index, then on the volumes, whenever
// something was committed. An index whose mark is behind a volume's has lost
// commits (emptied, restored from a backup).

#ifndef CAIRN_MASTER_INDEX_MARK_H_
#define CAIRN_MASTER_INDEX_MARK_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "index/index_store.h"

namespace cairn::master {

// Thread safety: any method from any thread.
class IndexMark {
 public:
  // `index` must outlive the mark.
  static absl::StatusOr<std::unique_ptr<IndexMark>> Open(
      index::IndexStore* index);

  // The mark that is durable in the index, and so may be given to volumes.
  int64_t value() const { return value_.load(); }

  // Something was committed.
  void NoteCommit() { dirty_.store(true); }

  // Moves the mark on to `value`, durably: the index is believed again by
  // volumes that have a lower one. Blocks. Not at the same time as Advance().
  absl::Status Restore(int64_t value);

  // If something was committed since the last call, moves the mark on, durably.
  // Call every heartbeat interval, from one thread, and only while the index
  // is not lost: a mark that grows there would hide the loss. Blocks.
  absl::Status Advance();

 private:
  explicit IndexMark(index::IndexStore* index) : index_(index) {}

  index::IndexStore* const index_;
  // Each stands for itself; a reader that sees the older value is one
  // heartbeat late, no more.
  std::atomic<int64_t> value_{0};
  std::atomic<bool> dirty_{false};
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_INDEX_MARK_H_
