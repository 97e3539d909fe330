#include "tests/dev_root.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace cairn::tests {
namespace {

namespace fs = std::filesystem;

constexpr int kPorts = 15;

bool IsFree(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free =
      bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return free;
}

// The first of kPorts free ports in a row.
int FreePorts() {
  while (true) {
    const int first = FreePort();
    int count = 1;
    while (count < kPorts && IsFree(first + count)) ++count;
    if (count == kPorts) return first;
  }
}

std::string CommandLine(pid_t pid) {
  return absl::StrReplaceAll(ReadFile(absl::StrCat("/proc/", pid, "/cmdline")),
                             {{std::string(1, '\0'), " "}});
}

// All but this test's own.
std::vector<pid_t> AllPids() {
  std::vector<pid_t> pids;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    pid_t pid = 0;
    if (absl::SimpleAtoi(entry.path().filename().string(), &pid) &&
        pid != getpid()) {
      pids.push_back(pid);
    }
  }
  return pids;
}

bool HasOpen(pid_t pid, const std::string& path) {
  std::error_code error;  // Processes and descriptors come and go.
  for (fs::directory_iterator fd(absl::StrCat("/proc/", pid, "/fd"), error);
       !error && fd != fs::directory_iterator(); fd.increment(error)) {
    std::error_code gone;
    if (absl::StartsWith(fs::read_symlink(fd->path(), gone).string(), path)) {
      return true;
    }
  }
  return false;
}

}  // namespace

DevRoot::DevRoot() : first_port_(FreePorts()) {
  fs::create_directories(path() + "/root/deploy");
  fs::copy_file("dev", program());
  for (const char* name :
       {"cluster.py", "cluster_process.py", "cluster_supervisor.py"}) {
    fs::copy_file(absl::StrCat("deploy/", name),
                  absl::StrCat(path(), "/root/deploy/", name));
  }
  // The programs lie where the test starts.
  setenv("CAIRN_BIN_DIR", fs::current_path().c_str(), 1);
}

DevRoot::~DevRoot() {
  // What still runs is killed: the supervisor first, it starts the others.
  for (pid_t pid; (pid = SupervisorPid()) != 0;) kill(pid, SIGKILL);
  for (const pid_t pid : AllPids()) {
    if (absl::StrContains(CommandLine(pid), path()) || HasOpen(pid, path())) {
      kill(pid, SIGKILL);
    }
  }
}

Outcome DevRoot::Dev(const std::string& words) const {
  // No command takes a minute, unless it waits for a signal in vain.
  return Shell(absl::StrCat("cd ", path(), " && timeout 100 root/dev ", words));
}

Outcome DevRoot::Up(const std::string& words) const {
  Outcome outcome =
      Dev(absl::StrCat("up --detach ", PortOptions(), " ", words));
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  return outcome;
}

std::string DevRoot::PortOptions() const {
  return absl::StrCat("--port=", port(), " --admin-port=", admin_port(),
                      " --master-port=", master_port(),
                      " --volume-port=", volume_port(),
                      " --http-port=", http_port());
}

std::string DevRoot::Log(const std::string& name) const {
  return ReadFile(absl::StrCat(data(), "/", name, "/log"));
}

std::string DevRoot::SupervisorLog() const {
  return ReadFile(data() + "/run/supervisor.log");
}

pid_t DevRoot::Find(const std::string& words) const {
  for (const pid_t pid : AllPids()) {
    const std::string line = CommandLine(pid);
    if (absl::StrContains(line, path()) && absl::StrContains(line, words)) {
      return pid;
    }
  }
  return 0;
}

pid_t DevRoot::PidOf(const std::string& name) const {
  return Find(absl::StrCat("--data=", data(), "/", name, " "));
}

std::vector<std::string> DevRoot::Running() const {
  std::vector<std::string> lines;
  for (const pid_t pid : AllPids()) {
    const std::string line = CommandLine(pid);
    if (absl::StrContains(line, path()) || HasOpen(pid, path())) {
      lines.push_back(absl::StrCat(pid, ": ", line));
    }
  }
  return lines;
}

bool Accepts(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool accepts =
      connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(fd);
  return accepts;
}

}  // namespace cairn::tests
