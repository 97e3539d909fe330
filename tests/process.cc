#include "tests/process.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"

namespace cairn::tests {
namespace {

[[noreturn]] void Abort(const std::string& why) {
  fprintf(stderr, "%s: %s\n", why.c_str(), strerror(errno));
  abort();
}

}  // namespace

std::unique_ptr<Process> Process::Start(const std::vector<std::string>& command,
                                        const std::string& log) {
  std::vector<char*> words;
  words.reserve(command.size() + 1);
  for (const std::string& word : command) {
    words.push_back(const_cast<char*>(word.c_str()));
  }
  words.push_back(nullptr);
  const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  if (out < 0) Abort(log);
  const pid_t pid = fork();
  if (pid < 0) Abort("fork");
  if (pid == 0) {
    setsid();
    const int null = open("/dev/null", O_RDONLY);
    dup2(null, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    for (int fd = 3; fd < 1024; ++fd) close(fd);
    execvp(words[0], words.data());
    dprintf(STDERR_FILENO, "%s: %s\n", words[0], strerror(errno));
    _exit(127);
  }
  close(out);
  return std::unique_ptr<Process>(new Process(pid));
}

Process::~Process() {
  Signal(SIGKILL);
  Wait(absl::InfiniteDuration());
}

bool Process::Running() { return Wait(absl::ZeroDuration()) < 0; }

void Process::Signal(int number) {
  if (Running()) kill(pid_, number);
}

int Process::Wait(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  while (code_ < 0) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    } else if (absl::Now() >= deadline) {
      break;
    } else {
      absl::SleepFor(absl::Milliseconds(5));
    }
  }
  return code_;
}

Outcome Shell(const std::string& command) {
  TemporaryDirectory directory;
  const std::string out = directory.path() + "/out";
  const std::string err = directory.path() + "/err";
  const int status = system(absl::StrCat("{ ", command, "\n} </dev/null >",
                                         Quoted(out), " 2>", Quoted(err))
                                .c_str());
  Outcome outcome;
  outcome.code =
      WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = ReadFile(out);
  outcome.text = outcome.out + ReadFile(err);
  return outcome;
}

std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

TemporaryDirectory::TemporaryDirectory() {
  const char* const root = getenv("TEST_TMPDIR");
  path_ = absl::StrCat(root != nullptr ? root : "/tmp", "/XXXXXX");
  if (mkdtemp(path_.data()) == nullptr) Abort(path_);
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream content;
  content << file.rdbuf();
  return content.str();
}

void WriteFile(const std::string& path, const std::string& content) {
  std::ofstream file(path, std::ios::binary);
  file << content;
  file.close();
  if (!file) Abort(path);
}

int FreePort() {
  static std::mt19937 random(std::random_device{}());
  static std::set<int> given;  // A port is free until its program listens.
  while (true) {
    const int port = std::uniform_int_distribution<int>(10000, 32000)(random);
    if (!given.insert(port).second) continue;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const bool free =
        bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
    close(fd);
    if (free) return port;
  }
}

bool WaitUntil(absl::Duration timeout, const std::function<bool()>& done) {
  const absl::Time deadline = absl::Now() + timeout;
  while (!done()) {
    if (absl::Now() >= deadline) return false;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return true;
}

}  // namespace cairn::tests
