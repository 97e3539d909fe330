#include "admin/progress_bar.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "admin/human.h"

namespace cairn::admin {
namespace {

constexpr absl::Duration kRedrawInterval = absl::Milliseconds(100);
constexpr int kBarColumnsMax = 30;
constexpr int kBarColumnsMin = 10;
// To the start of the line, and all behind it away.
constexpr char kClearLine[] = "\r\x1b[K";

bool TerminalCanDraw() {
  const char* const term = getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && term != nullptr &&
         absl::string_view(term) != "dumb";
}

int TerminalColumns() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return 80;
  }
  return size.ws_col;
}

void WriteTerminal(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(STDERR_FILENO, bytes.data(), bytes.size());
    if (written <= 0) return;  // Nobody is there to be told.
    bytes.remove_prefix(written);
  }
}

double Fraction(const BarState& state) {
  double fraction = 1;
  if (state.total_bytes > 0) {
    fraction = static_cast<double>(state.done_bytes) /
               static_cast<double>(state.total_bytes);
  } else if (state.total_count > 0) {
    fraction = static_cast<double>(state.done_count) /
               static_cast<double>(state.total_count);
  }
  return std::clamp(fraction, 0.0, 1.0);
}

std::string Bar(double fraction, int columns) {
  const int full = static_cast<int>(fraction * columns);
  return absl::StrCat("[", std::string(full, '#'),
                      std::string(columns - full, '-'), "]");
}

// "12 of 34 files", or how many so far.
std::string Counted(const BarState& state) {
  if (!state.totals_known) {
    return absl::StrCat(state.done_count, " ", state.unit);
  }
  return absl::StrCat(state.done_count, "/", state.total_count, " ",
                      state.unit);
}

std::string Rate(const BarState& state) {
  if (state.bytes_per_second >= 1) {
    return absl::StrCat(
        HumanBytes(static_cast<int64_t>(state.bytes_per_second)), "/s");
  }
  return absl::StrFormat("%.0f %s/s", state.count_per_second, state.unit);
}

std::string Errors(const BarState& state) {
  if (state.errors_count == 0) return "";
  return absl::StrCat(state.errors_count,
                      state.errors_count == 1 ? " error" : " errors");
}

std::string Join(const std::vector<std::string>& parts) {
  std::string line;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    absl::StrAppend(&line, line.empty() ? "" : "  ", part);
  }
  return line;
}

}  // namespace

std::string BarLine(const BarState& state, int columns) {
  std::string percent, bytes, left;
  const double fraction = Fraction(state);
  if (state.totals_known) {
    percent = absl::StrFormat("%3d%%", static_cast<int>(fraction * 100));
    left = state.time_left == absl::InfiniteDuration()
               ? "ETA -"
               : absl::StrCat("ETA ", HumanDuration(state.time_left));
  }
  if (state.total_bytes > 0 || state.done_bytes > 0) {
    bytes = HumanBytes(state.done_bytes);
    if (state.totals_known && state.total_bytes > 0) {
      absl::StrAppend(&bytes, " of ", HumanBytes(state.total_bytes));
    }
  }
  const std::string counted = Counted(state), rate = Rate(state);
  const std::string errors = Errors(state);
  // From all to the least that is of use.
  const std::vector<std::vector<std::string>> layouts = {
      {percent, counted, bytes, rate, left, errors},
      {percent, counted, rate, left, errors},
      {percent, rate, left, errors},
      {percent, left, errors},
      {percent, errors}};
  for (const std::vector<std::string>& layout : layouts) {
    std::string line = Join(layout);
    const int room =
        columns - 1 - static_cast<int>(line.size() + state.label.size()) - 2;
    if (room < 0) continue;
    const int bar = std::min(room - 4, kBarColumnsMax);
    if (state.totals_known && bar >= kBarColumnsMin) {
      line = absl::StrCat(Bar(fraction, bar), "  ", line);
    }
    return absl::StrCat(state.label, "  ", line);
  }
  return Join({percent, errors}).substr(0, std::max(0, columns - 1));
}

ProgressBar::ProgressBar() : visible_(TerminalCanDraw()) {}

ProgressBar::~ProgressBar() { Clear(); }

void ProgressBar::Update(const BarState& state) {
  if (!visible_) return;
  base::MutexLock lock(&mu_);
  const absl::Time now = absl::Now();
  if (drawn_ && now - drawn_time_ < kRedrawInterval) return;
  WriteTerminal(absl::StrCat(kClearLine, BarLine(state, TerminalColumns())));
  drawn_ = true;
  drawn_time_ = now;
}

void ProgressBar::Print(absl::string_view line) {
  base::MutexLock lock(&mu_);
  ClearLocked();
  WriteTerminal(absl::StrCat(line, "\n"));
}

void ProgressBar::Clear() {
  base::MutexLock lock(&mu_);
  ClearLocked();
}

void ProgressBar::ClearLocked() {
  if (drawn_) WriteTerminal(kClearLine);
  drawn_ = false;
}

}  // namespace cairn::admin
