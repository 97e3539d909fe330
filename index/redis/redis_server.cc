#include "index/redis/redis_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace cairn::index {
namespace {

[[noreturn]] void Abort(absl::string_view what) {
  std::fprintf(stderr, "redis-server: %s\n", std::string(what).c_str());
  std::abort();
}

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

}  // namespace

int FreeRedisPort() {
  static std::mt19937 random(std::random_device{}());
  for (;;) {
    const int port = std::uniform_int_distribution<int>(10000, 22000)(random);
    if (IsFree(port) && IsFree(port + kBusPortOffset)) return port;
  }
}

std::string MakeRedisDirectory() {
  std::string directory = "/tmp/cairn-redis-XXXXXX";
  if (mkdtemp(directory.data()) == nullptr) Abort(directory);
  return directory;
}

pid_t StartProcess(std::vector<std::string> words, absl::Duration pause) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    usleep(absl::ToInt64Microseconds(pause));
    execvp(argv[0], argv.data());
    _exit(127);
  }
  return pid;
}

RedisServer::RedisServer(std::vector<std::string> settings)
    : settings_(std::move(settings)), port_(FreeRedisPort()) {
  // As base::StartProgram() does: hiredis writes to connections that broke.
  std::signal(SIGPIPE, SIG_IGN);
  directory_ = MakeRedisDirectory();
  Start();
}

RedisServer::~RedisServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

bool RedisServer::RefusedOnce() const {
  std::ifstream in(directory_ + "/log");
  const std::string log((std::istreambuf_iterator<char>(in)), {});
  const size_t line = log.find_last_of('\n', log.size() - 2);
  return absl::StrContains(log.substr(line + 1),
                           "the truncated file is not the last file");
}

void RedisServer::Start() {
  StartIn(absl::ZeroDuration());
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  for (;;) {
    // With a password it answers NOAUTH: that will do.
    const std::string answer = Cli("PING 2>&1");
    if (answer == "PONG" || absl::StrContains(answer, "NOAUTH") ||
        absl::StrContains(answer, "LOADING")) {
      return;
    }
    if (waitpid(pid_, nullptr, WNOHANG) != 0) {
      if (!RefusedOnce()) Abort(answer);
      StartIn(absl::ZeroDuration());
    }
    if (absl::Now() > deadline) Abort(answer);
    absl::SleepFor(absl::Milliseconds(5));
  }
}

void RedisServer::StartIn(absl::Duration pause) {
  std::vector<std::string> words = {"redis-server",
                                    "--port",
                                    absl::StrCat(port_),
                                    "--bind",
                                    "127.0.0.1",
                                    "--unixsocket",
                                    directory_ + "/s",
                                    "--dir",
                                    directory_,
                                    "--save",
                                    "",
                                    "--appendonly",
                                    "yes",
                                    "--appendfsync",
                                    "always",
                                    "--logfile",
                                    directory_ + "/log"};
  words.insert(words.end(), settings_.begin(), settings_.end());
  pid_ = StartProcess(std::move(words), pause);
}

void RedisServer::Kill() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void RedisServer::Signal(int number) { kill(pid_, number); }

std::string RedisServer::tcp_uri() const {
  return absl::StrCat("redis://127.0.0.1:", port_);
}

std::string RedisServer::unix_uri() const {
  return absl::StrCat("redis+unix://", directory_, "/s");
}

std::string RedisServer::Cli(const std::string& words) const {
  std::FILE* const pipe =
      popen(absl::StrCat("redis-cli -p ", port_, " ", words).c_str(), "r");
  if (pipe == nullptr) Abort("redis-cli");
  std::string out;
  char buffer[4096];
  size_t count = 0;
  while ((count = fread(buffer, 1, sizeof(buffer), pipe)) > 0) {
    out.append(buffer, count);
  }
  pclose(pipe);
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

}  // namespace cairn::index
