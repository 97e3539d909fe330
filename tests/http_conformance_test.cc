// Requests as they should be, and as they should not, byte for byte through
// the real gateway: what is framed badly is refused and stores nothing, and no
// byte of a body is ever taken for a request.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/both_reads.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr char kHost[] = "Host: h\r\n";

class HttpConformanceTest : public BothReadsTest {
 protected:
  static bool Exists(const std::string& target) {
    const int status = Ask("HEAD", target).status;
    EXPECT_TRUE(status == 200 || status == 404) << status;
    return status == 200;
  }

  static void ExpectProblem(const Reply& reply, int status) {
    EXPECT_EQ(reply.status, status);
    EXPECT_EQ(reply.Header("Content-Type"), "application/problem+json");
    EXPECT_THAT(reply.body, HasSubstr(absl::StrCat("\"status\":", status)));
    EXPECT_THAT(reply.body, HasSubstr("\"detail\":\""));
  }

  // The next request is answered as itself, or the connection has ended.
  static void ExpectInStep(Connection* connection, const Reply& last) {
    if (absl::EqualsIgnoreCase(last.Header("Connection"), "close")) {
      EXPECT_TRUE(connection->AtEnd());
      return;
    }
    connection->Send("GET /no-such-key HTTP/1.1\r\nHost: h\r\n\r\n");
    const Reply reply = connection->Read();
    EXPECT_TRUE(reply.status == 404 ||
                (reply.status == 0 && connection->AtEnd()))
        << reply.status << reply.body;
  }
};
INSTANTIATE_BOTH_READS(HttpConformanceTest);

TEST_P(HttpConformanceTest, BadFramingIsRefusedAndEndsTheConnection) {
  const std::string chunks = "3\r\nabc\r\n0\r\n\r\n";
  const std::string both =
      "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n";
  const struct {
    std::string headers;
    std::string body;
    int status;
  } kCases[] = {
      {"", "abc", 411},
      {"Content-Length: \r\n", "abc", 400},
      {"Content-Length: abc\r\n", "abc", 400},
      {"Content-Length: -3\r\n", "abc", 400},
      {"Content-Length: +3\r\n", "abc", 400},
      {"Content-Length: 3, 3\r\n", "abc", 400},
      {"Content-Length: 0x3\r\n", "abc", 400},
      {"Content-Length: 99999999999999999999\r\n", "abc", 400},
      {"Content-Length : 3\r\n", "abc", 400},
      {" Content-Length: 3\r\n", "abc", 400},
      {"Content-Length: 3\r\nContent-Length: 3\r\n", "abc", 400},
      {"Content-Length: 3\r\nContent-Length: 0\r\n", "abc", 400},
      {both, chunks, 400},
      {"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", chunks, 400},
      {"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", chunks,
       400},
      {"Transfer-Encoding: gzip\r\n", "abc", 501},
      {"Transfer-Encoding: gzip, chunked\r\n", chunks, 501},
      {"Transfer-Encoding: identity\r\nContent-Length: 3\r\n", "abc", 400},
      {"Content-Length: 5497558138881\r\n", "abc", 413},
      {"X: a\rb\r\nContent-Length: 3\r\n", "abc", 400},
      {"X: a\nContent-Length: 3\r\n", "abc", 400},
      {"X\r\nContent-Length: 3\r\n", "abc", 400},
      {"Host: other\r\nContent-Length: 3\r\n", "abc", 400},
      {"Expect: tea\r\nContent-Length: 3\r\n", "abc", 417},
      {"X: " + std::string(17000, 'x') + "\r\nContent-Length: 3\r\n", "abc",
       431},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.headers.substr(0, 80));
    Connection connection(port());
    connection.Send(absl::StrCat("PUT /bad HTTP/1.1\r\n", kHost, c.headers,
                                 "\r\n", c.body, "PUT /smuggled HTTP/1.1\r\n",
                                 kHost, "Content-Length: 1\r\n\r\nx"));
    const Reply reply = connection.Read();
    ExpectProblem(reply, c.status);
    EXPECT_EQ(reply.Header("Connection"), "close");
    EXPECT_TRUE(connection.AtEnd());
  }
  EXPECT_FALSE(Exists("/bad"));
  EXPECT_FALSE(Exists("/smuggled"));
}

TEST_P(HttpConformanceTest, RequestLinesUpTo8KiBAreTaken) {
  ASSERT_EQ(Put("/lines/small", "small").status, 201);
  ASSERT_EQ(Put("/lines/large", Bytes(kSizes[1])).status, 201);
  const auto target = [](const std::string& method, const std::string& key,
                         size_t line_bytes) {
    const std::string start = method + " " + key + "?pad=";
    const std::string end = " HTTP/1.1";
    return absl::StrCat(
        key, "?pad=", std::string(line_bytes - start.size() - end.size(), 'x'));
  };
  EXPECT_EQ(Read(target("GET", "/lines/small", 8192)).body, "small");
  EXPECT_EQ(Read(target("GET", "/lines/large", 8192)).body, Bytes(kSizes[1]));
  EXPECT_EQ(Put(target("PUT", "/lines/small", 8192), "new").status, 204);
  ExpectProblem(Read(target("GET", "/lines/small", 8193)), 414);
  ExpectProblem(Put(target("PUT", "/lines/small", 8193), "newer"), 414);
  ExpectProblem(Read("/" + std::string(100000, 'x')), 414);
  EXPECT_EQ(Read("/lines/small").body, "new");
}

TEST_P(HttpConformanceTest, RequestsInOneWriteAreAnsweredInOrder) {
  const std::string large = Bytes(kSizes[2]);
  const auto with = [](const std::string& line, const std::string& rest) {
    return absl::StrCat(line, " HTTP/1.1\r\n", kHost, rest);
  };
  const std::string chunked = "Transfer-Encoding: chunked\r\n\r\n";
  Connection connection(port());
  ASSERT_TRUE(connection.Send(absl::StrCat(
      with("PUT /pipe/a", "Content-Length: 3\r\n\r\nbar"),
      with("PUT /pipe/b", chunked + "2\r\nba\r\n1\r\nz\r\n0\r\n\r\n"),
      with("GET /pipe/a", "\r\n"), with("HEAD /pipe/b", "\r\n"),
      with("GET /pipe/b", "\r\n"),
      with("POST /pipe/a", "Content-Length: 2\r\n\r\nno"),
      with("PUT /pipe/c",
           absl::StrCat("Content-Length: ", large.size(), "\r\n\r\n", large)),
      with("GET /pipe/?list", "\r\n"), with("DELETE /pipe/a", "\r\n"),
      with("GET /pipe/a", "\r\n"), with("GET /pipe/c", "\r\n"))));
  EXPECT_EQ(connection.Read().status, 201);
  EXPECT_EQ(connection.Read().status, 201);
  EXPECT_EQ(connection.Read().body, "bar");
  EXPECT_EQ(connection.Read(/*head_only=*/true).Header("Content-Length"), "3");
  EXPECT_EQ(connection.Read().body, "baz");
  EXPECT_EQ(connection.Read().status, 409);
  EXPECT_EQ(connection.Read().status, 201);
  EXPECT_EQ(connection.Read().body,
            R"({"next":"","keys":["/pipe/a","/pipe/b","/pipe/c"]})");
  EXPECT_EQ(connection.Read().status, 204);
  EXPECT_EQ(connection.Read().status, 404);
  const Reply last = connection.Read();
  if (GetParam() == "redirect") {
    EXPECT_EQ(last.status, 302);
  } else {
    EXPECT_EQ(last.body, large);
  }
}

TEST_P(HttpConformanceTest, ContinueComesBeforeTheBodyThatIsWanted) {
  Connection connection(port());
  for (const int size : kSizes) {
    connection.Send(absl::StrCat(
        "PUT /expect/yes HTTP/1.1\r\n", kHost,
        "Expect: 100-Continue\r\nContent-Length: ", size, "\r\n\r\n"));
    EXPECT_EQ(connection.Read().status, 100);
    connection.Send(Bytes(size));
    EXPECT_EQ(connection.Read().status, size == kSizes[0] ? 201 : 204);
    EXPECT_EQ(Read("/expect/yes").body, Bytes(size));
  }
  // With nothing to wait for.
  connection.Send(absl::StrCat("PUT /expect/yes HTTP/1.1\r\n", kHost,
                               "Expect: 100-continue\r\n"
                               "Content-Length: 0\r\n\r\n"));
  EXPECT_EQ(connection.Read().status, 204);
}

TEST_P(HttpConformanceTest, ARefusedExpectationGetsNoContinue) {
  ASSERT_EQ(Put("/expect/no", "old").status, 201);
  const struct {
    const char* line;
    const char* headers;
    int status;
  } kCases[] = {
      {"PUT /expect/no", "If-None-Match: *\r\nContent-Length: 60\r\n", 412},
      {"PUT /expect/no", "If-Match: \"x\"\r\nContent-Length: 60\r\n", 412},
      {"PUT /expect/no", "If-Match: \"x\"\r\nContent-Length: 99999\r\n", 412},
      {"PUT /expect/no", "If-None-Match: *\r\nTransfer-Encoding: chunked\r\n",
       412},
      {"POST /expect/no", "Content-Length: 60\r\n", 409},
      {"PUT /expect/no", "Content-Length: 5497558138881\r\n", 413},
      {"PUT /expect/no", "Content-MD5: x\r\nContent-Length: 60\r\n", 400},
      {"PUT /expect/%zz", "Content-Length: 60\r\n", 400},
      {"PUT /expect/no", "", 411},
  };
  for (const auto& c : kCases) {
    // A client that sends its body all the same, or another request.
    for (const char* rest : {"",
                             "DELETE /expect/no HTTP/1.1\r\nHost: h\r\n"
                             "X: of 60 bytes\r\n\r\n"}) {
      SCOPED_TRACE(absl::StrCat(c.line, c.headers, rest));
      Connection connection(port());
      connection.Send(absl::StrCat(c.line, " HTTP/1.1\r\n", kHost, c.headers,
                                   "Expect: 100-continue\r\n\r\n"));
      const Reply reply = connection.Read();
      ExpectProblem(reply, c.status);
      connection.Send(rest);
      ExpectInStep(&connection, reply);
    }
  }
  EXPECT_EQ(Read("/expect/no").body, "old");
}

TEST_P(HttpConformanceTest, ChunksWithExtensionsAndTrailersArePutTogether) {
  const std::string large = Bytes(kSizes[2]);
  const struct {
    std::string chunks;
    std::string value;
  } kCases[] = {
      {"0\r\n\r\n", ""},
      {"3\r\nbar\r\n0\r\n\r\n", "bar"},
      {"1\r\nb\r\n1\r\na\r\n1\r\nr\r\n000\r\n\r\n", "bar"},
      {"0000003;x=y;z=\"1\"\r\nbar\r\n0;last\r\n\r\n", "bar"},
      {"3\r\nbar\r\n0\r\nX-Cairn-Meta-A: late\r\nContent-MD5: x\r\n\r\n",
       "bar"},
      {"C\r\n0\r\n\r\nGET / H\r\n0\r\n\r\n", "0\r\n\r\nGET / H"},
      {absl::StrCat("1387\r\n", large.substr(0, 4999), "\r\n1\r\n",
                    large.substr(4999, 1), "\r\n0\r\n\r\n"),
       large.substr(0, 5000)},
      {absl::StrCat("186A0\r\n", large, "\r\n0\r\n\r\n"), large},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.chunks.substr(0, 80));
    const Reply put =
        Ask("PUT", "/chunks", "Transfer-Encoding: Chunked\r\n", c.chunks);
    EXPECT_EQ(put.status / 100, 2);
    const Reply reply = Read("/chunks");
    EXPECT_EQ(reply.body, c.value);
    EXPECT_EQ(Ask("HEAD", "/chunks").CountOf("x-cairn-meta-a"), 0);
  }
}

TEST_P(HttpConformanceTest, BrokenChunksStoreNothing) {
  for (const char* chunks :
       {"-3\r\nbar\r\n0\r\n\r\n", "+3\r\nbar\r\n0\r\n\r\n",
        "0x3\r\nbar\r\n0\r\n\r\n", " 3\r\nbar\r\n0\r\n\r\n",
        "3 \r\nbar\r\n0\r\n\r\n", "\r\nbar\r\n0\r\n\r\n", "3\nbar\n0\n\n",
        "3\r\nbarX\r\n0\r\n\r\n", "zz\r\n", "ffffffffffffffff\r\nbar",
        "10000000000000003\r\nbar\r\n0\r\n\r\n",
        "3\r\nbar\r\n0\r\nno colon\r\n\r\n",
        "3\r\nbar\r\n0\r\n folded: x\r\n\r\n"}) {
    SCOPED_TRACE(chunks);
    Connection connection(port());
    connection.Send(absl::StrCat("PUT /broken HTTP/1.1\r\n", kHost,
                                 "Transfer-Encoding: chunked\r\n\r\n", chunks));
    const Reply reply = connection.Read();
    ExpectProblem(reply, 400);
    EXPECT_TRUE(connection.AtEnd());
  }
  // An end that never comes.
  Connection cut(port());
  cut.Send(absl::StrCat("PUT /broken HTTP/1.1\r\n", kHost,
                        "Transfer-Encoding: chunked\r\n\r\n3\r\nbar\r\n"));
  cut.Reset();
  EXPECT_FALSE(Exists("/broken"));
  EXPECT_TRUE(WaitUntil(absl::Seconds(20),
                        [] { return cluster().OpenUploads() == 0; }));
}

TEST_P(HttpConformanceTest, BodiesThatAreNotReadAreNotTakenForRequests) {
  ASSERT_EQ(Put("/unread", "old").status, 201);
  const std::string smuggled = "DELETE /unread HTTP/1.1\r\nHost: h\r\n\r\n";
  const struct {
    const char* head;
    int status;
  } kCases[] = {
      {"PUT /unread HTTP/1.1\r\nContent-MD5: nonsense\r\n", 400},
      {"PUT /unread HTTP/1.1\r\nIf-Match: \"x\"\r\n", 412},
      {"PUT /unread?list HTTP/1.1\r\n", 405},
      {"PUT /%zz HTTP/1.1\r\n", 400},
      {"POST /unread HTTP/1.1\r\n", 409},
      {"GET /unread HTTP/1.1\r\n", 200},
      {"GET /no-such-key HTTP/1.1\r\n", 404},
      {"HEAD /unread HTTP/1.1\r\n", 200},
      {"DELETE /no-such-key HTTP/1.1\r\n", 404},
      {"DELETE /unread HTTP/1.1\r\nIf-Match: \"x\"\r\n", 412},
  };
  // 100 bytes to 8 MiB, all of it further requests.
  for (const int copies : {3, 2000, 200000}) {
    std::string body;
    for (int i = 0; i < copies; ++i) body += smuggled;
    for (const auto& [head, status] : kCases) {
      SCOPED_TRACE(absl::StrCat(body.size(), " bytes: ", head));
      Connection connection(port());
      connection.Send(absl::StrCat(head, kHost, "Content-Length: ", body.size(),
                                   "\r\n\r\n"));
      connection.Send(body);
      const Reply reply = connection.Read(absl::StartsWith(head, "HEAD"));
      EXPECT_EQ(reply.status, status);
      ExpectInStep(&connection, reply);
    }
  }
  EXPECT_EQ(Read("/unread").body, "old");
  // A DELETE may have a body; it means nothing.
  Connection connection(port());
  connection.Send(absl::StrCat("DELETE /unread HTTP/1.1\r\n", kHost,
                               "Content-Length: 3\r\n\r\nbarGET /unread "
                               "HTTP/1.1\r\n",
                               kHost, "\r\n"));
  EXPECT_EQ(connection.Read().status, 204);
  EXPECT_EQ(connection.Read().status, 404);
}

TEST_P(HttpConformanceTest, OtherMethodsAre405AndNameThoseThatWork) {
  for (const char* method : {"PATCH", "OPTIONS", "TRACE", "CONNECT", "PRI",
                             "PROPFIND", "MKCOL", "Get"}) {
    const Reply reply = Ask(method, "/methods");
    ExpectProblem(reply, 405);
    EXPECT_EQ(reply.Header("Allow"), "GET, HEAD, PUT, POST, DELETE") << method;
  }
  for (const char* method : {"PUT", "POST", "DELETE"}) {
    const Reply reply = Ask(method, "/methods?list", "Content-Length: 0\r\n");
    ExpectProblem(reply, 405);
    EXPECT_EQ(reply.Header("Allow"), "GET") << method;
  }
  const Reply head = Ask("HEAD", "/methods?list");
  EXPECT_EQ(head.status, 405);
  EXPECT_EQ(head.body, "");
}

TEST_P(HttpConformanceTest, ErrorsAreProblemsThatSayWhatToDo) {
  ASSERT_EQ(Put("/problem", "x").status, 201);
  const std::string none = "Content-Length: 0\r\n";
  const std::string json = "Content-Type: Application/JSON; a=b\r\n";
  ExpectProblem(Ask("GET", "/%zz"), 400);
  ExpectProblem(Ask("GET", "/problem/none"), 404);
  ExpectProblem(Ask("DELETE", "/problem/none"), 404);
  ExpectProblem(Ask("POST", "/problem", none), 409);
  ExpectProblem(Ask("PUT", "/problem"), 411);
  ExpectProblem(Ask("PUT", "/problem", none + "If-None-Match: *\r\n"), 412);
  ExpectProblem(Ask("GET", "/problem", "If-Match: \"x\"\r\n"), 412);
  ExpectProblem(Ask("DELETE", "/problem", "If-Match: \"x\"\r\n"), 412);
  ExpectProblem(Ask("GET", "/problem", "Range: bytes=1-\r\n"), 416);
  ExpectProblem(Put("/problem", "{\"a\": }", json), 400);
  ExpectProblem(Put("/problem", "x",
                    "x-cairn-meta-a: " + std::string(2049, 'a') + "\r\n"),
                400);
  EXPECT_EQ(Read("/problem").body, "x");
  EXPECT_EQ(Put("/problem", "{\"a\": 1}", json).status, 204);
}

TEST_P(HttpConformanceTest, HeadersThatPretendToBeTheServersChangeNothing) {
  const std::string spoofed =
      "REMOTE_ADDR: 9.9.9.9\r\nREMOTE_PORT: 9\r\nLOCAL_ADDR: 9.9.9.9\r\n"
      "LOCAL_PORT: 9\r\nX-Forwarded-For: 9.9.9.9\r\nX-Real-IP: 9.9.9.9\r\n"
      "Forwarded: for=9.9.9.9\r\nX-HTTP-Method-Override: DELETE\r\n"
      "X-Original-URL: /other\r\nX-Accel-Redirect: /0/\r\n"
      "X-Request-Id: a b\r\n";
  for (const int size : kSizes) {
    const std::string key = absl::StrCat("/spoofed/", size);
    EXPECT_EQ(Put(key, Bytes(size), spoofed).status, 201);
    const Reply reply = Read(key, spoofed);
    EXPECT_EQ(reply.body, Bytes(size));
    EXPECT_NE(reply.Header("X-Request-Id"), "a b");
  }
  const std::string log = cluster().path() + "/gateway/access.log";
  EXPECT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return absl::StrContains(ReadFile(log), absl::StrCat("/", kSizes[2]));
  }));
  int lines = 0;
  for (const absl::string_view line : absl::StrSplit(ReadFile(log), '\n')) {
    if (!absl::StrContains(line, "/spoofed/")) continue;
    ++lines;
    EXPECT_TRUE(absl::StrContains(line, "peer=127.0.0.1:")) << line;
    EXPECT_FALSE(absl::StrContains(line, "9.9.9.9")) << line;
  }
  EXPECT_GE(lines, 3);
}

}  // namespace
}  // namespace cairn::tests
