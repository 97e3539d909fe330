// The edge over real sockets.

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gateway/http/edge_test_fixture.h"
#include "gateway/http/exchange.h"

namespace cairn::http {
namespace {

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
    ASSERT_TRUE(client->Send(
        absl::string_view(step).substr(0, std::min(kStep, bytes - sent))));
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
      ASSERT_TRUE(client.Send(
          absl::StrCat(absl::Hex(kChunk), "\r\n", Pattern(0, kChunk), "\r\n")));
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
    const Answer answer = client.Ask(
        absl::StrCat("HEAD ", target, " HTTP/1.1\r\nHost: h\r\n\r\n"));
    EXPECT_EQ(answer.body, "");
    return answer.head;
  };
  EXPECT_TRUE(absl::StrContains(head("/a"), "Content-Length: 8\r\n"));
  EXPECT_TRUE(
      absl::StrContains(head("/announce"), "Content-Length: 12345\r\n"));
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

// Client and edge share the limit here: each connection takes two.
TEST_F(EdgeTest, RunningOutOfDescriptorsDropsClientsUntilSomeAreFree) {
  ExpectServes();
  ASSERT_TRUE(HasConnections(0));
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int lowest_free = dup(STDIN_FILENO);
  ASSERT_GE(lowest_free, 0);
  close(lowest_free);
  rlimit tight = before;
  tight.rlim_cur = lowest_free + 5;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  {
    Client first(port());
    Client second(port());
    EXPECT_EQ(first.Ask(Get("/a")).status, 200);
    EXPECT_EQ(second.Ask(Get("/a")).status, 200);
    Client third(port());
    EXPECT_EQ(third.Ask(Get("/a")).status, 0);
    EXPECT_EQ(first.Ask(Get("/b")).status, 200);
  }
  ASSERT_TRUE(HasConnections(0));
  ExpectServes();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(EdgeTest, ListensWhereItIsTold) {
  for (const char* const address : {"localhost:0", "[::1]:0", "0.0.0.0:0"}) {
    options_.listen = address;
    const auto edge = StartEdge(options_, &handler_);
    if (!edge.ok() && absl::StrContains(address, "::")) continue;  // No IPv6.
    ASSERT_TRUE(edge.ok()) << edge.status();
    EXPECT_GT((*edge)->port(), 0);
  }
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
  EXPECT_TRUE(absl::StrContains(second.status().message(), options.listen));
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
