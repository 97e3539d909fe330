// The index's clock: what versions are checked against and gateways follow.
//
// It never runs backwards, not across restarts either and not when the
// machine's wall clock is set back. A durable mark in the index lies always
// ahead of what the clock has shown; a start begins at or above that mark. A
// start also keeps the clock's lead over the wall clock, so that time passes
// for it while the master is down: clients that went on counting would else be
// ahead of it, and all their versions be refused.

#ifndef CAIRN_MASTER_INDEX_CLOCK_H_
#define CAIRN_MASTER_INDEX_CLOCK_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "index/index_store.h"

namespace cairn::master {

// Thread safety: any method from any thread.
class IndexClock {
 public:
  // Where time comes from; a test gives its own.
  struct Sources {
    // Milliseconds since 1970. Read once at the start, and to know the lead.
    std::function<int64_t()> wall_ms;
    // Milliseconds of a clock that only goes forward, also in suspend.
    std::function<int64_t()> elapsed_ms;
  };
  static Sources SystemSources();

  // Reads the mark and moves it on. `index` must outlive the clock. Blocks.
  static absl::StatusOr<std::unique_ptr<IndexClock>> Open(
      index::IndexStore* index, Sources sources = SystemSources());

  // Milliseconds since 1970. Never blocks for long. While the mark cannot be
  // moved on (the index is away) the clock stands still before it.
  int64_t NowMs();

  // Moves the mark on when the clock comes near. Call about every second, from
  // one thread. Blocks; writes to the index every kClockReserve / 2.
  absl::Status Reserve();

  // Moves the clock on to `ms`, durably, unless it is there already: what was
  // found on disk must not lie ahead of it. Blocks.
  absl::Status AdvanceTo(int64_t ms);

  // Call at a clean stop: the next start goes on from here, not from the mark.
  // NowMs() stands still afterwards.
  absl::Status Release();

 private:
  IndexClock(index::IndexStore* index, Sources sources);
  // What the clock would show with its mark far away.
  int64_t FreeMs();
  absl::Status Store(int64_t reserved_ms);

  index::IndexStore* const index_;
  const Sources sources_;
  // What sources_.elapsed_ms() was at the start. Set by Open(), before a second
  // thread can see this object.
  int64_t start_elapsed_ms_ = 0;

  base::Mutex mu_;
  // What the clock showed then; AdvanceTo() moves it on.
  int64_t start_ms_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t reserved_ms_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_INDEX_CLOCK_H_
