#include "gateway/http/answer_head.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace cairn::http {
namespace {

// Without the Date, which must be there.
std::string Form(const Response& response, const AnswerFraming& framing) {
  AnswerHead former;
  std::string head = former.Form(response, framing);
  const size_t date = head.find("Date: ");
  EXPECT_NE(date, std::string::npos) << head;
  if (date == std::string::npos) return head;
  const size_t end = head.find("\r\n", date) + 2;
  EXPECT_EQ(end - date,
            std::string("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n").size());
  head.erase(date, end - date);
  return head;
}

TEST(AnswerHeadTest, HasWhatWasGivenAndNothingElse) {
  Response response;
  response.status = 200;
  response.headers = {{"Content-Type", "text/html"}, {"X-A", "1%0D%0A2"}};
  AnswerFraming framing;
  framing.content_length = 5;
  EXPECT_EQ(Form(response, framing),
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: "
            "text/html\r\nX-A: 1%0D%0A2\r\n\r\n");
  response.headers = {};
  EXPECT_EQ(Form(response, AnswerFraming()), "HTTP/1.1 200 OK\r\n\r\n");
  framing = AnswerFraming();
  framing.chunked = true;
  framing.close = true;
  EXPECT_EQ(Form(response, framing),
            "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: "
            "chunked\r\n\r\n");
  framing = AnswerFraming();
  framing.say_keep_alive = true;
  EXPECT_EQ(Form(response, framing),
            "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
}

TEST(AnswerHeadTest, LeavesOutWhatCouldSplitOrMisframeTheAnswer) {
  Response response;
  response.headers = {{"A", "b\r\nSet-Cookie: x"},
                      {"A\r\nB", "c"},
                      {"", "d"},
                      {"content-LENGTH", "7"},
                      {"Transfer-Encoding", "x"},
                      {"Connection", "x"},
                      {"A b", "c"},
                      {"Good", "\xff tab\t"}};
  EXPECT_EQ(Form(response, AnswerFraming()),
            "HTTP/1.1 200 OK\r\nGood: \xff tab\t\r\n\r\n");
}

TEST(AnswerHeadTest, NamesEveryStatus) {
  for (const int status :
       {200, 201, 204, 206, 302, 304, 400, 401, 403, 404, 405, 408, 409, 411,
        412, 413, 414, 416, 417, 429, 431, 500, 501, 503, 504, 505, 507}) {
    Response response;
    response.status = status;
    EXPECT_EQ(Form(response, AnswerFraming()),
              absl::StrCat("HTTP/1.1 ", status, " ", ReasonPhrase(status),
                           "\r\n\r\n"));
  }
}

TEST(AnswerHeadTest, ProblemsAreJson) {
  const Response response = ProblemResponse(503, "say \"again\"");
  EXPECT_EQ(response.body,
            "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\","
            "\"status\":503,\"detail\":\"say \\\"again\\\"\"}\n");
  EXPECT_TRUE(
      absl::StrContains(Form(response, AnswerFraming()), "Retry-After: 1\r\n"));
}

std::vector<std::string> SortedLines(const std::string& head) {
  std::vector<std::string> lines = absl::StrSplit(head, "\r\n");
  std::sort(lines.begin(), lines.end());
  return lines;
}

// Both read the clock, so a second may pass between them: some tries.
TEST(AnswerHeadTest, BothWaysFormTheSame) {
  AnswerHead former;
  for (const int status : {200, 201, 204, 206, 302, 304, 404, 412, 503}) {
    for (const bool chunked : {false, true}) {
      Response response;
      response.status = status;
      response.headers = {{"ETag", "\"9\""},
                          {"Location", "http://h/1?a=%25&b=c"},
                          {"X-Cairn-Meta-A", "1"},
                          {"X-Cairn-Meta-B", "2\r\nC: 3"},
                          {"Connection", "upgrade"},
                          {"Vary", "a"},
                          {"Vary", "b"}};
      AnswerFraming framing;
      framing.chunked = chunked;
      if (!chunked) framing.content_length = status;
      framing.close = status == 404;
      framing.say_keep_alive = status == 200;
      bool same = false;
      for (int i = 0; i < 5 && !same; ++i) {
        const std::string one = former.FormDirectly(response, framing);
        const std::string other = former.FormWithHttplib(response, framing);
        same =
            SortedLines(one) == SortedLines(other) &&
            one.substr(0, one.find('\n')) == other.substr(0, other.find('\n'));
        if (i == 4) EXPECT_EQ(one, other);
      }
      EXPECT_TRUE(same) << status;
    }
  }
}

// The bound is ten times what it takes, for slow machines and sanitizers; the
// figure is for docs/performance.md.
TEST(AnswerHeadTest, CostsLittle) {
  AnswerHead former;
  Response response;
  response.headers = {{"Content-Type", "application/octet-stream"},
                      {"ETag", "\"900150983cd24fb0d6963f7d28e17f72\""},
                      {"Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"},
                      {"X-Request-Id", "0123456789"}};
  AnswerFraming framing;
  framing.content_length = 1024;
  constexpr int kRounds = 20000;
  size_t bytes = 0;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < kRounds; ++i) {
    bytes += former.Form(response, framing).size();
  }
  const double us = std::chrono::duration<double, std::micro>(
                        std::chrono::steady_clock::now() - start)
                        .count() /
                    kRounds;
  EXPECT_GT(bytes, 0u);
  RecordProperty("us_per_head", absl::StrCat(us));
  printf("%.2f us a head\n", us);
  EXPECT_LT(us, 100);
}

}  // namespace
}  // namespace cairn::http
