#include "gateway/http/head_parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace cairn::http {
namespace {

HeadResult Parse(absl::string_view text, ParsedHead* out) {
  size_t scanned = 0;
  return ParseHead(text, HeadLimits(), &scanned, out);
}

// 0: complete; -1: incomplete; else the status of the refusal.
int Verdict(absl::string_view text) {
  ParsedHead parsed;
  const HeadResult result = Parse(text, &parsed);
  switch (result.state) {
    case HeadState::kComplete:
      return 0;
    case HeadState::kIncomplete:
      return -1;
    case HeadState::kRefused:
      EXPECT_FALSE(result.sentence.empty());
      return result.status;
  }
  return 0;
}

// A GET of /a with these header lines.
std::string Get(absl::string_view headers) {
  return absl::StrCat("GET /a HTTP/1.1\r\nHost: h\r\n", headers, "\r\n");
}
std::string Put(absl::string_view headers) {
  return absl::StrCat("PUT /a HTTP/1.1\r\nHost: h\r\n", headers, "\r\n");
}

struct Case {
  std::string text;
  int verdict;
};

void CheckAll(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    EXPECT_EQ(Verdict(c.text), c.verdict) << c.text.substr(0, 200);
  }
}

TEST(HeadParserTest, TakesAHeadApart) {
  ParsedHead parsed;
  const std::string text =
      "PUT /a%2Fb%00?x?y HTTP/1.1\r\nHost: example.org:3000\r\n"
      "X-Percent: a%0D%0Ab \r\nCONTENT-length:\t 12\r\n"
      "Expect: 100-Continue\r\n\r\nhello";
  const HeadResult result = Parse(text, &parsed);
  ASSERT_EQ(result.state, HeadState::kComplete);
  EXPECT_EQ(result.consumed, text.size() - 5);
  EXPECT_EQ(parsed.head.method, "PUT");
  EXPECT_EQ(parsed.head.target, "/a%2Fb%00?x?y");
  EXPECT_EQ(parsed.head.Header("x-percent"), "a%0D%0Ab");
  EXPECT_EQ(parsed.head.content_length, 12);
  EXPECT_FALSE(parsed.head.http10);
  EXPECT_FALSE(parsed.chunked);
  EXPECT_TRUE(parsed.keep_alive);
  EXPECT_TRUE(parsed.expects_continue);
  EXPECT_TRUE(parsed.head.HasHeader("host"));
  EXPECT_FALSE(parsed.head.HasHeader("Host"));
  EXPECT_EQ(parsed.head.Header("absent"), "");
}

TEST(HeadParserTest, SaysWhetherTheConnectionStays) {
  const auto keep_alive = [](absl::string_view version,
                             absl::string_view headers) {
    ParsedHead parsed;
    EXPECT_EQ(Parse(absl::StrCat("GET / ", version, "\r\nHost: h\r\n", headers,
                                 "\r\n"),
                    &parsed)
                  .state,
              HeadState::kComplete);
    return parsed.keep_alive;
  };
  EXPECT_TRUE(keep_alive("HTTP/1.1", ""));
  EXPECT_FALSE(keep_alive("HTTP/1.1", "Connection: Close\r\n"));
  EXPECT_FALSE(keep_alive("HTTP/1.1", "Connection: x, close\r\n"));
  EXPECT_TRUE(keep_alive("HTTP/1.1", "Connection: closed\r\n"));
  EXPECT_FALSE(keep_alive("HTTP/1.0", ""));
  EXPECT_TRUE(keep_alive("HTTP/1.0", "Connection: Keep-Alive\r\n"));
}

TEST(HeadParserTest, RequestLines) {
  CheckAll({
      {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
      {"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
      {"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 0},
      {"\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"", -1},
      {"\r", -1},
      {"G", -1},
      {"GET / HTTP/1.1\r\nHost: h\r\n\r", -1},
      {"GET / HTTP/1.1\nHost: h\n\n", 400},
      {"GET / HTTP/1.1\r\nHost: h\n\r\n", 400},
      {"GET /a\rb HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
      {"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {absl::StrCat("GET /", std::string(1, '\0'),
                    " HTTP/1.1\r\nHost: h\r\n\r\n"),
       400},
      {"GET /\x7f HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /\xc3\xa9 HTTP/1.1\r\nHost: h\r\n\r\n", 0},
      {"GET /\"<>[]^`{|}\\ HTTP/1.1\r\nHost: h\r\n\r\n", 0},
      {"GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET ftp://h/a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /\r\n\r\n", 400},
      {"get / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"PATCH / HTTP/1.1\r\nHost: h\r\n\r\n", 405},
      {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 405},
      {"CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n", 405},
      {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\n", 505},
      {"GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400},
      {"GET / http/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET / HTTP/1.1x\r\nHost: h\r\n\r\n", 400},
      {"\x16\x03\x01", 400},
  });
}

TEST(HeadParserTest, AbsoluteTargetsLoseTheirHost) {
  const auto target = [](absl::string_view given) {
    ParsedHead parsed;
    EXPECT_EQ(Parse(absl::StrCat("GET ", given, " HTTP/1.1\r\nHost: h\r\n\r\n"),
                    &parsed)
                  .state,
              HeadState::kComplete)
        << given;
    return parsed.head.target;
  };
  EXPECT_EQ(target("http://h/a%2F?list"), "/a%2F?list");
  EXPECT_EQ(target("HTTPS://h:1/"), "/");
  EXPECT_EQ(target("http://h"), "/");
  EXPECT_EQ(target("http://h?list"), "/?list");
  EXPECT_EQ(target("//h/a"), "//h/a");
}

TEST(HeadParserTest, Headers) {
  CheckAll({
      {Get(""), 0},
      {Get("A: b\r\n"), 0},
      {Get("A:\r\n"), 0},
      {Get("A: \xff\t b\r\n"), 0},
      {Get("A : b\r\n"), 400},
      {Get(" A: b\r\n"), 400},
      {Get("A: b\r\n folded\r\n"), 400},
      {Get("A: b\r\n\tfolded\r\n"), 400},
      {Get(": b\r\n"), 400},
      {Get("no colon\r\n"), 400},
      {Get("A(: b\r\n"), 400},
      {Get("\xff: b\r\n"), 400},
      {Get("A: b\rc\r\n"), 400},
      {Get("A: b\nc\r\n"), 400},
      {Get(absl::StrCat("A: b", std::string(1, '\0'), "\r\n")), 400},
      {Get("A: b\x7f\r\n"), 400},
      {Get("A: b\x01\r\n"), 400},
      {Get("Expect: 100-continue\r\n"), 0},
      {Get("Expect: 200-ok\r\n"), 417},
      {Get("Host: h\r\n"), 400},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"GET / HTTP/1.0\r\n\r\n", 0},
      {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 0},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n", 400},
      {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0},
  });
}

TEST(HeadParserTest, Lengths) {
  CheckAll({
      {Put("Content-Length: 0\r\n"), 0},
      {Put("Content-Length: 007\r\n"), 0},
      {Put("Content-Length: 9223372036854775807\r\n"), 0},
      {Put("Content-Length: 9223372036854775808\r\n"), 400},
      {Put("Content-Length: 99999999999999999999999\r\n"), 400},
      {Put("Content-Length: abc\r\n"), 400},
      {Put("Content-Length: -1\r\n"), 400},
      {Put("Content-Length: +1\r\n"), 400},
      {Put("Content-Length: 1 2\r\n"), 400},
      {Put("Content-Length: 5, 5\r\n"), 400},
      {Put("Content-Length: 0x5\r\n"), 400},
      {Put("Content-Length: 5.0\r\n"), 400},
      {Put("Content-Length:\r\n"), 400},
      {Put("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
      {Put("Content-Length : 5\r\n"), 400},
      {Put(""), 411},
      {"POST /a HTTP/1.1\r\nHost: h\r\n\r\n", 411},
      {"PUT /a HTTP/1.0\r\n\r\n", 411},
      {"DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n", 0},
      {Put("Transfer-Encoding: chunked\r\n"), 0},
      {Put("Transfer-Encoding: Chunked\r\n"), 0},
      {Put("Transfer-Encoding: gzip, chunked\r\n"), 501},
      {Put("Transfer-Encoding: identity\r\n"), 501},
      {Put("Transfer-Encoding: chunked;a=b\r\n"), 501},
      {Put("Transfer-Encoding: xchunked\r\n"), 501},
      {Put("Transfer-Encoding:\r\n"), 501},
      {Put("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
       400},
      {Put("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
      {Put("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
      {"PUT /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
  });
}

// A request line of `bytes` bytes.
std::string Line(size_t bytes) {
  const std::string rest = "GET / HTTP/1.1";
  return absl::StrCat("GET /", std::string(bytes - rest.size(), 'a'),
                      " HTTP/1.1");
}

TEST(HeadParserTest, LimitsHoldOnBothSides) {
  EXPECT_EQ(Line(8192).size(), 8192u);
  EXPECT_EQ(Verdict(Line(8192) + "\r\nHost: h\r\n\r\n"), 0);
  EXPECT_EQ(Verdict(Line(8193) + "\r\nHost: h\r\n\r\n"), 414);
  // The same before the end of the line is there.
  EXPECT_EQ(Verdict(Line(8192)), -1);
  EXPECT_EQ(Verdict(Line(8192) + "\r"), -1);
  EXPECT_EQ(Verdict(Line(8193)), 414);

  const std::string empty = Get("A: \r\n");
  const size_t rest = (16 << 10) - empty.size();
  EXPECT_EQ(Verdict(Get(absl::StrCat("A: ", std::string(rest, 'x'), "\r\n"))),
            0);
  EXPECT_EQ(
      Verdict(Get(absl::StrCat("A: ", std::string(rest + 1, 'x'), "\r\n"))),
      431);
  EXPECT_EQ(Verdict("GET / HTTP/1.1\r\nA: " + std::string(16 << 10, 'x')), 431);

  std::string headers;
  for (int i = 0; i < 99; ++i) headers += "A: b\r\n";
  EXPECT_EQ(Verdict(Get(headers)), 0);  // With Host: 100.
  EXPECT_EQ(Verdict(Get(headers + "A: b\r\n")), 431);
}

TEST(HeadParserTest, BytesOfABodyDoNotCountAsHead) {
  EXPECT_EQ(
      Verdict(Put("Content-Length: 40000\r\n") + std::string(40000, '\n')), 0);
}

// Whatever the cuts, the verdict is that of the whole.
TEST(HeadParserTest, ComingByteByByteChangesNothing) {
  const std::string text =
      "\r\nPUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc";
  size_t scanned = 0;
  for (size_t size = 0; size <= text.size(); ++size) {
    ParsedHead parsed;
    const HeadResult result = ParseHead(absl::string_view(text).substr(0, size),
                                        HeadLimits(), &scanned, &parsed);
    if (size < text.size() - 3) {
      ASSERT_EQ(result.state, HeadState::kIncomplete) << size;
    } else {
      ASSERT_EQ(result.state, HeadState::kComplete) << size;
      EXPECT_EQ(result.consumed, text.size() - 3);
      EXPECT_EQ(parsed.head.content_length, 3);
      return;
    }
  }
}

// Random damage to a good head: never a crash, and never a head that is not
// as strict as promised.
TEST(HeadParserTest, RandomDamageIsRefusedOrHarmless) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  const std::string good =
      "PUT /a%20b?x HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\n"
      "Connection: keep-alive\r\nX-A: b\r\n\r\n";
  const absl::string_view bytes = absl::string_view(
      "\r\n\0 :\t/#\x7f\xff"
      "1aZ,;",
      16);
  for (int round = 0; round < 100000; ++round) {
    std::string text = good;
    for (int edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text[at] = bytes[random() % bytes.size()];
          break;
        case 1:
          text.insert(at, 1, bytes[random() % bytes.size()]);
          break;
        default:
          text.erase(at, 1 + random() % 4);
      }
    }
    ParsedHead parsed;
    const HeadResult result = Parse(text, &parsed);
    if (result.state != HeadState::kComplete) continue;
    ASSERT_LE(result.consumed, text.size());
    ASSERT_EQ(text.substr(result.consumed - 4, 4), "\r\n\r\n");
    ASSERT_EQ(parsed.head.target.front(), '/');
    ASSERT_TRUE(parsed.chunked || parsed.head.content_length >= 0);
    for (const auto& [name, value] : parsed.head.headers) {
      ASSERT_FALSE(name.empty());
      ASSERT_EQ((name + value).find_first_of("\r\n\0", 0, 3),
                std::string::npos);
    }
  }
}

}  // namespace
}  // namespace cairn::http
