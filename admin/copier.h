// Copier: carries a CopyPlan out, several files at a time.

#ifndef CAIRN_ADMIN_COPIER_H_
#define CAIRN_ADMIN_COPIER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "admin/copy_plan.h"
#include "base/mutex.h"

namespace cairn::admin {

// Files on the way at once. Measured with small ones, one, 8, 16 and 32 at a
// time: 500, 1,400, 1,700 and 2,200 a second. 16 large ones take 32 MiB.
inline constexpr int kCopyParallelDefault = 16;
inline constexpr int kCopyParallelMax = 64;

// Of the files that were listed so far.
struct CopyCounts {
  int64_t copied_count = 0;
  int64_t equal_count = 0;    // The other side had them.
  int64_t skipped_count = 0;  // Links and such; those that went meanwhile.
  int64_t refused_count = 0;  // Have no place on the other side.
  int64_t failed_count = 0;
  // Read or written for this copy, those of files that failed included.
  int64_t moved_bytes = 0;
  // Of all files that are done with, and what has moved of the others.
  int64_t done_bytes = 0;
  // What there is, once `totals_known`.
  bool totals_known = false;
  int64_t total_count = 0;
  int64_t total_bytes = 0;

  int64_t done_count() const {
    return copied_count + equal_count + refused_count + failed_count;
  }
};

struct CopyOptions {
  int parallel = kCopyParallelDefault;  // 1 to kCopyParallelMax.
  // True: lists everything twice, beforehand, to know the totals.
  bool count = false;
  // Told, from any thread, of each file that was not copied, and why.
  std::function<void(absl::string_view sentence)> note;
};

// Thread safety: Run() once; the others from any thread.
class Copier {
 public:
  // `plan` must outlive the object.
  Copier(CopyPlan* plan, CopyOptions options)
      : plan_(plan), options_(std::move(options)) {}

  // Returns when all is copied that can be. An error is that of the listing,
  // or that the other side has stopped answering: then the rest is not copied.
  // What happened to single files is in the counts. A file is tried three
  // times before it counts as failed.
  absl::Status Run();

  // Makes Run() return soon with kCancelled; files under way are left as
  // before, not half copied.
  void Stop();

  CopyCounts counts() const;

 private:
  // False: no more are wanted.
  bool Give(CopyItem item);
  void Work();
  void Count();
  void CopyOne(const CopyItem& item);
  absl::StatusOr<bool> Try(const CopyItem& item);
  void Tally(const CopyItem& item, const absl::StatusOr<bool>& equal);
  void Note(absl::string_view path, absl::string_view why);
  // False: stopped meanwhile.
  bool Pause(absl::Duration duration);

  CopyPlan* const plan_;
  const CopyOptions options_;

  // Read by each piece of each file: cheaper without the lock, and a piece
  // more does no harm.
  std::atomic<bool> stopped_ = false;

  mutable base::Mutex mu_;
  base::CondVar changed_;
  std::deque<CopyItem> waiting_ ABSL_GUARDED_BY(mu_);
  bool all_given_ ABSL_GUARDED_BY(mu_) = false;
  int failures_in_row_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status gave_up_ ABSL_GUARDED_BY(mu_);
  CopyCounts counts_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_COPIER_H_
