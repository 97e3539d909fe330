// JobWatcher: shows a job of the master as it goes on, and lets the person at
// the terminal stop it, or leave it running.

#ifndef CAIRN_ADMIN_JOB_WATCHER_H_
#define CAIRN_ADMIN_JOB_WATCHER_H_

#include <string>

#include "absl/status/status.h"
#include "admin/progress_bar.h"

namespace cairn::admin {

// What one message of progress says.
struct JobUpdate {
  BarState bar;
  // Printed only where there is no bar to show it: a new phase.
  std::string phase_text;
  // Shown above the bar, a line each, and kept: what was found, what failed.
  std::string text;
  // The whole message as one line of JSON, newline included.
  std::string json;
};

// A call that streams the progress of a job. One thread reads; Detach() and
// Stop() may be called from another.
class JobCall {
 public:
  virtual ~JobCall() = default;
  // Waits for the next message. False: there are no more.
  virtual bool Next(JobUpdate* update) = 0;
  // After Next() was false: how the job ended.
  virtual absl::Status Finish() = 0;
  // Next() soon returns false; the job goes on.
  virtual void Detach() = 0;
  // Asks the master to end the job; the stream ends when it has.
  virtual absl::Status Stop() = 0;
};

// Reads `call` to its end. Progress goes to a bar on the terminal; lines of
// text, or with `json` each message, to standard output.
//
// Ctrl-C on a terminal asks whether the job is to stop or to go on alone.
// Without one, a signal leaves the job running: a sentence says so, and the
// process ends by the signal. `name`: "rebalance", for sentences.
//
// Returns what Finish() does; OK also when the person chose to leave it, and
// `*left` is then true.
absl::Status WatchJob(JobCall* call, const std::string& name, bool json,
                      bool* left);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_JOB_WATCHER_H_
