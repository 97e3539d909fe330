// Load that wrk cannot make: redirects that are followed, cycles of put, get
// and delete, values of any size, and connections that only stay open. A
// thread for each connection, blocking; prints one JSON object.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/program.h"
#include "base/status.h"

ABSL_FLAG(std::string, address, "127.0.0.1:3000", "IPv4 address and port");
ABSL_FLAG(std::string, mode, "get",
          "get (redirects are followed), put (new keys), cycle (put, get and "
          "delete of one key counted as one) or idle (until the input ends)");
ABSL_FLAG(int, connections, 16, "connections, each with one request at a time");
ABSL_FLAG(double, seconds, 3, "how long");
ABSL_FLAG(std::string, prefix, "k", "what the keys begin with");
ABSL_FLAG(int, keys, 100, "of get: PREFIX0, PREFIX1, ...");
ABSL_FLAG(int64_t, bytes, 1024, "of each value that is put");

namespace cairn {
namespace {

constexpr absl::Duration kStall = absl::Milliseconds(20);
constexpr int kRedirectsMax = 3;

struct Answer {
  int status = 0;
  std::string location;
};

// One kept connection; made again when the server has closed it.
class Connection {
 public:
  explicit Connection(std::string address) : address_(std::move(address)) {}
  ~Connection() { Close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  absl::StatusOr<Answer> Ask(absl::string_view method, absl::string_view target,
                             absl::string_view body) {
    if (fd_ < 0) RETURN_IF_ERROR(Open());
    std::string head = absl::StrCat(method, " ", target,
                                    " HTTP/1.1\r\nHost: ", address_, "\r\n");
    if (method == "PUT") {
      absl::StrAppend(&head, "Content-Length: ", body.size(), "\r\n");
    }
    absl::StrAppend(&head, "\r\n", body);
    auto answer = Exchange(head);
    if (!answer.ok()) Close();
    return answer;
  }

 private:
  absl::Status Open() {
    const std::vector<std::string> parts = absl::StrSplit(address_, ':');
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    int port = 0;
    if (parts.size() != 2 || !absl::SimpleAtoi(parts[1], &port) ||
        inet_pton(AF_INET, parts[0].c_str(), &to.sin_addr) != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("--address is not like 127.0.0.1:3000: ", address_));
    }
    to.sin_port = htons(static_cast<uint16_t>(port));
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd_ < 0 ||
        connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
      const int error = errno;
      Close();
      return base::PosixError("connect", address_, error);
    }
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return absl::OkStatus();
  }

  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
    received_.clear();
  }

  absl::StatusOr<Answer> Exchange(absl::string_view request) {
    while (!request.empty()) {
      const ssize_t sent =
          send(fd_, request.data(), request.size(), MSG_NOSIGNAL);
      if (sent <= 0) return base::PosixError("send", address_, errno);
      request.remove_prefix(sent);
    }
    size_t end = std::string::npos;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos) {
      RETURN_IF_ERROR(Receive());
    }
    Answer answer;
    int64_t left = 0;
    bool close_after = false;
    const std::string head = received_.substr(0, end);
    received_.erase(0, end + 4);
    Parse(head, &answer, &left, &close_after);
    while (static_cast<int64_t>(received_.size()) < left) {
      left -= static_cast<int64_t>(received_.size());
      received_.clear();
      RETURN_IF_ERROR(Receive());
    }
    received_.erase(0, left);
    if (close_after) Close();
    return answer;
  }

  static void Parse(absl::string_view head, Answer* answer, int64_t* left,
                    bool* close_after) {
    for (absl::string_view line : absl::StrSplit(head, "\r\n")) {
      if (absl::StartsWith(line, "HTTP/1.1 ")) {
        (void)absl::SimpleAtoi(line.substr(9, 3), &answer->status);
      } else if (absl::StartsWithIgnoreCase(line, "content-length: ")) {
        (void)absl::SimpleAtoi(line.substr(16), left);
      } else if (absl::StartsWithIgnoreCase(line, "location: ")) {
        answer->location = std::string(line.substr(10));
      } else if (absl::EqualsIgnoreCase(line, "connection: close")) {
        *close_after = true;
      }
    }
  }

  absl::Status Receive() {
    char piece[64 << 10];
    const ssize_t count = recv(fd_, piece, sizeof(piece), 0);
    if (count < 0) return base::PosixError("recv", address_, errno);
    if (count == 0) return absl::UnavailableError("the server has closed");
    received_.append(piece, count);
    return absl::OkStatus();
  }

  const std::string address_;
  int fd_ = -1;
  std::string received_;
};

// One connection to the server and those that its redirects lead to.
class Client {
 public:
  Client(int number, std::string body)
      : number_(number), body_(std::move(body)) {}

  void RunUntil(absl::Time end) {
    const std::string mode = absl::GetFlag(FLAGS_mode);
    for (int64_t n = 0; absl::Now() < end; ++n) {
      const absl::Time begin = absl::Now();
      const bool good = mode == "get"   ? Get(KeyToRead(n))
                        : mode == "put" ? Put(NewKey(n))
                                        : Cycle(NewKey(n));
      if (good) {
        micros.push_back(absl::ToInt64Microseconds(absl::Now() - begin));
      } else {
        ++errors;
      }
    }
  }

  bool Get(const std::string& target) {
    std::string address = absl::GetFlag(FLAGS_address);
    std::string path = target;
    for (int i = 0; i <= kRedirectsMax; ++i) {
      const auto answer = To(address)->Ask("GET", path, "");
      if (!answer.ok()) return false;
      if (answer->status != 302) return answer->status == 200;
      const absl::string_view url = answer->location;
      if (!absl::StartsWith(url, "http://")) return false;
      const size_t slash = url.find('/', 7);
      address = std::string(url.substr(7, slash - 7));
      path = std::string(url.substr(slash));
    }
    return false;
  }

  std::vector<int64_t> micros;  // Of each good one.
  int64_t errors = 0;

 private:
  std::string KeyToRead(int64_t n) const {
    return absl::StrCat("/", absl::GetFlag(FLAGS_prefix),
                        (n + number_) % absl::GetFlag(FLAGS_keys));
  }
  std::string NewKey(int64_t n) const {
    return absl::StrCat("/", absl::GetFlag(FLAGS_prefix), number_, "/", n);
  }

  bool Put(const std::string& target) {
    return Is2xx(To(absl::GetFlag(FLAGS_address))->Ask("PUT", target, body_));
  }
  bool Cycle(const std::string& target) {
    return Put(target) && Get(target) &&
           Is2xx(To(absl::GetFlag(FLAGS_address))->Ask("DELETE", target, ""));
  }

  static bool Is2xx(const absl::StatusOr<Answer>& answer) {
    return answer.ok() && answer->status / 100 == 2;
  }

  Connection* To(const std::string& address) {
    auto& connection = connections_[address];
    if (connection == nullptr) {
      connection = std::make_unique<Connection>(address);
    }
    return connection.get();
  }

  const int number_;
  const std::string body_;
  std::map<std::string, std::unique_ptr<Connection>> connections_;
};

int64_t Percentile(const std::vector<int64_t>& sorted, double part) {
  if (sorted.empty()) return 0;
  const auto at =
      static_cast<size_t>(part * static_cast<double>(sorted.size()));
  return sorted[std::min(at, sorted.size() - 1)];
}

void RunLoad(std::vector<std::unique_ptr<Client>>* clients) {
  const absl::Time begin = absl::Now();
  const absl::Time end = begin + absl::Seconds(absl::GetFlag(FLAGS_seconds));
  std::vector<std::thread> threads;
  for (const auto& client : *clients) {
    threads.emplace_back([&client, end] { client->RunUntil(end); });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = absl::ToDoubleSeconds(absl::Now() - begin);
  std::vector<int64_t> all;
  int64_t errors = 0;
  for (const auto& client : *clients) {
    all.insert(all.end(), client->micros.begin(), client->micros.end());
    errors += client->errors;
  }
  std::sort(all.begin(), all.end());
  const auto stalls =
      all.end() - std::lower_bound(all.begin(), all.end(),
                                   absl::ToInt64Microseconds(kStall));
  std::printf(
      "{\"rate\": %.1f, \"requests\": %zu, \"errors\": %lld, \"p50\": %lld, "
      "\"p99\": %lld, \"p999\": %lld, \"stalls\": %lld}\n",
      static_cast<double>(all.size()) / seconds, all.size(),
      static_cast<long long>(errors),
      static_cast<long long>(Percentile(all, 0.5)),
      static_cast<long long>(Percentile(all, 0.99)),
      static_cast<long long>(Percentile(all, 0.999)),
      static_cast<long long>(stalls));
}

// Each connection is used once, then kept until the input ends.
absl::Status StayIdle(std::vector<std::unique_ptr<Client>>* clients) {
  const std::string target = absl::StrCat("/", absl::GetFlag(FLAGS_prefix), 0);
  for (const auto& client : *clients) {
    if (!client->Get(target)) {
      return absl::UnavailableError(
          "a connection was refused, or its GET not answered with 200");
    }
  }
  std::printf("ready\n");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return absl::OkStatus();
}

absl::Status Run() {
  const std::string mode = absl::GetFlag(FLAGS_mode);
  if (mode != "get" && mode != "put" && mode != "cycle" && mode != "idle") {
    return absl::InvalidArgumentError(
        "--mode is get, put, cycle or idle: see --help");
  }
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < absl::GetFlag(FLAGS_connections); ++i) {
    clients.push_back(std::make_unique<Client>(
        i,
        std::string(
            mode == "put" || mode == "cycle" ? absl::GetFlag(FLAGS_bytes) : 0,
            'x')));
  }
  if (mode == "idle") return StayIdle(&clients);
  RunLoad(&clients);
  return absl::OkStatus();
}

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  cairn::base::StartProgram(
      argc, argv, "http_load",
      "http_load puts load on an HTTP store.\n\n"
      "  http_load --address=127.0.0.1:3000 --mode=cycle --connections=16");
  const absl::Status ran = cairn::Run();
  if (!ran.ok()) cairn::base::RefuseToStart(ran);
  return 0;
}
