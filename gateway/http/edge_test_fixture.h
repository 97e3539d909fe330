// What the edge's tests share: a handler that does what the target says, and a
// client that sends bytes as they are.

#ifndef CAIRN_GATEWAY_HTTP_EDGE_TEST_FIXTURE_H_
#define CAIRN_GATEWAY_HTTP_EDGE_TEST_FIXTURE_H_

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/mutex.h"
#include "gateway/http/exchange.h"

namespace cairn::http {
inline constexpr int kPatienceMs = 20000;

// A counter that tests can wait on.
class Counter {
 public:
  void Add(int64_t n = 1) {
    base::MutexLock lock(&mu_);
    value_ += n;
    changed_.SignalAll();
  }
  int64_t value() {
    base::MutexLock lock(&mu_);
    return value_;
  }
  bool WaitFor(int64_t at_least) {
    const absl::Time end = absl::Now() + absl::Milliseconds(kPatienceMs);
    base::MutexLock lock(&mu_);
    while (value_ < at_least && absl::Now() < end) {
      changed_.WaitFor(&mu_, end - absl::Now());
    }
    return value_ >= at_least;
  }

 private:
  base::Mutex mu_;
  base::CondVar changed_;
  int64_t value_ ABSL_GUARDED_BY(mu_) = 0;
};

// Byte i of every long body in these tests.
inline char ByteAt(int64_t i) { return static_cast<char>('a' + i % 23); }

inline std::string Pattern(int64_t from, int64_t bytes) {
  std::string text(bytes, '\0');
  for (int64_t i = 0; i < bytes; ++i) text[i] = ByteAt(from + i);
  return text;
}

// Counts and compares a body; if asked to, pauses at each piece and resumes
// from another thread.
class CountingSink : public BodySink {
 public:
  CountingSink(std::shared_ptr<Exchange> exchange, bool pauses, Counter* aborts)
      : exchange_(std::move(exchange)), pauses_(pauses), aborts_(aborts) {}
  ~CountingSink() override {
    if (resumer_.joinable()) resumer_.detach();
  }

  bool OnPiece(const client::Piece& piece) override {
    EXPECT_FALSE(resuming_.load());
    EXPECT_GT(piece.size, 0u);
    for (const char c : piece.view()) same_ &= c == ByteAt(bytes_++);
    if (!pauses_) return true;
    if (resumer_.joinable()) resumer_.join();
    resuming_ = true;
    resumer_ = std::thread([this, exchange = exchange_] {
      absl::SleepFor(absl::Milliseconds(1));
      resuming_ = false;
      exchange->ResumeBody();
    });
    return false;
  }
  void OnEnd() override {
    if (resumer_.joinable()) resumer_.join();
    Response response;
    response.body = absl::StrCat(bytes_, same_ ? " same" : " other");
    std::exchange(exchange_, nullptr)->Respond(std::move(response));
  }
  void OnAbort() override {
    if (resumer_.joinable()) resumer_.join();
    exchange_ = nullptr;
    aborts_->Add();
  }

 private:
  std::shared_ptr<Exchange> exchange_;
  const bool pauses_;
  Counter* const aborts_;
  int64_t bytes_ = 0;
  bool same_ = true;
  std::atomic<bool> resuming_{false};
  std::thread resumer_;
};

// Gives `bytes` bytes in pieces, then the end, or an error.
class PatternSource : public BodySource {
 public:
  PatternSource(int64_t bytes, int64_t piece_bytes, bool fails)
      : bytes_(bytes), piece_bytes_(piece_bytes), fails_(fails) {}
  void Next(std::function<void(absl::StatusOr<std::string>)> done) override {
    const int64_t from = at_;
    const int64_t bytes = std::min(piece_bytes_, bytes_ - at_);
    at_ += bytes;
    if (bytes == 0 && fails_) {
      done(absl::DataLossError("torn"));
    } else if (from % 2 == 0) {
      done(Pattern(from, bytes));
    } else {
      std::thread([from, bytes, done] { done(Pattern(from, bytes)); }).detach();
    }
  }

 private:
  const int64_t bytes_;
  const int64_t piece_bytes_;
  const bool fails_;
  int64_t at_ = 0;
};

class TestHandler : public Handler {
 public:
  void OnRequest(const std::shared_ptr<Exchange>& exchange) override {
    requests.Add();
    absl::string_view target = exchange->head().target;
    Response response;
    if (absl::StartsWith(target, "/echo")) {
      exchange->ReadBody(1000, [exchange](std::string body) {
        Response echo;
        echo.body = std::move(body);
        exchange->Respond(std::move(echo));
      });
      return;
    }
    if (absl::StartsWith(target, "/count")) {
      exchange->StreamBody(std::make_shared<CountingSink>(
          exchange, target == "/count?pauses", &aborts));
      return;
    }
    if (absl::StartsWith(target, "/hold")) {
      base::MutexLock lock(&mu_);
      held_.push_back(exchange);
      held.Add();
      return;
    }
    if (absl::ConsumePrefix(&target, "/status/")) {
      EXPECT_TRUE(absl::SimpleAtoi(target, &response.status));
      response.body = "ignored";
    } else if (absl::ConsumePrefix(&target, "/length/")) {
      response.source = Source(target, &response.content_length);
    } else if (absl::ConsumePrefix(&target, "/chunked/")) {
      int64_t ignored;
      response.source = Source(target, &ignored);
    } else if (target == "/announce") {
      response.head_content_length = 12345;
    } else if (target == "/close") {
      response.close = true;
    } else {
      response.body = absl::StrCat(exchange->head().method, " ", target, " ",
                                   exchange->head().Header("x-a"));
    }
    exchange->Respond(std::move(response));
  }
  void OnSent(const Exchange&, int, int64_t body_bytes, bool ok) override {
    (ok ? sent_whole : sent_broken).Add();
    sent_bytes.Add(body_bytes);
  }
  void OnRoundEnd() override { rounds.Add(); }
  void OnRejected(absl::string_view peer, int, absl::string_view) override {
    EXPECT_TRUE(absl::StartsWith(peer, "127.0.0.1:")) << peer;
    rejected.Add();
  }

  void ReleaseHeld(const std::string& body) {
    base::MutexLock lock(&mu_);
    for (const auto& exchange : held_) {
      Response response;
      response.body = body;
      exchange->Respond(std::move(response));
    }
    held_.clear();
  }

  Counter requests, aborts, held, rejected, rounds;
  Counter sent_whole, sent_broken, sent_bytes;

 private:
  // "BYTES" or "BYTES/fails", BYTES as announced; "BYTES/short" gives less.
  static std::shared_ptr<BodySource> Source(absl::string_view text,
                                            int64_t* announced) {
    const bool fails = absl::ConsumeSuffix(&text, "/fails");
    const bool is_short = absl::ConsumeSuffix(&text, "/short");
    EXPECT_TRUE(absl::SimpleAtoi(text, announced));
    return std::make_shared<PatternSource>(*announced - is_short, 99999, fails);
  }

  base::Mutex mu_;
  std::vector<std::shared_ptr<Exchange>> held_ ABSL_GUARDED_BY(mu_);
};

struct Answer {
  int status = 0;
  std::string head;
  std::string body;
};

// A client that sends bytes as they are and reads answers strictly.
class Client {
 public:
  explicit Client(int port, int receive_buffer = 0) {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0) {
      setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer,
                 sizeof(receive_buffer));
    }
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<sockaddr*>(&address),
                         sizeof(address)) == 0;
  }
  ~Client() { Disconnect(); }
  Client(const Client&) = delete;

  void Disconnect() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }
  void EndSending() { shutdown(fd_, SHUT_WR); }
  bool connected() const { return connected_; }

  // False: the connection broke.
  bool Send(absl::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(sent);
    }
    return true;
  }

  // Reads once. 0: ended; -1: reset, or nothing came in time.
  ssize_t Receive() {
    pollfd poll_fd = {fd_, POLLIN, 0};
    if (poll(&poll_fd, 1, kPatienceMs) <= 0) {
      ADD_FAILURE() << "nothing came; have: " << in_.substr(0, 300);
      return -1;
    }
    char buffer[65536];
    const ssize_t bytes = recv(fd_, buffer, sizeof(buffer), 0);
    if (bytes > 0) in_.append(buffer, bytes);
    return bytes;
  }
  // True: the server ended the connection, and not with a reset.
  bool ReadToEnd() {
    ssize_t bytes;
    while ((bytes = Receive()) > 0) {
    }
    return bytes == 0;
  }
  bool IsSilent() {
    pollfd poll_fd = {fd_, POLLIN, 0};
    return in_.empty() && poll(&poll_fd, 1, 50) == 0;
  }

  // One answer; status 0 if the connection ends before it does.
  Answer Read(bool head_method = false) {
    Answer answer;
    size_t end;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos) {
      if (Receive() <= 0) return Answer();
    }
    answer.head = in_.substr(0, end + 4);
    in_.erase(0, end + 4);
    EXPECT_TRUE(absl::StartsWith(answer.head, "HTTP/1.1 ")) << answer.head;
    EXPECT_TRUE(absl::SimpleAtoi(answer.head.substr(9, 3), &answer.status));
    const bool no_body = head_method || answer.status < 200 ||
                         answer.status == 204 || answer.status == 304;
    if (no_body) return answer;
    if (absl::StrContains(answer.head, "Transfer-Encoding: chunked")) {
      return ReadChunks(&answer.body) ? answer : Answer();
    }
    const size_t at = answer.head.find("Content-Length: ");
    if (at == std::string::npos) {
      while (Receive() > 0) {
      }
      answer.body = std::exchange(in_, "");
      return answer;
    }
    const size_t bytes = std::stoll(answer.head.substr(at + 16));
    return Take(bytes, &answer.body) ? answer : Answer();
  }
  Answer Ask(absl::string_view request) {
    Send(request);
    return Read(absl::StartsWith(request, "HEAD"));
  }

 private:
  bool Take(size_t bytes, std::string* out) {
    while (in_.size() < bytes) {
      if (Receive() <= 0) return false;
    }
    out->append(in_, 0, bytes);
    in_.erase(0, bytes);
    return true;
  }
  bool ReadChunks(std::string* body) {
    while (true) {
      size_t line;
      while ((line = in_.find("\r\n")) == std::string::npos) {
        if (Receive() <= 0) return false;
      }
      const size_t bytes = std::stoul(in_.substr(0, line), nullptr, 16);
      in_.erase(0, line + 2);
      if (!Take(bytes, body)) return false;
      std::string end;
      if (!Take(2, &end)) return false;
      EXPECT_EQ(end, "\r\n");
      if (bytes == 0) return true;
    }
  }

  int fd_;
  bool connected_ = false;
  std::string in_;
};

inline std::string Get(absl::string_view target,
                       absl::string_view headers = "") {
  return absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: h\r\n", headers,
                      "\r\n");
}
inline std::string Put(absl::string_view target, absl::string_view body,
                       absl::string_view headers = "") {
  return absl::StrCat("PUT ", target, " HTTP/1.1\r\nHost: h\r\n", headers,
                      "Content-Length: ", body.size(), "\r\n\r\n", body);
}
inline std::string PutChunked(absl::string_view target,
                              absl::string_view chunks) {
  return absl::StrCat("PUT ", target,
                      " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n"
                      "\r\n",
                      chunks);
}

class EdgeTest : public ::testing::Test {
 protected:
  EdgeTest() { options_.listen = "127.0.0.1:0"; }

  void Start() {
    auto edge = StartEdge(options_, &handler_);
    ASSERT_TRUE(edge.ok()) << edge.status();
    edge_ = *std::move(edge);
  }
  int port() {
    if (edge_ == nullptr) Start();
    return edge_->port();
  }
  // The connections that are open, once they are `expected`.
  bool HasConnections(int64_t expected) {
    const absl::Time end = absl::Now() + absl::Milliseconds(kPatienceMs);
    while (edge_->connections() != expected) {
      if (absl::Now() > end) return false;
      absl::SleepFor(absl::Milliseconds(2));
    }
    return true;
  }
  // The edge is alive and well.
  void ExpectServes() {
    Client client(port());
    EXPECT_EQ(client.Ask(Get("/alive")).status, 200);
  }

  EdgeOptions options_;
  TestHandler handler_;
  std::unique_ptr<Edge> edge_;
};

}  // namespace cairn::http

#endif  // CAIRN_GATEWAY_HTTP_EDGE_TEST_FIXTURE_H_
