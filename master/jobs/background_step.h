// Does one thing while the caller does the next.

#ifndef CAIRN_MASTER_JOBS_BACKGROUND_STEP_H_
#define CAIRN_MASTER_JOBS_BACKGROUND_STEP_H_

#include <functional>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "base/mutex.h"

namespace cairn::master {

// Runs steps one after another on one thread, the same for all: a thread for
// each would leave memory behind in the allocator's pool of each.
//
// Thread safety: one caller. Its memory is seen by the step, and what the step
// wrote by the caller once Start() or Wait() has returned.
class BackgroundStep {
 public:
  using Step = std::function<absl::Status()>;

  BackgroundStep() : thread_([this] { Run(); }) {}
  // Waits for the step under way.
  ~BackgroundStep() {
    {
      base::MutexLock lock(&mu_);
      ending_ = true;
      changed_.SignalAll();
    }
    thread_.join();
  }
  BackgroundStep(const BackgroundStep&) = delete;
  BackgroundStep& operator=(const BackgroundStep&) = delete;

  // Waits for the step before and returns how it ended; only if that is OK,
  // begins `step`.
  absl::Status Start(Step step) {
    base::MutexLock lock(&mu_);
    absl::Status before = WaitLocked();
    if (!before.ok()) return before;
    step_ = std::move(step);
    running_ = true;
    changed_.SignalAll();
    return before;
  }
  // How the last step ended; OK if there was none, or if it has been told.
  absl::Status Wait() {
    base::MutexLock lock(&mu_);
    return WaitLocked();
  }

 private:
  absl::Status WaitLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    while (running_) changed_.Wait(&mu_);
    return std::exchange(ended_, absl::OkStatus());
  }

  // nullptr: no more will come.
  Step Next() {
    base::MutexLock lock(&mu_);
    while (step_ == nullptr && !ending_) changed_.Wait(&mu_);
    return std::exchange(step_, nullptr);
  }

  void Run() {
    while (Step step = Next()) {
      absl::Status status = step();
      step = nullptr;  // And what it holds.
      base::MutexLock lock(&mu_);
      running_ = false;
      ended_ = std::move(status);
      changed_.SignalAll();
    }
  }

  base::Mutex mu_;
  base::CondVar changed_;
  Step step_ ABSL_GUARDED_BY(mu_);             // To be begun; nullptr: none is.
  bool running_ ABSL_GUARDED_BY(mu_) = false;  // Or to be begun.
  absl::Status ended_ ABSL_GUARDED_BY(mu_);
  bool ending_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: it sees all of the above.
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_BACKGROUND_STEP_H_
