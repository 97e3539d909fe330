// Programs that a test runs: started, signalled and waited for by pid.

#ifndef CAIRN_TESTS_PROCESS_H_
#define CAIRN_TESTS_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace cairn::tests {

// A program in the background, in a session of its own. Killed, and waited
// for, when the object ends. Not thread-safe.
class Process {
 public:
  // What it prints is appended to the file `log`. Aborts the test when the
  // program cannot be started.
  static std::unique_ptr<Process> Start(const std::vector<std::string>& command,
                                        const std::string& log);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  bool Running();
  void Signal(int number);
  // The exit code, 128 + signal when a signal ended it; -1: still running.
  int Wait(absl::Duration timeout);

 private:
  explicit Process(pid_t pid) : pid_(pid) {}
  const pid_t pid_;
  int code_ = -1;  // -1: running.
};

struct Outcome {
  int code = -1;     // As of Process::Wait().
  std::string out;   // Standard output.
  std::string text;  // Standard output and standard error.
};

// Runs a shell command line to its end, standard input from /dev/null unless
// the line says otherwise.
Outcome Shell(const std::string& command);

// `text` as one word of a shell command line.
std::string Quoted(const std::string& text);

// A directory that is removed with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string ReadFile(const std::string& path);
void WriteFile(const std::string& path, const std::string& content);

// A port of 127.0.0.1 on which nobody listens. Below the range from which the
// kernel takes ports for connections, so that it stays free.
int FreePort();

// Calls `done` every 20 ms until it is true; false when `timeout` is over.
bool WaitUntil(absl::Duration timeout, const std::function<bool()>& done);

}  // namespace cairn::tests

#endif  // CAIRN_TESTS_PROCESS_H_
