// What is stored comes back as it was: keys, bytes and headers to the byte,
// through the real gateway, volumes and nginx.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/both_reads.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::HasSubstr;

class HttpValuesTest : public BothReadsTest {};
INSTANTIATE_BOTH_READS(HttpValuesTest);

// Every byte as %XX.
std::string EscapedAll(const std::string& key) {
  std::string text;
  for (const unsigned char c : key) {
    absl::StrAppend(&text, "%", absl::Hex(c, absl::kZeroPad2));
  }
  return text;
}

// As the lists print it.
std::string Listed(const std::string& key) {
  std::string text = "/";
  for (const char c : key) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                       (c != 0 && std::strchr("-._~/", c) != nullptr);
    absl::StrAppend(
        &text, plain ? std::string(1, c)
                     : absl::AsciiStrToUpper(EscapedAll(std::string(1, c))));
  }
  return text;
}

struct OddKey {
  std::string target;
  std::string key;
};
std::vector<OddKey> OddKeys() {
  return {
      {"/odd/a%2Fb", "odd/a/b"},
      {"/odd/a%252Fb", "odd/a%2Fb"},
      {"/odd/a%00b", std::string("odd/a\0b", 7)},
      {"/odd/%00", std::string("odd/\0", 5)},
      {"/odd/a%0Ab", "odd/a\nb"},
      {"/odd/a%0D%0AX:%20b", "odd/a\r\nX: b"},
      {"/odd/..", "odd/.."},
      {"/odd/../up", "odd/../up"},
      {"/odd/%2e%2E/up2", "odd/../up2"},
      {"/odd/.", "odd/."},
      {"/odd/./here", "odd/./here"},
      {"/odd//twice", "odd//twice"},
      {"/odd/slash/", "odd/slash/"},
      {"/odd/%FF%fe%80", "odd/\xff\xfe\x80"},
      {"/odd/\xc3\xa4\xff", "odd/\xc3\xa4\xff"},
      {"/odd/a+b", "odd/a+b"},
      {"/odd/a%20b", "odd/a b"},
      {"/odd/%3Flist", "odd/?list"},
      {"/odd/%3Flist&limit=1", "odd/?list&limit=1"},
      {"/odd/%23x", "odd/#x"},
      {"/odd/%22%5C%7B%7D%3C%3E", "odd/\"\\{}<>"},
      {"/odd/$uri~;=@,!'()*", "odd/$uri~;=@,!'()*"},
      {"/odd/a.html", "odd/a.html"},
      {"//lead", "/lead"},
      {"/%2F%2Flead2", "//lead2"},
      {"/../../etc/passwd", "../../etc/passwd"},
      {"/%2E", "."},
      {"/-", "-"},
      {"/" + EscapedAll(std::string(1024, '/')), std::string(1024, '/')},
      {"/" + EscapedAll(std::string(1024, '\xff')), std::string(1024, '\xff')},
      {"/" + std::string(1024, 'k'), std::string(1024, 'k')},
  };
}

TEST_P(HttpValuesTest, KeysAreExactToTheByte) {
  for (const int size : {kSizes[0], kSizes[1]}) {
    std::set<std::string> odd;  // In byte order, as lists are.
    int seed = 0;
    for (const auto& [target, key] : OddKeys()) {
      EXPECT_EQ(Put(target, Bytes(size, ++seed)).status, 201) << target;
      if (absl::StartsWith(key, "odd/")) odd.insert(key);
    }
    seed = 0;
    for (const auto& [target, key] : OddKeys()) {
      SCOPED_TRACE(target);
      EXPECT_EQ(Read(target).body, Bytes(size, ++seed));
      EXPECT_EQ(Read(Listed(key)).body, Bytes(size, seed));
      EXPECT_EQ(Read("/" + EscapedAll(key)).body, Bytes(size, seed));
      EXPECT_THAT(List(target + "?list&limit=1"),
                  HasSubstr("\"keys\":[\"" + Listed(key) + "\"]"));
    }
    EXPECT_EQ(List("/odd/?list"),
              absl::StrCat("{\"next\":\"\",\"keys\":[",
                           absl::StrJoin(odd, ",",
                                         [](std::string* out, const auto& key) {
                                           absl::StrAppend(out, "\"",
                                                           Listed(key), "\"");
                                         }),
                           "]}"));
    for (const auto& [target, key] : OddKeys()) {
      EXPECT_EQ(Ask("DELETE", target).status, 204) << target;
      EXPECT_EQ(Read(target).status, 404) << target;
    }
    EXPECT_EQ(List("/odd/?list"), "{\"next\":\"\",\"keys\":[]}");
  }
}

TEST_P(HttpValuesTest, KeysThatCannotBeAreRefused) {
  for (const std::string& target :
       {std::string("/"), std::string("/%"), std::string("/a%2"),
        std::string("/%zz"), std::string("/%u0041"),
        "/" + std::string(1025, 'k'),
        "/" + EscapedAll(std::string(1025, '\xff'))}) {
    SCOPED_TRACE(target);
    EXPECT_EQ(Put(target, "x").status, 400);
    EXPECT_EQ(Ask("GET", target).status, 400);
    EXPECT_EQ(Ask("DELETE", target).status, 400);
  }
}

TEST_P(HttpValuesTest, ASecondQuestionMarkIsPartOfAParameter) {
  EXPECT_EQ(Put("/question?x=1?list", "value").status, 201);
  EXPECT_EQ(Read("/question").body, "value");
  EXPECT_EQ(Read("/question?a?list").body, "value");
  EXPECT_EQ(List("/question?list&x=?y"),
            "{\"next\":\"\",\"keys\":[\"/question\"]}");
}

TEST_P(HttpValuesTest, NothingIsPackedOrUnpacked) {
  const std::string small = Shell("echo hello | gzip").out;
  const std::string large = Shell("seq 50000 | gzip").out;
  ASSERT_EQ(small.substr(0, 2), "\x1f\x8b");
  ASSERT_GT(large.size(), 65536u);
  const std::string kEncodings[] = {"gzip", "deflate", "br", "unheard-of",
                                    "gzip, br"};
  for (const std::string& bytes : {small, large, large.substr(0, 5000)}) {
    for (const std::string& encoding : kEncodings) {
      const std::string header = "Content-Encoding: " + encoding + "\r\n";
      EXPECT_EQ(Put("/packed", bytes, header).status / 100, 2);
      for (const char* accept : {"", "Accept-Encoding: identity\r\n",
                                 "Accept-Encoding: gzip, br\r\n"}) {
        SCOPED_TRACE(absl::StrCat(bytes.size(), encoding, accept));
        const Reply reply = Read("/packed", accept);
        EXPECT_EQ(reply.body, bytes);
        EXPECT_EQ(reply.Header("Content-Encoding"), encoding);
        EXPECT_EQ(reply.CountOf("Content-Encoding"), 1);
      }
      EXPECT_EQ(Ask("HEAD", "/packed").Header("Content-Encoding"), encoding);
    }
  }
  for (const int size : kSizes) {
    const std::string text(size, 'x');
    EXPECT_EQ(Put("/text", text, "Content-Type: text/html\r\n").status / 100,
              2);
    const Reply reply = Read("/text", "Accept-Encoding: gzip, deflate, br\r\n");
    EXPECT_EQ(reply.body, text);
    EXPECT_EQ(reply.CountOf("Content-Encoding"), 0);
  }
}

TEST_P(HttpValuesTest, TypesAreKeptAsTheyCame) {
  const char* const kTypes[] = {
      "text/html; charset=utf-8",
      "multipart/form-data; boundary=----x",
      "application/x-www-form-urlencoded",
      "text/plain; name=\"a&b %41.txt\"",
      "a/b;c=d; e=f; g=h",
      "100%",
  };
  const std::string form =
      "------x\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n1\r\n";
  for (const char* type : kTypes) {
    for (const int size : kSizes) {
      SCOPED_TRACE(type);
      const std::string value = form + Bytes(size);
      const std::string header = absl::StrCat("Content-Type: ", type, "\r\n");
      EXPECT_EQ(Put("/typed", value, header).status / 100, 2);
      const Reply reply = Read("/typed");
      EXPECT_EQ(reply.body, value);
      EXPECT_EQ(reply.Header("Content-Type"), type);
      EXPECT_EQ(reply.CountOf("Content-Type"), 1);
    }
  }
}

TEST_P(HttpValuesTest, PercentSignsInHeadersStayAsTheyAre) {
  const std::string kMeta[] = {"50%25 %0D%0A%41 %zz", "\"q\", \xc3\xa4; a=b",
                               "first, second"};
  const std::string headers = absl::StrCat(
      "X-Cairn-Meta-Odd: ", kMeta[0], "\r\nx-cairn-meta-more: ", kMeta[1],
      "\r\nx-cairn-meta-two: first\r\n", "X-CAIRN-META-TWO: second\r\n");
  for (const int size : kSizes) {
    const Reply put = Put("/meta", Bytes(size), headers);
    ASSERT_EQ(put.status / 100, 2);
    const Reply get = Ask("GET", "/meta");
    EXPECT_EQ(get.status, size > 4096 && GetParam() == "redirect" ? 302 : 200);
    for (const Reply& reply : {get, Ask("HEAD", "/meta")}) {
      EXPECT_EQ(reply.Header("x-cairn-meta-odd"), kMeta[0]);
      EXPECT_EQ(reply.Header("x-cairn-meta-more"), kMeta[1]);
      EXPECT_EQ(reply.Header("x-cairn-meta-two"), kMeta[2]);
      EXPECT_EQ(reply.CountOf("x-cairn-meta-two"), 1);
    }
    // The same ETag, but for a '%' that must not be decoded.
    const std::string etag = put.Header("ETag");
    const std::string odd =
        absl::StrCat("\"", EscapedAll(etag.substr(1, 1)), etag.substr(2));
    EXPECT_EQ(Read("/meta", "If-Match: " + etag + "\r\n").status, 200);
    EXPECT_EQ(Read("/meta", "If-Match: " + odd + "\r\n").status, 412);
    EXPECT_EQ(Read("/meta", "If-None-Match: " + odd + "\r\n").status, 200);
    EXPECT_EQ(Put("/meta", "x", "If-Match: " + odd + "\r\n").status, 412);
  }
}

TEST_P(HttpValuesTest, AWrongContentMd5StoresNothing) {
  for (const int size : kSizes) {
    const std::string target = absl::StrCat("/md5/", size);
    const std::string value = Bytes(size);
    for (const char* md5 : {"AAAAAAAAAAAAAAAAAAAAAA==", "nonsense"}) {
      const Reply wrong =
          Put(target, value, absl::StrCat("Content-MD5: ", md5, "\r\n"));
      EXPECT_EQ(wrong.status, 400);
      EXPECT_EQ(Read(target).status, 404);
    }
    std::string etag = Put(target, value).Header("ETag");
    ASSERT_EQ(etag.size(), 34u);
    const std::string md5 =
        absl::Base64Escape(absl::HexStringToBytes(etag.substr(1, 32)));
    EXPECT_EQ(Put(target, value, "Content-MD5: " + md5 + "\r\n").status, 204);
    // The old value stays when a new one is refused.
    EXPECT_EQ(Put(target, value + "x", "Content-MD5: " + md5 + "\r\n").status,
              400);
    EXPECT_EQ(Read(target).body, value);
  }
  EXPECT_TRUE(WaitUntil(absl::Seconds(20),
                        [] { return cluster().OpenUploads() == 0; }));
}

TEST_P(HttpValuesTest, HeadHasTheLengthAndNoBody) {
  for (const int size : {0, kSizes[0], kSizes[1], kSizes[2]}) {
    ASSERT_EQ(Put("/head", Bytes(size)).status / 100, 2);
    Connection connection(port());
    connection.Send(
        "HEAD /head HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\n\r\n"
        "HEAD /no-such-key HTTP/1.1\r\nHost: h\r\n\r\n"
        "GET /head?list HTTP/1.1\r\nHost: h\r\n\r\n");
    const Reply head = connection.Read(/*head_only=*/true);
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.Header("Content-Length"), absl::StrCat(size));
    EXPECT_EQ(head.CountOf("Location"), 0);
    EXPECT_EQ(connection.Read(/*head_only=*/true).status, 404);
    EXPECT_EQ(connection.Read().body, "{\"next\":\"\",\"keys\":[\"/head\"]}");
  }
}

TEST_P(HttpValuesTest, RangesAreCutFromValuesOfAllSizes) {
  std::string many = "Range: bytes=0-1";
  for (int i = 1; i < 1000; ++i) absl::StrAppend(&many, ",", 2 * i, "-");
  for (const int size : kSizes) {
    const std::string value = Bytes(size);
    ASSERT_EQ(Put("/range", value).status / 100, 2);
    const auto read = [&](const std::string& range) {
      return Read("/range", range + "\r\n");
    };
    EXPECT_EQ(read("Range: bytes=3-6").body, value.substr(3, 4));
    EXPECT_EQ(read("Range: bytes=-7").body, value.substr(size - 7));
    EXPECT_EQ(read("Range: bytes=2-999999").body, value.substr(2));
    EXPECT_EQ(read("Range: bytes=2-999999").Header("Content-Range"),
              absl::StrCat("bytes 2-", size - 1, "/", size));
    for (const Reply& whole : {read("Range: bytes=0-1,4-5"), read(many)}) {
      EXPECT_EQ(whole.status, 200);
      EXPECT_EQ(whole.body, value);
    }
    const Reply beyond = read(absl::StrCat("Range: bytes=", size, "-"));
    EXPECT_EQ(beyond.status, 416);
    EXPECT_EQ(beyond.Header("Content-Range"), absl::StrCat("bytes */", size));
    EXPECT_EQ(beyond.Header("Content-Type"), "application/problem+json");
  }
}

TEST_P(HttpValuesTest, ListsArePagedCutAndLong) {
  const std::vector<std::string> keys = {"/l/a",    "/l/a%20b", "/l/a%25",
                                         "/l/d/1",  "/l/d/2",   "/l/d%3F",
                                         "/l/e//x", "/l/z",     "/l/%FF"};
  for (const std::string& key : keys) ASSERT_EQ(Put(key, "v").status, 201);
  ASSERT_EQ(Put("/l2", "v").status, 201);
  const std::string kAll =
      absl::StrCat("\"keys\":[\"", absl::StrJoin(keys, "\",\""), "\"]");
  const std::string whole = absl::StrCat("{\"next\":\"\",", kAll, "}");
  EXPECT_EQ(List("/l/?list"), whole);
  EXPECT_EQ(List("/l/?list&limit=0"), whole);
  EXPECT_EQ(List("/l/?list&limit=9"), whole);
  EXPECT_EQ(List("/l/?list&limit=10001"),
            absl::StrCat("{", kAll, ",\"next\":\"\"}"));
  EXPECT_EQ(List("/no-such?list"), "{\"next\":\"\",\"keys\":[]}");
  const struct {
    const char* parameters;
    const char* next;
    const char* listed;
  } kCases[] = {
      {"&limit=1", "/l/a%20b", R"("/l/a")"},
      {"&limit=1&start=/l/d/2", "/l/d%3F", R"("/l/d/2")"},
      {"&limit=1&start=l/d/2", "/l/d%3F", R"("/l/d/2")"},
      {"&limit=1&start=/l/d/11", "/l/d%3F", R"("/l/d/2")"},
      {"&start=/l/zz", "", R"("/l/%FF")"},
      {"&start=/m", "", ""},
      {"&delimiter=/&start=/l/b", "",
       R"("/l/d/","/l/d%3F","/l/e/","/l/z","/l/%FF")"},
      {"&delimiter=%2F&limit=1&start=/l/b", "/l/d%3F", R"("/l/d/")"},
      {"&delimiter=//&start=/l/e", "", R"("/l/e//","/l/z","/l/%FF")"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(
        List(absl::StrCat("/l/?list", c.parameters)),
        absl::StrCat("{\"next\":\"", c.next, "\",\"keys\":[", c.listed, "]}"))
        << c.parameters;
  }
  // Pages of two, each from the `next` of the one before, as it was printed.
  std::string next = "/";
  std::string found;
  for (int pages = 0; !next.empty() && pages < 10; ++pages) {
    const std::string page = List("/l/?list&limit=2&start=" + next);
    const size_t cut = page.find("\",\"keys\":[");
    ASSERT_NE(cut, std::string::npos);
    next = page.substr(9, cut - 9);
    absl::StrAppend(&found, found.empty() ? "" : ",",
                    page.substr(cut + 10, page.size() - cut - 12));
  }
  EXPECT_EQ(absl::StrCat("\"keys\":[", found, "]"), kAll);
}

TEST_P(HttpValuesTest, LongListsSayWhatTheValuesAre) {
  ASSERT_EQ(Put("/long/a", "bar", "Content-Type: text/\"x\"\r\n").status, 201);
  ASSERT_EQ(Put("/long/b", Bytes(kSizes[1])).status, 201);
  ASSERT_EQ(Put("/long/c/d", "").status, 201);
  const std::string list = List("/long/?list&long&delimiter=/");
  EXPECT_THAT(list, HasSubstr("{\"key\":\"/long/a\",\"size\":3,\"type\":"
                              "\"text/\\\"x\\\"\",\"etag\":"
                              "\"37b51d194a7513e45b56f6524f2d51f2\","
                              "\"mtime\":\"20"));
  EXPECT_THAT(list, HasSubstr("{\"key\":\"/long/b\",\"size\":5000,"));
  EXPECT_THAT(list, HasSubstr(",{\"key\":\"/long/c/\"}]}"));
  for (const char* bad : {"limit=x", "limit=-1", "limit=", "start=%x",
                          "limit=99999999999999999999"}) {
    EXPECT_EQ(HttpGet(port(), absl::StrCat("/long/?list&", bad)).status, 400)
        << bad;
  }
}

}  // namespace
}  // namespace cairn::tests
