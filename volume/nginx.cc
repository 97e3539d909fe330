#include "volume/nginx.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/logging.h"
#include "base/status.h"
#include "volume/file_system.h"
#include "volume/volume_directory.h"

namespace cairn::volume {
namespace {

// nginx itself tries for 2.5 s to get its port.
constexpr absl::Duration kStartTimeout = absl::Seconds(10);
constexpr absl::Duration kPollInterval = absl::Milliseconds(10);
constexpr absl::Duration kBackoffMin = absl::Milliseconds(100);
constexpr absl::Duration kBackoffMax = absl::Seconds(5);
constexpr absl::Duration kKillTimeout = absl::Seconds(5);

bool IsProgram(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) &&
         access(path.c_str(), X_OK) == 0;
}

absl::StatusOr<std::string> FindProgram(const std::string& program) {
  if (absl::StrContains(program, '/')) {
    if (IsProgram(program)) return program;
  } else {
    const char* const path = getenv("PATH");
    const std::string places =
        absl::StrCat(path != nullptr ? path : "", ":/usr/sbin:/usr/local/sbin");
    for (const absl::string_view directory : absl::StrSplit(places, ':')) {
      const std::string candidate = absl::StrCat(directory, "/", program);
      if (!directory.empty() && IsProgram(candidate)) return candidate;
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "there is no program ", program,
      ": run `apt-get install nginx`, or say where it is with --nginx=PATH"));
}

std::string ReadLink(const std::string& path) {
  char target[4096];
  const ssize_t size = readlink(path.c_str(), target, sizeof(target));
  return size < 0 ? "" : std::string(target, size);
}

std::vector<std::string> ListDirectory(const std::string& path) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(opendir(path.c_str()),
                                                   &closedir);
  if (stream == nullptr) return names;
  while (const dirent* const entry = readdir(stream.get())) {
    names.push_back(entry->d_name);
  }
  return names;
}

// An nginx, by its executable, that writes this error log: certainly ours,
// whatever became of its master, its group or a pid file.
bool IsOurNginx(const std::string& proc, const std::string& error_log) {
  const std::string program = ReadLink(absl::StrCat(proc, "/exe"));
  if (!absl::StrContains(program, "nginx")) return false;
  const std::string fds = absl::StrCat(proc, "/fd");
  for (const std::string& fd : ListDirectory(fds)) {
    if (absl::StartsWith(ReadLink(absl::StrCat(fds, "/", fd)), error_log)) {
      return true;
    }
  }
  return false;
}

std::vector<pid_t> FindNginx(const std::string& directory) {
  std::vector<pid_t> found;
  const std::string error_log = absl::StrCat(directory, "/error.log");
  for (const std::string& name : ListDirectory("/proc")) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(name, &pid)) continue;
    if (IsOurNginx(absl::StrCat("/proc/", name), error_log)) {
      found.push_back(pid);
    }
  }
  return found;
}

// What nginx wrote about why it ended.
std::string LastWords(const std::string& directory) {
  const auto log = ReadWholeFile(absl::StrCat(directory, "/error.log"));
  if (!log.ok()) return "it said nothing";
  const size_t start = log->find("[emerg] ");
  if (start == std::string::npos) return "it said nothing";
  std::string line = log->substr(start + 8, log->find('\n', start) - start - 8);
  // "1234#1234: bind() ...".
  const size_t colon = line.find("#");
  const size_t text = line.find(": ");
  if (colon < text && text != std::string::npos) line = line.substr(text + 2);
  return line;
}

// Runs in the child, between fork and exec: async-signal-safe calls only.
[[noreturn]] void Exec(const char* program, char* const* argv, pid_t parent) {
  setpgid(0, 0);
  // A killed agent takes its nginx along, transfers under way excepted; what
  // stays all the same is ended by the next agent.
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  if (getppid() != parent) _exit(1);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  signal(SIGPIPE, SIG_DFL);
  const int null = open("/dev/null", O_RDWR);
  for (int fd = 0; null >= 0 && fd <= 2; ++fd) dup2(null, fd);
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  execv(program, argv);
  _exit(127);
}

// Waits for a child; false: it still runs after `timeout`.
bool Reap(pid_t pid, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (;;) {
    const pid_t ended = waitpid(pid, nullptr, WNOHANG);
    if (ended == pid || (ended < 0 && errno == ECHILD)) return true;
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(kPollInterval);
  }
}

}  // namespace

int EndLeftOverNginx(const std::string& directory) {
  const std::vector<pid_t> first = FindNginx(directory);
  const absl::Time deadline = absl::Now() + kKillTimeout;
  std::vector<pid_t> left = first;
  while (!left.empty() && absl::Now() < deadline) {
    for (const pid_t pid : left) kill(pid, SIGKILL);
    absl::SleepFor(kPollInterval);
    left = FindNginx(directory);
  }
  return static_cast<int>(first.size());
}

absl::StatusOr<std::unique_ptr<Nginx>> Nginx::Start(NginxOptions options) {
  ASSIGN_OR_RETURN(std::string program, FindProgram(options.program));
  ASSIGN_OR_RETURN(const std::string config, MakeNginxConfig(options));
  if (mkdir(options.directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return base::PosixError("mkdir", options.directory, errno);
  }
  RETURN_IF_ERROR(ReplaceFile(options.directory, "nginx.conf", config, 0600));
  if (const int left = EndLeftOverNginx(options.directory); left > 0) {
    base::LogWarning("ended ", left,
                     " nginx processes that an earlier agent left");
  }
  std::unique_ptr<Nginx> nginx(
      new Nginx(std::move(options), std::move(program)));
  nginx->watcher_ = std::thread([raw = nginx.get()] { raw->Watch(); });
  absl::Status status;
  {
    base::MutexLock lock(&nginx->mu_);
    while (!nginx->started_) nginx->changed_.Wait(&nginx->mu_);
    status = nginx->first_start_;
  }
  if (!status.ok()) return status;
  return nginx;
}

Nginx::~Nginx() { Stop(absl::ZeroDuration()); }

pid_t Nginx::pid() const {
  base::MutexLock lock(&mu_);
  return pid_;
}

absl::StatusOr<pid_t> Nginx::Spawn() {
  const std::string log = absl::StrCat(options_.directory, "/error.log");
  const std::string config = absl::StrCat(options_.directory, "/nginx.conf");
  // A new log each time: LastWords() must not find old ones.
  unlink(log.c_str());
  unlink(absl::StrCat(options_.directory, "/nginx.pid").c_str());
  std::vector<std::string> args = {
      program_, "-p", options_.directory, "-c", config, "-e", log};
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return base::PosixError("fork", program_, errno);
  if (pid == 0) Exec(program_.c_str(), argv.data(), parent);
  setpgid(pid, pid);
  return pid;
}

// nginx writes its pid file after it has got its port.
absl::Status Nginx::WaitUntilListening(pid_t pid) {
  const std::string path = absl::StrCat(options_.directory, "/nginx.pid");
  const absl::Time deadline = absl::Now() + kStartTimeout;
  while (absl::Now() < deadline) {
    const std::string text = ReadWholeFile(path).value_or("");
    if (absl::StripAsciiWhitespace(text) == absl::StrCat(pid)) {
      return absl::OkStatus();
    }
    if (Reap(pid, absl::ZeroDuration())) {
      return absl::FailedPreconditionError(absl::StrCat(
          "nginx did not start on ", options_.listen, ": ",
          LastWords(options_.directory), "; choose another --http_listen"));
    }
    absl::SleepFor(kPollInterval);
  }
  kill(-pid, SIGKILL);
  Reap(pid, kKillTimeout);
  return absl::FailedPreconditionError("nginx did not start in time");
}

bool Nginx::WaitBeforeRestart(absl::Duration pause) {
  const absl::Time deadline = absl::Now() + pause;
  base::MutexLock lock(&mu_);
  while (!stopping_ && absl::Now() < deadline) {
    changed_.WaitFor(&mu_, deadline - absl::Now());
  }
  return !stopping_;
}

// Waits until the master has ended, and forgets it before its id can be that
// of another process.
void Nginx::WaitForEnd(pid_t pid) {
  siginfo_t info;
  while (waitid(P_PID, pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR) {
  }
  {
    base::MutexLock lock(&mu_);
    pid_ = 0;
    changed_.SignalAll();
  }
  Reap(pid, kKillTimeout);
}

// The thread that starts nginx must live on: its end would count as that of
// the parent (PR_SET_PDEATHSIG).
void Nginx::Watch() {
  absl::Duration pause = kBackoffMin;
  for (bool first = true;; first = false) {
    const absl::Time start = absl::Now();
    const auto pid = Spawn();
    const absl::Status status =
        pid.ok() ? WaitUntilListening(*pid) : pid.status();
    {
      base::MutexLock lock(&mu_);
      started_ = true;
      if (first) first_start_ = status;
      if (status.ok()) pid_ = *pid;
      changed_.SignalAll();
      if (status.ok() && stopping_) kill(-*pid, SIGKILL);
    }
    if (status.ok()) {
      WaitForEnd(*pid);
      if (absl::Now() - start > kBackoffMax) pause = kBackoffMin;
    } else if (first) {
      return;
    } else {
      base::LogError(status.message());
    }
    // Workers outlive a killed master and keep the port.
    EndLeftOverNginx(options_.directory);
    if (!WaitBeforeRestart(pause)) return;
    base::LogWarning("nginx had ended and is started again");
    pause = std::min(pause * 2, kBackoffMax);
  }
}

void Nginx::Stop(absl::Duration grace) {
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
    if (pid_ != 0) kill(pid_, SIGQUIT);
    const absl::Time deadline = absl::Now() + grace;
    while (pid_ != 0 && absl::Now() < deadline) {
      changed_.WaitFor(&mu_, deadline - absl::Now());
    }
    // It is not reaped before pid_ is 0, so the id is still its own.
    if (pid_ != 0) kill(-pid_, SIGKILL);
  }
  if (watcher_.joinable()) watcher_.join();
}

}  // namespace cairn::volume
