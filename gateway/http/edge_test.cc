// The edge over real sockets, with a handler that is driven by the target.

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <map>
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
namespace {

constexpr int kPatienceMs = 20000;

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
char ByteAt(int64_t i) { return static_cast<char>('a' + i % 23); }

std::string Pattern(int64_t from, int64_t bytes) {
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
      const ssize_t sent =
          send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
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

std::string Get(absl::string_view target, absl::string_view headers = "") {
  return absl::StrCat("GET ", target, " HTTP/1.1\r\nHost: h\r\n", headers,
                      "\r\n");
}
std::string Put(absl::string_view target, absl::string_view body,
                absl::string_view headers = "") {
  return absl::StrCat("PUT ", target, " HTTP/1.1\r\nHost: h\r\n", headers,
                      "Content-Length: ", body.size(), "\r\n\r\n", body);
}
std::string PutChunked(absl::string_view target, absl::string_view chunks) {
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

bool Closes(const Answer& answer) {
  return absl::StrContains(answer.head, "Connection: close\r\n");
}

TEST_F(EdgeTest, AnswersManyRequestsOnOneConnection) {
  Client client(port());
  for (int i = 0; i < 50; ++i) {
    const Answer answer = client.Ask(Get(absl::StrCat("/", i)));
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, absl::StrCat("GET /", i, " "));
    EXPECT_FALSE(absl::StrContains(answer.head, "Connection"));
    EXPECT_FALSE(absl::StrContains(answer.head, "Keep-Alive"));
    EXPECT_FALSE(absl::StrContains(answer.head, "Accept-Ranges"));
    EXPECT_FALSE(absl::StrContains(answer.head, "Content-Type"));
  }
  EXPECT_TRUE(handler_.sent_whole.WaitFor(50));
  EXPECT_EQ(edge_->connections(), 1);
  client.Disconnect();
  EXPECT_TRUE(HasConnections(0));
}

TEST_F(EdgeTest, TargetsAndHeaderValuesArriveRaw) {
  Client client(port());
  EXPECT_EQ(client.Ask(Get("/a%2Fb%00?x?y&%zz", "X-A: 1%0D%0A%41\r\n")).body,
            "GET /a%2Fb%00?x?y&%zz 1%0D%0A%41");
  EXPECT_EQ(client.Ask(Get("http://other/a?b")).body, "GET /a?b ");
}

TEST_F(EdgeTest, RequestsInOneWriteAreAnsweredInOrder) {
  Client client(port());
  std::string all;
  for (int i = 0; i < 20; ++i) {
    all += i % 3 == 0   ? Put("/echo", absl::StrCat("body ", i))
           : i % 3 == 1 ? PutChunked("/echo", "3\r\nabc\r\n0\r\nT: x\r\n\r\n")
                        : Get(absl::StrCat("/", i));
  }
  ASSERT_TRUE(client.Send(all));
  for (int i = 0; i < 20; ++i) {
    const Answer answer = client.Read();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.body, i % 3 == 0   ? absl::StrCat("body ", i)
                           : i % 3 == 1 ? "abc"
                                        : absl::StrCat("GET /", i, " "));
  }
}

TEST_F(EdgeTest, RequestsByteByByteAreAnswered) {
  Client client(port());
  const std::string all = "\r\n" + Get("/a") + Put("/echo", "hello") +
                          PutChunked("/echo", "5\r\nhello\r\n0\r\n\r\n");
  std::thread sender([&] {
    for (const char c : all) ASSERT_TRUE(client.Send(std::string(1, c)));
  });
  sender.join();
  EXPECT_EQ(client.Read().body, "GET /a ");
  EXPECT_EQ(client.Read().body, "hello");
  EXPECT_EQ(client.Read().body, "hello");
}

TEST_F(EdgeTest, RefusesAmbiguousRequestsAndCloses) {
  const std::vector<std::pair<std::string, int>> cases = {
      {"PUT /a HTTP/1.1\r\nHost: h\r\n\r\n", 411},
      {"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: abc\r\n\r\nxyz", 400},
      {"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\nxyz", 400},
      {"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
       "Content-Length: 3\r\n\r\nxyz",
       400},
      {"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n"
       "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       400},
      {"PUT /a HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
      {"PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\nxyz", 400},
      {"GET /a HTTP/1.1\nHost: h\n\n", 400},
      {"GET /a HTTP/1.1\r\n\r\n", 400},
      {"GET /a HTTP/3.0\r\nHost: h\r\n\r\n", 505},
      {"PATCH /a HTTP/1.1\r\nHost: h\r\n\r\n", 405},
      {Get("/a", "Expect: tea\r\n"), 417},
      {Get("/" + std::string(8200, 'a')), 414},
      {Get("/a", "X: " + std::string(17000, 'a') + "\r\n"), 431},
      {"\x16\x03\x01\x02 TLS", 400},
  };
  for (const auto& [request, status] : cases) {
    Client client(port());
    client.Send(request);
    const Answer answer = client.Read();
    EXPECT_EQ(answer.status, status) << request.substr(0, 100);
    EXPECT_TRUE(Closes(answer));
    EXPECT_TRUE(absl::StrContains(answer.head, "application/problem+json"));
    EXPECT_TRUE(absl::StrContains(answer.body, absl::StrCat(status)));
    EXPECT_EQ(absl::StrContains(answer.head, "Allow: GET"), status == 405);
    EXPECT_TRUE(client.ReadToEnd()) << request.substr(0, 100);
  }
  EXPECT_EQ(handler_.rejected.value(), static_cast<int64_t>(cases.size()));
  EXPECT_EQ(handler_.requests.value(), 0);
}

TEST_F(EdgeTest, BrokenChunksAre400AndEndTheBody) {
  for (const absl::string_view chunks :
       {"-5\r\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n", "5\nhello", "zz\r\n",
        "ffffffffffffffff\r\nx", "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n"}) {
    Client client(port());
    const Answer answer = client.Ask(PutChunked("/echo", chunks));
    EXPECT_EQ(answer.status, 400) << chunks;
    EXPECT_TRUE(Closes(answer));
    EXPECT_TRUE(client.ReadToEnd());

    Client streaming(port());
    EXPECT_EQ(streaming.Ask(PutChunked("/count", chunks)).status, 400);
  }
  EXPECT_TRUE(handler_.aborts.WaitFor(6));
}

TEST_F(EdgeTest, BodiesAboveTheBoundOfReadBodyAre413) {
  Client client(port());
  EXPECT_EQ(client.Ask(Put("/echo", std::string(1000, 'x'))).body.size(),
            1000u);
  const Answer answer = client.Ask(Put("/echo", std::string(1001, 'x')));
  EXPECT_EQ(answer.status, 413);
  EXPECT_TRUE(Closes(answer));
  Client chunked(port());
  EXPECT_EQ(chunked
                .Ask(PutChunked("/echo", absl::StrCat(absl::Hex(1001), "\r\n",
                                                      std::string(1001, 'x'),
                                                      "\r\n0\r\n\r\n")))
                .status,
            413);
}

TEST_F(EdgeTest, ContinueIsSentWhenTheBodyIsWanted) {
  Client client(port());
  const std::string head =
      "PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"
      "Expect: 100-continue\r\n\r\n";
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(client.Ask(head).status, 100);
    EXPECT_EQ(client.Ask("hello").body, "hello");
  }
  // Who does not wait gets no interim answer.
  const Answer answer = client.Ask(head + "hello");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello");
}

TEST_F(EdgeTest, ContinueIsNotSentWhenTheAnswerIsKnown) {
  Client client(port());
  const Answer answer = client.Ask(
      "PUT /status/412 HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n"
      "Expect: 100-continue\r\n\r\n");
  EXPECT_EQ(answer.status, 412);
  EXPECT_TRUE(Closes(answer));
  EXPECT_TRUE(client.ReadToEnd());
  // Nor with a body that is too large anyway.
  Client large(port());
  EXPECT_EQ(large
                .Ask("PUT /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 5000\r\n"
                     "Expect: 100-continue\r\n\r\n")
                .status,
            413);
}

void SendPattern(Client* client, int64_t bytes) {
  constexpr int64_t kStep = 23 * 40000;
  const std::string step = Pattern(0, kStep);
  for (int64_t sent = 0; sent < bytes; sent += kStep) {
    ASSERT_TRUE(client->Send(absl::string_view(step).substr(
        0, std::min(kStep, bytes - sent))));
  }
}

TEST_F(EdgeTest, StreamsLongBodiesThroughAPausingSink) {
  constexpr int64_t kBytes = 100 << 20;
  for (const char* const target : {"/count?pauses", "/count"}) {
    Client client(port());
    ASSERT_TRUE(client.Send(absl::StrCat(
        "PUT ", target, " HTTP/1.1\r\nHost: h\r\nContent-Length: ", kBytes,
        "\r\n\r\n")));
    SendPattern(&client, kBytes);
    EXPECT_EQ(client.Read().body, absl::StrCat(kBytes, " same"));
    EXPECT_EQ(client.Ask(Get("/next")).body, "GET /next ");
  }
}

TEST_F(EdgeTest, StreamsChunkedBodies) {
  for (const char* const target : {"/count?pauses", "/count"}) {
    Client client(port());
    constexpr int64_t kChunk = 23 * 7000;
    ASSERT_TRUE(client.Send(PutChunked(target, "")));
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(client.Send(absl::StrCat(absl::Hex(kChunk), "\r\n",
                                           Pattern(0, kChunk), "\r\n")));
    }
    ASSERT_TRUE(client.Send("0\r\n\r\n"));
    EXPECT_EQ(client.Read().body, absl::StrCat(50 * kChunk, " same"));
    EXPECT_EQ(client.Ask(PutChunked(target, "0\r\n\r\n")).body, "0 same");
    EXPECT_EQ(client.Ask(Put(target, "")).body, "0 same");
  }
}

TEST_F(EdgeTest, AClientThatVanishesInItsBodyAbortsIt) {
  {
    Client client(port());
    ASSERT_TRUE(client.Send(absl::StrCat(
        "PUT /count HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")));
    SendPattern(&client, 500000);
    Client chunked(port());
    ASSERT_TRUE(chunked.Send(PutChunked("/count", "ff\r\nabc")));
    EXPECT_TRUE(handler_.requests.WaitFor(2));
  }
  EXPECT_TRUE(handler_.aborts.WaitFor(2));
  EXPECT_TRUE(HasConnections(0));
  EXPECT_EQ(handler_.sent_whole.value() + handler_.sent_broken.value(), 0);
}

TEST_F(EdgeTest, AnswersToClientsThatAreGoneAreDropped) {
  {
    Client client(port());
    ASSERT_TRUE(client.Send(Get("/hold")));
    EXPECT_TRUE(handler_.held.WaitFor(1));
  }
  handler_.ReleaseHeld("late");
  EXPECT_TRUE(HasConnections(0));
  ExpectServes();
}

TEST_F(EdgeTest, AClientThatEndsSendingStillGetsItsAnswer) {
  Client client(port());
  ASSERT_TRUE(client.Send(Get("/hold")));
  client.EndSending();
  EXPECT_TRUE(handler_.held.WaitFor(1));
  handler_.ReleaseHeld("answer");
  EXPECT_EQ(client.Read().body, "answer");
  EXPECT_TRUE(client.ReadToEnd());
}

TEST_F(EdgeTest, ShortUnreadBodiesAreDrained) {
  Client client(port());
  for (const std::string& request :
       {Put("/ignored", std::string(60000, 'x')),
        PutChunked("/ignored", "5\r\nhello\r\n0\r\n\r\n"),
        std::string("DELETE /ignored HTTP/1.1\r\nHost: h\r\n"
                    "Content-Length: 5\r\n\r\nhello"),
        Get("/ignored", "Content-Length: 3\r\n") + "abc"}) {
    const Answer answer = client.Ask(request);
    EXPECT_EQ(answer.status, 200);
    EXPECT_FALSE(Closes(answer));
  }
  EXPECT_EQ(client.Ask(Get("/next")).body, "GET /next ");
}

// The client sends all of its body before it reads, as many do.
TEST_F(EdgeTest, LongUnreadBodiesAreReadAwayAndClosed) {
  Client client(port());
  ASSERT_TRUE(client.Send(absl::StrCat(
      "PUT /status/507 HTTP/1.1\r\nHost: h\r\nContent-Length: ", 8 << 20,
      "\r\n\r\n")));
  SendPattern(&client, 8 << 20);
  const Answer answer = client.Read();
  EXPECT_EQ(answer.status, 507);
  EXPECT_TRUE(Closes(answer));
  EXPECT_TRUE(client.ReadToEnd());
  // Of unknown length: the answer could not know, but the end comes.
  Client chunked(port());
  ASSERT_TRUE(chunked.Send(PutChunked("/status/507", "")));
  EXPECT_EQ(chunked.Read().status, 507);
  std::string chunk = absl::StrCat(absl::Hex(99999), "\r\n", Pattern(0, 99999));
  ASSERT_TRUE(chunked.Send(chunk));
  EXPECT_TRUE(chunked.ReadToEnd());
}

TEST_F(EdgeTest, HeadHasTheLengthAndNoBody) {
  Client client(port());
  const auto head = [&](absl::string_view target) {
    const Answer answer =
        client.Ask(absl::StrCat("HEAD ", target, " HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_EQ(answer.body, "");
    return answer.head;
  };
  EXPECT_TRUE(absl::StrContains(head("/a"), "Content-Length: 8\r\n"));
  EXPECT_TRUE(absl::StrContains(head("/announce"), "Content-Length: 12345\r\n"));
  EXPECT_TRUE(
      absl::StrContains(head("/length/777"), "Content-Length: 777\r\n"));
  EXPECT_FALSE(absl::StrContains(head("/chunked/777"), "Content-Length"));
  EXPECT_EQ(client.Ask(Get("/next")).body, "GET /next ");
}

TEST_F(EdgeTest, StatusesWithoutBodyHaveNone) {
  Client client(port());
  for (const int status : {204, 304}) {
    const Answer answer = client.Ask(Get(absl::StrCat("/status/", status)));
    EXPECT_EQ(answer.status, status);
    EXPECT_FALSE(absl::StrContains(answer.head, "Content-Length"));
  }
  EXPECT_EQ(client.Ask(Get("/next")).body, "GET /next ");
}

TEST_F(EdgeTest, StreamsAnswers) {
  Client client(port());
  for (const int64_t bytes : {0, 1, 99999, 100000, 20 << 20}) {
    Answer answer = client.Ask(Get(absl::StrCat("/length/", bytes)));
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.body == Pattern(0, bytes)) << bytes;
    answer = client.Ask(Get(absl::StrCat("/chunked/", bytes)));
    EXPECT_EQ(answer.status, 200);
    EXPECT_TRUE(answer.body == Pattern(0, bytes)) << bytes;
  }
  EXPECT_TRUE(handler_.sent_whole.WaitFor(10));
  EXPECT_EQ(handler_.sent_bytes.value(), 2 * ((20 << 20) + 199999 + 1));
}

TEST_F(EdgeTest, ASourceThatFailsOrGivesLessResetsTheConnection) {
  for (const char* const target :
       {"/length/5000000/fails", "/chunked/5000000/fails", "/chunked/0/fails",
        "/length/100/short"}) {
    Client client(port());
    ASSERT_TRUE(client.Send(Get(target)));
    EXPECT_FALSE(client.ReadToEnd()) << target;
  }
  EXPECT_TRUE(handler_.sent_broken.WaitFor(4));
}

TEST_F(EdgeTest, Http10StaysOpenOnlyWhenAsked) {
  {
    Client client(port());
    const Answer answer = client.Ask("GET /a HTTP/1.0\r\n\r\n");
    EXPECT_EQ(answer.body, "GET /a ");
    EXPECT_TRUE(Closes(answer));
    EXPECT_TRUE(client.ReadToEnd());
  }
  {
    Client client(port());
    const std::string request =
        "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    EXPECT_TRUE(absl::StrContains(client.Ask(request).head,
                                  "Connection: keep-alive\r\n"));
    EXPECT_EQ(client.Ask(request).status, 200);
  }
  {
    // No chunks in HTTP/1.0: the end of the connection is the body's.
    Client client(port());
    const Answer answer = client.Ask(
        "GET /chunked/300000 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_FALSE(absl::StrContains(answer.head, "Transfer-Encoding"));
    EXPECT_TRUE(Closes(answer));
    EXPECT_TRUE(answer.body == Pattern(0, 300000));
  }
}

TEST_F(EdgeTest, ClosesWhenEitherSideSaysSo) {
  Client asks(port());
  EXPECT_TRUE(Closes(asks.Ask(Get("/a", "Connection: close\r\n"))));
  EXPECT_TRUE(asks.ReadToEnd());
  Client told(port());
  // What was sent behind it is not answered, nor does it reset the answer.
  const Answer answer = told.Ask(Get("/close") + Get("/next"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(Closes(answer));
  EXPECT_TRUE(told.ReadToEnd());
  EXPECT_EQ(handler_.requests.value(), 2);
}

TEST_F(EdgeTest, SlowHeadsAre408AndIdleConnectionsAreClosed) {
  options_.head_deadline_ms = 300;
  options_.idle_deadline_ms = 300;
  Client slow(port());
  ASSERT_TRUE(slow.Send("GET / HTTP/1.1\r\nHost"));
  EXPECT_EQ(slow.Read().status, 408);
  EXPECT_TRUE(slow.ReadToEnd());
  Client idle(port());
  EXPECT_EQ(idle.Ask(Get("/a")).status, 200);
  EXPECT_TRUE(idle.ReadToEnd());
  Client silent(port());
  EXPECT_TRUE(silent.ReadToEnd());
}

TEST_F(EdgeTest, SlowBodiesAre408AndAborted) {
  options_.rate_window_ms = 200;
  Client client(port());
  ASSERT_TRUE(client.Send(
      "PUT /count HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nabc"));
  EXPECT_EQ(client.Read().status, 408);
  EXPECT_TRUE(handler_.aborts.WaitFor(1));
}

TEST_F(EdgeTest, AClientThatDoesNotReadIsReset) {
  options_.rate_window_ms = 200;
  Client client(port(), 4096);
  ASSERT_TRUE(client.Send(Get("/length/200000000")));
  EXPECT_TRUE(handler_.sent_broken.WaitFor(1));
  EXPECT_TRUE(HasConnections(0));
}

TEST_F(EdgeTest, WaitingForTheHandlerHasNoDeadline) {
  options_.rate_window_ms = 100;
  options_.idle_deadline_ms = 100;
  options_.head_deadline_ms = 100;
  Client client(port());
  ASSERT_TRUE(client.Send(Put("/hold", "x")));
  EXPECT_TRUE(handler_.held.WaitFor(1));
  absl::SleepFor(absl::Milliseconds(500));
  handler_.ReleaseHeld("late");
  EXPECT_EQ(client.Read().body, "late");
}

TEST_F(EdgeTest, TooManyConnectionsAreToldSo) {
  options_.connections_max = 2;
  Client first(port());
  Client second(port());
  EXPECT_EQ(first.Ask(Get("/a")).status, 200);
  EXPECT_EQ(second.Ask(Get("/a")).status, 200);
  Client third(port());
  third.Send(Get("/a"));
  const Answer answer = third.Read();
  EXPECT_EQ(answer.status, 503);
  EXPECT_TRUE(absl::StrContains(answer.head, "Retry-After"));
  EXPECT_TRUE(third.ReadToEnd());
  third.Disconnect();
  first.Disconnect();
  EXPECT_TRUE(HasConnections(1));
  ExpectServes();
}

TEST_F(EdgeTest, OneAddressMayHaveFewerConnectionsThanAll) {
  options_.connections_per_ip_max = 1;
  Client first(port());
  EXPECT_EQ(first.Ask(Get("/a")).status, 200);
  Client second(port());
  EXPECT_EQ(second.Ask(Get("/a")).status, 503);
  first.Disconnect();
  second.Disconnect();
  EXPECT_TRUE(HasConnections(0));
  ExpectServes();
}

TEST_F(EdgeTest, ManyIdleConnectionsDoNotDisturb) {
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 2000; ++i) {
    clients.push_back(std::make_unique<Client>(port()));
    if (!clients.back()->connected()) break;  // The limit of open files.
    if (i % 2 == 0) {
      EXPECT_EQ(clients.back()->Ask(Get("/a")).status, 200);
    }
  }
  EXPECT_GE(clients.size(), 400u);
  ExpectServes();
  for (auto& client : clients) {
    if (!client->connected()) continue;
    EXPECT_EQ(client->Ask(Get("/b")).status, 200);
  }
  clients.clear();
  EXPECT_TRUE(HasConnections(0));
}

TEST_F(EdgeTest, DrainEndsIdleConnectionsAndAnswersRequestsUnderWay) {
  Client idle(port());
  EXPECT_EQ(idle.Ask(Get("/a")).status, 200);
  Client busy(port());
  ASSERT_TRUE(busy.Send(Get("/hold")));
  EXPECT_TRUE(handler_.held.WaitFor(1));
  std::thread drainer([this] { edge_->Drain(kPatienceMs); });
  EXPECT_TRUE(idle.ReadToEnd());
  EXPECT_TRUE(busy.IsSilent());
  handler_.ReleaseHeld("last");
  const Answer answer = busy.Read();
  EXPECT_EQ(answer.body, "last");
  EXPECT_TRUE(Closes(answer));
  EXPECT_TRUE(busy.ReadToEnd());
  drainer.join();
  EXPECT_EQ(edge_->connections(), 0);
  EXPECT_FALSE(Client(edge_->port()).connected());
}

TEST_F(EdgeTest, DrainCutsOffWhatTakesTooLong) {
  Client busy(port());
  ASSERT_TRUE(busy.Send(Get("/hold")));
  Client upload(port());
  ASSERT_TRUE(upload.Send(
      "PUT /count HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc"));
  EXPECT_TRUE(handler_.requests.WaitFor(2));
  edge_->Drain(50);
  EXPECT_EQ(edge_->connections(), 0);
  EXPECT_EQ(handler_.aborts.value(), 1);
  handler_.ReleaseHeld("nobody hears it");
  EXPECT_EQ(busy.Read().status, 0);
}

TEST_F(EdgeTest, ATakenPortIsNamed) {
  Start();
  EdgeOptions options;
  options.listen = absl::StrCat("127.0.0.1:", edge_->port());
  const auto second = StartEdge(options, &handler_);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(
      absl::StrContains(second.status().message(), options.listen));
  options.listen = "nonsense";
  EXPECT_EQ(StartEdge(options, &handler_).status().code(),
            absl::StatusCode::kInvalidArgument);
}

// Answers from other threads, many connections, both reactors.
TEST_F(EdgeTest, AnswersFromOtherThreadsReachTheirClients) {
  constexpr int kClients = 16;
  constexpr int kRequests = 200;
  std::atomic<bool> stop{false};
  port();
  std::thread answering([&] {
    while (!stop) handler_.ReleaseHeld("x");
  });
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; ++i) {
    threads.emplace_back([this] {
      Client client(edge_->port());
      for (int j = 0; j < kRequests; ++j) {
        ASSERT_EQ(client.Ask(Get("/hold")).body, "x");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  stop = true;
  answering.join();
  EXPECT_EQ(handler_.requests.value(), kClients * kRequests);
  EXPECT_GT(handler_.rounds.value(), 0);
}

}  // namespace
}  // namespace cairn::http
