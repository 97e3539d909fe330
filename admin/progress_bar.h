// One line at the bottom of a terminal that says how far something is.

#ifndef CAIRN_ADMIN_PROGRESS_BAR_H_
#define CAIRN_ADMIN_PROGRESS_BAR_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace cairn::admin {

struct BarState {
  std::string label;  // What is being done: "copying".
  std::string unit;   // What is counted: "files".
  int64_t done_count = 0;
  int64_t done_bytes = 0;
  // False: what there is in all is not known (yet): no bar, no time left.
  bool totals_known = false;
  int64_t total_count = 0;
  int64_t total_bytes = 0;
  double bytes_per_second = 0;
  double count_per_second = 0;
  absl::Duration time_left = absl::InfiniteDuration();  // Infinite: unknown.
  int64_t errors_count = 0;
};

// The line, in fewer than `columns` columns; what has least to say is left
// out first. ASCII but for the label.
std::string BarLine(const BarState& state, int columns);

// Draws on standard error, if that is a terminal that can; else draws nothing
// at all. Cleared with the object. Thread-safe.
class ProgressBar {
 public:
  ProgressBar();
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  // False: nobody would see it; Update() does nothing.
  bool visible() const { return visible_; }

  // Draws it, but not more often than ten times a second. As wide as the
  // terminal is at that moment.
  void Update(const BarState& state);

  // Prints `line` and a newline on standard error, above the bar.
  void Print(absl::string_view line);

  // Removes the line from the terminal, until the next Update().
  void Clear();

 private:
  void ClearLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const bool visible_;
  // Guards the terminal's line as well: two writes must not mix.
  base::Mutex mu_;
  bool drawn_ ABSL_GUARDED_BY(mu_) = false;
  absl::Time drawn_time_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_PROGRESS_BAR_H_
