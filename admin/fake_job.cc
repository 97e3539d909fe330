// A program for tests: watches a job that only counts, 50 steps a second, to
// the number given. Prints how it ended on standard output.

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "admin/job_watcher.h"
#include "admin/session.h"

namespace cairn::admin {
namespace {

class CountingJob final : public JobCall {
 public:
  explicit CountingJob(int steps) : steps_(steps) {}

  bool Next(JobUpdate* update) override {
    absl::SleepFor(absl::Milliseconds(20));
    if (done_ == steps_ || stopped_ || detached_) return false;
    ++done_;
    update->bar.label = "counting";
    update->bar.unit = "steps";
    update->bar.done_count = done_;
    update->bar.total_count = steps_;
    update->bar.totals_known = true;
    if (done_ % 5 == 0) update->text = absl::StrCat("at step ", done_, "\n");
    update->json = absl::StrCat("{\"done_count\":", done_, "}\n");
    return true;
  }
  absl::Status Finish() override {
    return stopped_ ? absl::CancelledError("the count was stopped")
                    : absl::OkStatus();
  }
  void Detach() override { detached_ = true; }
  absl::Status Stop() override {
    stopped_ = true;
    return absl::OkStatus();
  }

 private:
  const int steps_;
  int done_ = 0;  // Of the reading thread.
  // Flags from one thread to another, with nothing behind them.
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> detached_ = false;
};

int Main(int argc, char** argv) {
  CountingJob job(argc > 1 ? std::atoi(argv[1]) : 0);
  bool left = false;
  const absl::Status status = WatchJob(
      &job, "count", argc > 2 && std::string(argv[2]) == "--json", &left);
  if (status.ok()) std::puts(left ? "left" : "ended");
  return Report(status);
}

}  // namespace
}  // namespace cairn::admin

int main(int argc, char** argv) { return cairn::admin::Main(argc, argv); }
