#include "tests/http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace cairn::tests {

std::string Reply::Header(const std::string& name) const {
  for (const auto& [given, value] : headers) {
    if (absl::EqualsIgnoreCase(given, name)) return value;
  }
  return "";
}

int Reply::CountOf(const std::string& name) const {
  int count = 0;
  for (const auto& [given, value] : headers) {
    if (absl::EqualsIgnoreCase(given, name)) ++count;
  }
  return count;
}

Connection::Connection(int port)
    : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int one = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) !=
      0) {
    close(fd_);
    fd_ = -1;
  }
}

Connection::~Connection() {
  if (fd_ >= 0) close(fd_);
}

void Connection::Reset() {
  const linger now = {1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd_);
  fd_ = -1;
}

bool Connection::Send(const std::string& bytes) {
  for (size_t sent = 0; sent < bytes.size();) {
    const ssize_t count =
        send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return false;
    sent += static_cast<size_t>(count);
  }
  return true;
}

bool Connection::Fill(absl::Time deadline) {
  if (fd_ < 0) return false;
  const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
  pollfd poll_fd = {fd_, POLLIN, 0};
  if (left <= 0 || poll(&poll_fd, 1, static_cast<int>(left)) <= 0) return false;
  char bytes[65536];
  const ssize_t count = recv(fd_, bytes, sizeof(bytes), 0);
  if (count <= 0) return false;
  buffer_.append(bytes, static_cast<size_t>(count));
  return true;
}

bool Connection::TakeLine(absl::Time deadline, std::string* line) {
  size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!Fill(deadline)) return false;
  }
  *line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return true;
}

bool Connection::TakeBytes(absl::Time deadline, size_t count,
                           std::string* bytes) {
  while (buffer_.size() < count) {
    if (!Fill(deadline)) return false;
  }
  bytes->append(buffer_, 0, count);
  buffer_.erase(0, count);
  return true;
}

Reply Connection::Read(bool head_only, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  const Reply broken;
  Reply reply;
  std::string line;
  if (!TakeLine(deadline, &line)) return broken;
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  if (words.size() < 2 || !absl::SimpleAtoi(words[1], &reply.status)) {
    return broken;
  }
  while (true) {
    if (!TakeLine(deadline, &line)) return broken;
    if (line.empty()) break;
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 1));
    reply.headers.emplace_back(
        parts.first, std::string(absl::StripAsciiWhitespace(parts.second)));
  }
  if (head_only || reply.status < 200 || reply.status == 204 ||
      reply.status == 304) {
    return reply;
  }
  size_t length = 0;
  if (absl::SimpleAtoi(reply.Header("Content-Length"), &length)) {
    return TakeBytes(deadline, length, &reply.body) ? reply : broken;
  }
  if (reply.Header("Transfer-Encoding") != "chunked") {
    while (Fill(deadline)) continue;
    reply.body = std::move(buffer_);
    buffer_.clear();
    return reply;
  }
  do {
    if (!TakeLine(deadline, &line)) return broken;
    length = strtoul(line.c_str(), nullptr, 16);
    if (!TakeBytes(deadline, length, &reply.body)) return broken;
    if (!TakeLine(deadline, &line) || !line.empty()) return broken;
  } while (length > 0);
  return reply;
}

bool Connection::AtEnd(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  if (Fill(deadline) || !buffer_.empty()) return false;
  return absl::Now() < deadline;
}

Reply Http(int port, const std::string& head, const std::string& body) {
  Connection connection(port);
  connection.Send(absl::StrCat(head, "Host: 127.0.0.1:", port, "\r\n\r\n"));
  connection.Send(body);
  return connection.Read(absl::StartsWith(head, "HEAD "));
}

Reply HttpGet(int port, const std::string& target) {
  return Http(port, absl::StrCat("GET ", target, " HTTP/1.1\r\n"));
}

Reply HttpPut(int port, const std::string& target, const std::string& value,
              const std::string& headers) {
  return Http(port,
              absl::StrCat("PUT ", target, " HTTP/1.1\r\n", headers,
                           "Content-Length: ", value.size(), "\r\n"),
              value);
}

Reply HttpRead(int port, const std::string& target,
               const std::string& headers) {
  const auto get = [&headers](int at, const std::string& what) {
    return Http(at, absl::StrCat("GET ", what, " HTTP/1.1\r\n", headers));
  };
  Reply reply = get(port, target);
  for (int hops = 0; hops < 5 && (reply.status == 302 || reply.status == 307);
       ++hops) {
    const auto [next_port, next_target] = SplitUrl(reply.Header("Location"));
    reply = get(next_port, next_target);
  }
  return reply;
}

std::pair<int, std::string> SplitUrl(const std::string& url) {
  const size_t colon = url.find(':', sizeof("http://") - 1);
  const size_t slash = url.find('/', colon);
  int port = 0;
  if (slash == std::string::npos ||
      !absl::SimpleAtoi(url.substr(colon + 1, slash - colon - 1), &port)) {
    return {0, ""};
  }
  return {port, url.substr(slash)};
}

}  // namespace cairn::tests
