// A program on a terminal of its own, as a person would run it.

#ifndef CAIRN_TESTS_TERMINAL_H_
#define CAIRN_TESTS_TERMINAL_H_

#include <sys/types.h>

#include <string>

#include "absl/time/time.h"

namespace cairn::tests {

// Runs one program, its words as a shell reads them and variables before it,
// with standard input, output and error on a new pseudo terminal. Killed with
// the object. Not thread-safe.
class Terminal {
 public:
  explicit Terminal(const std::string& command, int columns = 80);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  // Types; "\x03" is Ctrl-C.
  void Type(const std::string& keys);
  void Resize(int columns);
  // Until `text` has appeared that was not there at the last call that found
  // it; false when `timeout` is over or the program has ended without it.
  bool WaitFor(const std::string& text,
               absl::Duration timeout = absl::Seconds(20));
  // The exit code, 128 + signal when a signal ended it; -1: still running.
  int Wait(absl::Duration timeout = absl::Seconds(60));
  // All that it has shown so far, control characters included.
  const std::string& shown() const { return shown_; }

 private:
  // Reads what is there; false: the other end is closed.
  bool Read(absl::Duration timeout);

  pid_t pid_ = -1;
  int fd_ = -1;
  int code_ = -1;
  std::string shown_;
  size_t found_ = 0;  // End of what WaitFor() found last.
};

}  // namespace cairn::tests

#endif  // CAIRN_TESTS_TERMINAL_H_
