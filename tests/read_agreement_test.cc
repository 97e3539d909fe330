// One value, three ways to read it: out of the index, from the nginx of each
// replica, and streamed by the gateway. Whatever the request's headers say, the
// answers are the same.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

constexpr int kReplicas = 3;

// What is stored, twice: while values are inlined, and while they are not.
struct Value {
  const char* name;
  const char* headers;
  const char* bytes;
};
const Value kValues[] = {
    {"typed", "Content-Type: text/html; charset=utf-8\r\n", "0123456789"},
    {"packed", "Content-Encoding: gzip\r\n", "not gzip"},
};

// ETAG, MTIME, OLDER, NEWER stand for those of the key that is read; MTIME850
// and MTIMEASC for the two old forms of its date. Statuses as of a value of 8
// or 10 bytes.
struct Request {
  const char* headers;
  int status;
  // What nginx would answer otherwise: the gateway redirects none of these.
  bool gateway_only = false;
};
const Request kRequests[] = {
    {"", 200},
    // One range.
    {"Range: bytes=0-0\r\n", 206},
    {"Range: bytes=2-5\r\n", 206},
    {"Range: bytes=5-\r\n", 206},
    {"Range: bytes=0-\r\n", 206},
    {"Range: bytes=7-7\r\n", 206},
    {"Range: bytes=2-100\r\n", 206},
    {"Range: bytes=0-9223372036854775807\r\n", 206},
    {"Range: bytes=00000000000000000002-0000000000000000000005\r\n", 206},
    {"Range: bytes=-1\r\n", 206},
    {"Range: bytes=-8\r\n", 206},
    {"Range: bytes=-100\r\n", 206},
    {"Range: bytes=-9223372036854775807\r\n", 206},
    {"Range: BYTES=1-2\r\n", 206},
    {"range:bytes=1-2\r\n", 206},
    {"Range: bytes= 1 - 2 \r\n", 206},
    {"Range: bytes=1-2\r\nRange: bytes=3-4\r\n", 206},
    // Nothing of the value.
    {"Range: bytes=10-\r\n", 416},
    {"Range: bytes=100-200\r\n", 416},
    {"Range: bytes=5-2\r\n", 416},
    {"Range: bytes=-0\r\n", 416},
    {"Range: bytes=9223372036854775807-\r\n", 416},
    {"Range: bytes=100-,200-\r\n", 416},
    // Several.
    {"Range: bytes=0-1,4-5\r\n", 200},
    {"Range: bytes=0-1, 1-2, 3-4, 5-6\r\n", 200},
    {"Range: bytes=0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-,0-\r\n", 200},
    {"Range: bytes=-1,-2\r\n", 200},
    {"Range: bytes=1-2,100-\r\n", 206},
    {"Range: bytes=100-,1-2\r\n", 206},
    {"Range: bytes=5-2,1-2\r\n", 206},
    // Malformed, or of another unit.
    {"Range: \r\n", 200},
    {"Range: bytes\r\n", 200},
    {"Range: bytes=\r\n", 200},
    {"Range: bytes 0-1\r\n", 200},
    {"Range: items=0-1\r\n", 200},
    {"Range: bytes=-\r\n", 416},
    {"Range: bytes=x\r\n", 416},
    {"Range: bytes=1\r\n", 416},
    {"Range: bytes=1-2x\r\n", 416},
    {"Range: bytes=1-2,\r\n", 416},
    {"Range: bytes=,1-2\r\n", 416},
    {"Range: bytes=0--1\r\n", 416},
    {"Range: bytes=+1-2\r\n", 416},
    {"Range: bytes=0x1-2\r\n", 416},
    {"Range: bytes=0-99999999999999999999\r\n", 416},
    {"Range: bytes=99999999999999999999-\r\n", 416},
    {"Range: bytes=-99999999999999999999\r\n", 416},
    // If-Range.
    {"Range: bytes=1-2\r\nIf-Range: ETAG\r\n", 206},
    {"Range: bytes=1-2\r\nIf-Range: \"other\"\r\n", 200},
    {"Range: bytes=1-2\r\nIf-Range: W/ETAG\r\n", 200},
    {"Range: bytes=1-2\r\nIf-Range: MTIME\r\n", 206},
    {"Range: bytes=1-2\r\nIf-Range: MTIME850\r\n", 206},
    {"Range: bytes=1-2\r\nIf-Range: MTIMEASC\r\n", 206},
    {"Range: bytes=1-2\r\nIf-Range: OLDER\r\n", 200},
    {"Range: bytes=1-2\r\nIf-Range: NEWER\r\n", 200},
    {"Range: bytes=1-2\r\nIf-Range: nonsense\r\n", 200, true},
    {"Range: bytes=1-2\r\nIf-Range: MTIME CET\r\n", 200, true},
    {"Range: bytes=1-2\r\nIf-Range: ETAG\r\nIf-Range: ETAG\r\n", 206, true},
    {"Range: bytes=1-2\r\nIf-Range: \r\n", 200, true},
    {"Range: bytes=100-\r\nIf-Range: ETAG\r\n", 416},
    {"Range: bytes=100-\r\nIf-Range: \"other\"\r\n", 200},
    {"If-Range: ETAG\r\n", 200},
    // If-None-Match.
    {"If-None-Match: ETAG\r\n", 304},
    {"If-None-Match: W/ETAG\r\n", 304},
    {"If-None-Match: *\r\n", 304},
    {"If-None-Match: \"x\", ETAG\r\n", 304},
    {"If-None-Match: ETAG,\"x\"\r\n", 304},
    {"If-None-Match: ,,\t\"x\" , W/ETAG, \"y\"\r\n", 304},
    {"If-None-Match: \"x\"\r\nIf-None-Match: ETAG\r\n", 304, true},
    {"If-None-Match: \"x\"\r\n", 200},
    {"If-None-Match: \"x\", W/\"y\"\r\n", 200},
    {"If-None-Match: \"x\"\r\nIf-None-Match: \"y\"\r\n", 200, true},
    {"If-None-Match: \"x, ETAG\"\r\n", 200},
    {"If-None-Match: nonsense, ETAG\r\n", 200},
    {"If-None-Match: w/ETAG\r\n", 200},
    {"If-None-Match: W/ ETAG\r\n", 200},
    {"If-None-Match: \r\n", 200},
    // If-Modified-Since.
    {"If-Modified-Since: MTIME\r\n", 304},
    {"If-Modified-Since: MTIME850\r\n", 304},
    {"If-Modified-Since: MTIMEASC\r\n", 304},
    {"If-Modified-Since: NEWER\r\n", 304},
    {"If-Modified-Since: OLDER\r\n", 200},
    {"If-Modified-Since: nonsense\r\n", 200, true},
    {"If-Modified-Since: MTIME CET\r\n", 200, true},
    {"If-Modified-Since: \r\n", 200, true},
    {"If-Modified-Since: OLDER\r\nIf-Modified-Since: OLDER\r\n", 200, true},
    // If-Match and If-Unmodified-Since.
    {"If-Match: ETAG\r\n", 200, true},
    {"If-Match: *\r\n", 200, true},
    {"If-Match: \"x\"\r\n", 412, true},
    {"If-Match: W/ETAG\r\n", 412, true},
    {"If-Unmodified-Since: MTIME\r\n", 200, true},
    {"If-Unmodified-Since: OLDER\r\n", 412, true},
    // Together.
    {"If-None-Match: \"x\"\r\nIf-Modified-Since: NEWER\r\n", 200},
    {"If-None-Match: ETAG\r\nIf-Modified-Since: OLDER\r\n", 304},
    {"If-None-Match: \"x\"\r\nRange: bytes=1-2\r\n", 206},
    {"If-None-Match: ETAG\r\nRange: bytes=1-2\r\n", 304},
    {"If-None-Match: ETAG\r\nRange: bytes=100-\r\n", 304},
    {"If-Modified-Since: OLDER\r\nRange: bytes=100-\r\n", 416},
    {"If-Modified-Since: MTIME\r\nRange: bytes=1-2\r\n", 304},
    {"If-Match: ETAG\r\nRange: bytes=1-2\r\nIf-Range: ETAG\r\n", 206, true},
    {"If-Match: ETAG\r\nRange: bytes=100-\r\n", 416, true},
    {"If-None-Match: \"x\"\r\nRange: bytes=1-2\r\nIf-Range: OLDER\r\n", 200},
    // What must not matter.
    {"Accept-Encoding: gzip, br\r\n", 200},
    {"Accept: image/webp\r\nAccept-Language: de\r\n", 200},
    {"Cache-Control: no-cache\r\nPragma: no-cache\r\n", 200},
};

std::string Shifted(const std::string& date, absl::Duration by) {
  constexpr char kForm[] = "%a, %d %b %Y %H:%M:%S GMT";
  absl::Time time;
  EXPECT_TRUE(absl::ParseTime(kForm, date, &time, nullptr)) << date;
  return absl::FormatTime(kForm, time + by, absl::UTCTimeZone());
}

std::string InForm(const char* form, const std::string& date) {
  absl::Time time;
  EXPECT_TRUE(
      absl::ParseTime("%a, %d %b %Y %H:%M:%S GMT", date, &time, nullptr));
  return absl::FormatTime(form, time, absl::UTCTimeZone());
}

// What a client sees of an answer, but for the key's own date.
std::string Describe(const Reply& reply, const std::string& mtime) {
  std::string text = absl::StrCat(reply.status, "\n");
  for (const char* name :
       {"ETag", "Content-Range", "Content-Type", "Content-Length",
        "Content-Encoding", "Accept-Ranges", "Last-Modified"}) {
    // A 304 says no more of the value than which it is; an error nothing.
    const bool said =
        reply.status < 300 ||
        (reply.status == 304 && name == std::string("ETag")) ||
        (reply.status == 416 && name == std::string("Content-Range"));
    if (!said) continue;
    EXPECT_LE(reply.CountOf(name), 1) << name;
    const std::string value = reply.Header(name);
    absl::StrAppend(&text, name, ": ", value == mtime ? "MTIME" : value, "\n");
  }
  return absl::StrCat(text, "\n", reply.status < 400 ? reply.body : "");
}

class ReadAgreementTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ClusterOptions options;
    options.replicas = kReplicas;
    cluster_ = std::make_unique<Cluster>(options);
    Store("/inline/");
    cluster_->options().master_flags = {"--inline_max=0"};
    ASSERT_EQ(cluster_->Stop("master"), 0);
    cluster_->Start("master");
    cluster_->WaitReady();
    Store("/blob/");
  }
  static void TearDownTestSuite() { cluster_ = nullptr; }

  static void Store(const std::string& folder) {
    for (const Value& value : kValues) {
      const Reply put =
          HttpPut(port(), folder + value.name, value.bytes, value.headers);
      ASSERT_EQ(put.status, 201) << put.body;
    }
  }
  static int port() { return cluster_->gateway_port(); }

  // The request's headers for one key, from what a HEAD says of it.
  struct Stored {
    std::string key;
    std::string etag;
    std::string mtime;
    std::string HeadersOf(const Request& request) const {
      return absl::StrReplaceAll(
          request.headers,
          {{"ETAG", etag},
           {"MTIME850", InForm("%A, %d-%b-%y %H:%M:%S GMT", mtime)},
           {"MTIMEASC", InForm("%a %b %e %H:%M:%S %Y", mtime)},
           {"MTIME CET", absl::StrReplaceAll(mtime, {{"GMT", "CET"}})},
           {"MTIME", mtime},
           {"OLDER", Shifted(mtime, -absl::Seconds(1))},
           {"NEWER", Shifted(mtime, absl::Hours(1))}});
    }
  };
  static Stored Look(const std::string& key) {
    const Reply head = Http(port(), "HEAD " + key + " HTTP/1.1\r\n");
    EXPECT_EQ(head.status, 200);
    return {key, head.Header("ETag"), head.Header("Last-Modified")};
  }

  static Reply Get(const Stored& stored, const Request& request) {
    return Http(port(), absl::StrCat("GET ", stored.key, " HTTP/1.1\r\n",
                                     stored.HeadersOf(request)));
  }

  // The signed URL of each replica.
  static std::vector<std::string> Locations(const Stored& stored) {
    const Reply head = Http(port(), "HEAD " + stored.key + " HTTP/1.1\r\n");
    std::vector<std::string> locations;
    for (const absl::string_view where :
         absl::StrSplit(head.Header("Key-Volumes"), ',')) {
      std::string location;
      EXPECT_TRUE(
          WaitUntil(absl::Seconds(20),
                    [&] {
                      location = HttpGet(port(), stored.key).Header("Location");
                      return absl::StartsWith(
                          location, absl::StrCat("http://", where, "/"));
                    }))
          << where << " is never redirected to";
      locations.push_back(location);
    }
    EXPECT_EQ(locations.size(), static_cast<size_t>(kReplicas));
    return locations;
  }

  // Runs `check` for each value, as it lies on disk, and each request, with
  // what the index answers to it.
  template <typename Check>
  static void ForEach(const Check& check) {
    for (const Value& value : kValues) {
      const Stored in_index = Look(absl::StrCat("/inline/", value.name));
      const Stored on_disk = Look(absl::StrCat("/blob/", value.name));
      ASSERT_EQ(in_index.etag, on_disk.etag);
      for (const Request& request : kRequests) {
        SCOPED_TRACE(absl::StrCat(value.name, ": ", request.headers));
        const Reply answer = Get(in_index, request);
        EXPECT_EQ(answer.status, request.status);
        check(on_disk, request, Describe(answer, in_index.mtime));
      }
    }
  }

  static std::unique_ptr<Cluster> cluster_;
};
std::unique_ptr<Cluster> ReadAgreementTest::cluster_;

TEST_F(ReadAgreementTest, AReaderThatIsRedirectedSeesNoDifference) {
  ForEach([](const Stored& stored, const Request& request,
             const std::string& wanted) {
    const Reply first = Get(stored, request);
    const bool here = request.gateway_only || request.status >= 300;
    EXPECT_EQ(first.status, here ? request.status : 302);
    const Reply last = HttpRead(port(), stored.key, stored.HeadersOf(request));
    EXPECT_EQ(Describe(last, stored.mtime), wanted);
  });
}

TEST_F(ReadAgreementTest, TheNginxOfEachReplicaAnswersAsTheIndex) {
  std::map<std::string, std::vector<std::string>> locations;
  ForEach([&](const Stored& stored, const Request& request,
              const std::string& wanted) {
    if (request.gateway_only) return;
    std::vector<std::string>& all = locations[stored.key];
    if (all.empty()) all = Locations(stored);
    for (const std::string& location : all) {
      SCOPED_TRACE(location);
      const auto [nginx_port, target] = SplitUrl(location);
      const Reply reply =
          Http(nginx_port, absl::StrCat("GET ", target, " HTTP/1.1\r\n",
                                        stored.HeadersOf(request)));
      EXPECT_EQ(Describe(reply, stored.mtime), wanted);
    }
  });
  EXPECT_EQ(locations.size(), std::size(kValues));
}

// Last: the gateway is another one from here on.
TEST_F(ReadAgreementTest, TheGatewayStreamsEachReplicaAsTheIndexAnswers) {
  ASSERT_EQ(cluster_->Stop("gateway"), 0);
  cluster_->options().gateway_flags = {"--reads=proxy"};
  cluster_->Start("gateway");
  cluster_->WaitReady();
  ForEach([](const Stored& stored, const Request& request,
             const std::string& wanted) {
    for (int i = 0; i < kReplicas; ++i) {
      EXPECT_EQ(Describe(Get(stored, request), stored.mtime), wanted);
    }
  });
  // Each read starts at the next replica.
  const std::string log = cluster_->path() + "/gateway/access.log";
  std::map<std::string, int> reads;
  EXPECT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    reads.clear();
    for (const absl::string_view line : absl::StrSplit(ReadFile(log), '\n')) {
      const size_t at = line.find("replica=");
      if (at == absl::string_view::npos || !absl::StrContains(line, "/blob/") ||
          !absl::StrContains(line, "status=20")) {
        continue;
      }
      const absl::string_view replica = line.substr(at);
      ++reads[std::string(replica.substr(0, replica.find(' ')))];
    }
    return reads.size() >= kReplicas;
  })) << testing::PrintToString(reads);
}

}  // namespace
}  // namespace cairn::tests
