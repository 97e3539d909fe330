#include "tests/terminal.h"

#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "absl/time/clock.h"

namespace cairn::tests {
namespace {

winsize SizeOf(int columns) {
  winsize size = {};
  size.ws_row = 24;
  size.ws_col = static_cast<unsigned short>(columns);
  return size;
}

}  // namespace

Terminal::Terminal(const std::string& command, int columns) {
  const winsize size = SizeOf(columns);
  pid_ = forkpty(&fd_, nullptr, nullptr, &size);
  if (pid_ < 0) {
    std::perror("forkpty");
    std::abort();
  }
  if (pid_ == 0) {
    setenv("TERM", "xterm", 1);
    // In the shell's place: Ctrl-C would end a shell as well.
    execl("/bin/sh", "sh", "-c", ("exec env " + command).c_str(), nullptr);
    _exit(127);
  }
}

Terminal::~Terminal() {
  // The session's leader: the terminal's end takes the rest with it.
  if (Wait(absl::ZeroDuration()) < 0) {
    kill(pid_, SIGKILL);
    Wait(absl::Seconds(10));
  }
  close(fd_);
}

void Terminal::Type(const std::string& keys) {
  if (write(fd_, keys.data(), keys.size()) < 0) std::perror("type");
}

void Terminal::Resize(int columns) {
  const winsize size = SizeOf(columns);
  ioctl(fd_, TIOCSWINSZ, &size);
}

bool Terminal::Read(absl::Duration timeout) {
  pollfd poll_fd = {fd_, POLLIN, 0};
  if (poll(&poll_fd, 1, static_cast<int>(absl::ToInt64Milliseconds(timeout))) <=
      0) {
    return true;
  }
  char buffer[4096];
  const ssize_t got = read(fd_, buffer, sizeof(buffer));
  if (got <= 0) return false;  // EIO: no process has the terminal any more.
  shown_.append(buffer, got);
  return true;
}

bool Terminal::WaitFor(const std::string& text, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    const size_t at = shown_.find(text, found_);
    if (at != std::string::npos) {
      found_ = at + text.size();
      return true;
    }
    if (absl::Now() >= deadline || !Read(absl::Milliseconds(20))) return false;
  }
}

int Terminal::Wait(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  bool open = true;
  while (code_ < 0) {
    // Read on: a program whose output nobody takes does not end.
    open = open && Read(absl::Milliseconds(10));
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
      for (size_t before = shown_.size() + 1;
           open && before != shown_.size();) {
        before = shown_.size();
        open = Read(absl::Milliseconds(10));
      }
    } else if (absl::Now() >= deadline) {
      break;
    } else if (!open) {
      absl::SleepFor(absl::Milliseconds(5));
    }
  }
  return code_;
}

}  // namespace cairn::tests
