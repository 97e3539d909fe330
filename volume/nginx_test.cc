#include "volume/nginx.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "base/blob_name.h"
#include "base/signed_url.h"

namespace cairn::volume {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kMd5[] = "37b51d194a7513e45b56f6524f2d51f2";

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

class NginxTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* const root = getenv("TEST_TMPDIR");
    data_ = absl::StrCat(root != nullptr ? root : "/tmp", "/nginx-XXXXXX");
    ASSERT_NE(mkdtemp(data_.data()), nullptr);
    options_.directory = absl::StrCat(data_, "/nginx");
    options_.listen = absl::StrCat("127.0.0.1:", FreePort());
    options_.subvolume_paths = {absl::StrCat(data_, "/s0"),
                                absl::StrCat(data_, "/s1")};
    for (const std::string& path : options_.subvolume_paths) {
      ASSERT_EQ(mkdir(path.c_str(), 0755), 0);
    }
    options_.secret = "5ec12e7";
    auto nginx = Nginx::Start(options_);
    ASSERT_TRUE(nginx.ok()) << nginx.status();
    nginx_ = *std::move(nginx);
  }

  base::BlobUrl Url(const std::string& key) {
    base::BlobUrl url;
    url.http_address = options_.listen;
    url.subvolume = 1;
    url.key = key;
    url.version = {/*time_ms=*/1700000000123, /*counter=*/0, /*writer_id=*/7};
    url.md5_hex = kMd5;
    url.content_type = "text/html; charset=utf-8";
    url.gateway = "127.0.0.1:9";
    url.expires_unix_seconds = absl::ToUnixSeconds(absl::Now()) + 60;
    return url;
  }
  std::string Sign(const base::BlobUrl& url) {
    return base::SignBlobUrl(url, options_.secret);
  }

  // A file as the blob store makes it, and its signed URL.
  std::string Make(const std::string& key, const std::string& bytes) {
    const base::BlobUrl url = Url(key);
    const std::string directory = absl::StrCat(options_.subvolume_paths[1], "/",
                                               base::BlobDirectory(key));
    mkdir(directory.c_str(), 0755);
    const std::string path =
        absl::StrCat(options_.subvolume_paths[1], "/",
                     base::BlobPath(key, url.version, false));
    std::ofstream(path) << bytes;
    const timespec times[2] = {{0, UTIME_OMIT}, {1700000000, 0}};
    EXPECT_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
    return Sign(url);
  }

  // What curl prints: status line, headers, empty line, body.
  std::string Curl(const std::string& url, const std::string& args = "-i") {
    const std::string command =
        absl::StrCat("curl -s --path-as-is -m 10 ", args, " '", url, "' 2>&1");
    std::string output;
    FILE* const pipe = popen(command.c_str(), "r");
    char buffer[4096];
    while (const size_t count = fread(buffer, 1, sizeof(buffer), pipe)) {
      output.append(buffer, count);
    }
    pclose(pipe);
    return output;
  }

  std::string data_;
  NginxOptions options_;
  std::unique_ptr<Nginx> nginx_;
};

TEST_F(NginxTest, AGetHasTheHeadersOfTheValue) {
  const std::string answer = Curl(Make("foo", "bar"));
  EXPECT_THAT(
      answer,
      AllOf(StartsWith("HTTP/1.1 200"),
            HasSubstr(absl::StrCat("ETag: \"", kMd5, "\"\r\n")),
            HasSubstr("Content-Type: text/html; charset=utf-8\r\n"),
            HasSubstr("Content-Length: 3\r\n"),
            HasSubstr("Accept-Ranges: bytes\r\n"),
            HasSubstr("Last-Modified: Tue, 14 Nov 2023 22:13:20 GMT"),
            HasSubstr("\r\n\r\nbar"), Not(HasSubstr("Content-Encoding"))));
  EXPECT_THAT(answer, Not(ContainsRegex("Content-Type.*Content-Type")));
}

TEST_F(NginxTest, AHeadAnswersAsAGetWithoutTheBytes) {
  const std::string answer = Curl(Make("foo", "bar"), "-I");
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 200"), HasSubstr(kMd5),
                            HasSubstr("Content-Length: 3")));
}

TEST_F(NginxTest, AnEmptyValueIsServed) {
  EXPECT_THAT(Curl(Make("empty", "")),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr(kMd5),
                    HasSubstr("Content-Length: 0")));
}

TEST_F(NginxTest, TypesWithNoOneOrTwoSpacesComeBackAsGiven) {
  Make("foo", "bar");
  base::BlobUrl url = Url("foo");
  for (const char* type : {"image/svg+xml", "a/b; c=d", "a/b; c=d; e=f"}) {
    url.content_type = type;
    EXPECT_THAT(Curl(Sign(url)),
                HasSubstr(absl::StrCat("Content-Type: ", type, "\r\n")));
  }
  url.content_type = "";
  url.content_encoding = "gzip";
  EXPECT_THAT(Curl(Sign(url)),
              AllOf(HasSubstr("Content-Type: application/octet-stream\r\n"),
                    HasSubstr("Content-Encoding: gzip\r\n")));
}

TEST_F(NginxTest, OddKeysAreServed) {
  for (const std::string& key :
       {std::string("a/b/../c"), std::string("100%"), std::string("%2F"),
        std::string("\0\xff\n", 3), std::string("?&#+ ~"),
        std::string(1024, '/'), std::string(".hidden"), std::string("a.html"),
        std::string("x@000000000000000000000000")}) {
    EXPECT_THAT(Curl(Make(key, "bytes")),
                AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("\r\n\r\nbytes")))
        << base::EscapeKey(key);
  }
}

TEST_F(NginxTest, IfNoneMatchKnowsListsWeakTagsAndTheStar) {
  const std::string url = Make("foo", "bar");
  const auto with = [&](const std::string& tags) {
    return Curl(url, absl::StrCat("-i -H 'If-None-Match: ", tags, "'"));
  };
  const std::string tag = absl::StrCat("\"", kMd5, "\"");
  for (const std::string& tags :
       {tag, "W/" + tag, "\"x\", " + tag, tag + ",\"x\"", "\"x\",W/" + tag,
        ",\t\"x\" " + tag, tag + "junk", std::string("*"),
        std::string("\"x\", *")}) {
    const std::string answer = with(tags);
    EXPECT_THAT(answer,
                AllOf(StartsWith("HTTP/1.1 304"), HasSubstr("ETag: " + tag)))
        << tags;
  }
  for (const std::string& tags :
       {std::string("\"x\""), absl::StrCat("\"", kMd5, "x\""),
        std::string(kMd5), absl::StrCat("\"x", kMd5, "\""), "junk, " + tag,
        "w/" + tag, "W/ " + tag, "\"x, " + tag}) {
    EXPECT_THAT(with(tags), StartsWith("HTTP/1.1 200")) << tags;
  }
}

TEST_F(NginxTest, IfModifiedSinceComparesTheMtime) {
  const std::string url = Make("foo", "bar");
  EXPECT_THAT(
      Curl(url, "-i -H 'If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT'"),
      AllOf(StartsWith("HTTP/1.1 304"), HasSubstr(kMd5)));
  EXPECT_THAT(
      Curl(url, "-i -H 'If-Modified-Since: Tue, 14 Nov 2023 22:13:19 GMT'"),
      StartsWith("HTTP/1.1 200"));
}

TEST_F(NginxTest, RangesAndIfRangeWork) {
  const std::string url = Make("foo", "0123456789");
  EXPECT_THAT(Curl(url, "-i -r 2-4"),
              AllOf(StartsWith("HTTP/1.1 206"), HasSubstr("\r\n\r\n234"),
                    HasSubstr("Content-Range: bytes 2-4/10"), HasSubstr(kMd5)));
  EXPECT_THAT(Curl(url, "-i -r -3"), HasSubstr("\r\n\r\n789"));
  EXPECT_THAT(Curl(url, "-i -r 10-"), StartsWith("HTTP/1.1 416"));
  EXPECT_THAT(Curl(url, "-i -r 0-0,2-2"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(
      Curl(url, absl::StrCat("-i -r 2-4 -H 'If-Range: \"", kMd5, "\"'")),
      StartsWith("HTTP/1.1 206"));
  EXPECT_THAT(Curl(url, "-i -r 2-4 -H 'If-Range: \"other\"'"),
              StartsWith("HTTP/1.1 200"));
}

TEST_F(NginxTest, NothingUnsignedOrChangedIsServed) {
  const std::string url = Make("foo", "bar");
  EXPECT_THAT(Curl(url.substr(0, url.find('?'))), StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(Curl(absl::StrCat("http://", options_.listen, "/")),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(Curl(absl::StrCat("http://", options_.listen, "/1/")),
              StartsWith("HTTP/1.1 403"));
  EXPECT_THAT(Curl(absl::StrCat("http://", options_.listen,
                                "/1/../../nginx/nginx.conf")),
              ContainsRegex("^HTTP/1.1 40[03]"));
  const std::pair<std::string, std::string> changes[] = {
      {"/1/", "/0/"},       {"ct=text/html", "ct=text/xml"},
      {"&ce=", "&ce=gzip"}, {"g=127.0.0.1:9", "g=127.0.0.1:8"},
      {"k=foo", "k=fox"},   {"et=3", "et=4"},
      {"e=1", "e=2"},       {"m=", "m=A"},
  };
  for (const auto& [from, to] : changes) {
    const std::string changed = absl::StrReplaceAll(url, {{from, to}});
    ASSERT_NE(changed, url);
    EXPECT_THAT(Curl(changed), AllOf(StartsWith("HTTP/1.1 403"),
                                     Not(HasSubstr("\r\n\r\nbar"))))
        << changed;
  }
  // Not even as 304.
  EXPECT_THAT(Curl(absl::StrReplaceAll(url, {{"m=", "m=A"}}),
                   "-i -H 'If-None-Match: *'"),
              StartsWith("HTTP/1.1 403"));
}

TEST_F(NginxTest, AnExpiredUrlIsGone) {
  Make("foo", "bar");
  base::BlobUrl url = Url("foo");
  url.expires_unix_seconds = 1700000000;
  EXPECT_THAT(Curl(Sign(url)), StartsWith("HTTP/1.1 410"));
}

TEST_F(NginxTest, OnlyGetAndHeadAreAllowed) {
  const std::string url = Make("foo", "bar");
  for (const char* method : {"PUT", "DELETE", "POST", "MKCOL", "OPTIONS"}) {
    EXPECT_THAT(
        Curl(url, absl::StrCat("-i -d x -X ", method)),
        AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: GET, HEAD")))
        << method;
  }
  EXPECT_THAT(Curl(url), HasSubstr("\r\n\r\nbar"));
}

TEST_F(NginxTest, AMissingBlobSendsTheReaderBackOnce) {
  base::BlobUrl url = Url("a b/\xff?");
  EXPECT_THAT(
      Curl(Sign(url)),
      AllOf(StartsWith("HTTP/1.1 307"),
            HasSubstr("Location: "
                      "http://127.0.0.1:9/a%20b/%FF%3F?cairn-retry=1\r\n"),
            HasSubstr("Cache-Control: no-store")));
  url.gateway = "";
  EXPECT_THAT(Curl(Sign(url)),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After: 1")));
}

TEST_F(NginxTest, TheConfigurationHoldsTheSecretAndIsPrivate) {
  struct stat info;
  ASSERT_EQ(stat((options_.directory + "/nginx.conf").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(NginxTest, APortInUseIsOneSentenceWithNginxsReason) {
  NginxOptions second = options_;
  second.directory = absl::StrCat(data_, "/second");
  const auto nginx = Nginx::Start(second);
  ASSERT_EQ(nginx.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(nginx.status().message()),
              AllOf(HasSubstr(options_.listen), HasSubstr("in use"),
                    HasSubstr("--http_listen"), Not(HasSubstr("\n"))));
}

TEST_F(NginxTest, AMissingNginxNamesTheFix) {
  NginxOptions other = options_;
  other.program = "no-such-nginx";
  const auto nginx = Nginx::Start(other);
  EXPECT_EQ(nginx.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(nginx.status().message()),
              HasSubstr("apt-get install nginx"));
}

TEST_F(NginxTest, AnOddPathIsRefused) {
  NginxOptions other = options_;
  other.subvolume_paths = {"/tmp/a\"b"};
  EXPECT_EQ(MakeNginxConfig(other).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(NginxTest, AKilledMasterIsStartedAgainDespiteItsWorkers) {
  const std::string url = Make("foo", "bar");
  const pid_t first = nginx_->pid();
  ASSERT_EQ(kill(first, SIGKILL), 0);
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (absl::Now() < deadline &&
         (nginx_->pid() == 0 || nginx_->pid() == first)) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_NE(nginx_->pid(), first);
  EXPECT_THAT(Curl(url), HasSubstr("\r\n\r\nbar"));
}

TEST_F(NginxTest, WhatAnEarlierAgentLeftIsEndedFirst) {
  const std::string url = Make("foo", "bar");
  // A second agent on the same directory: the first one was killed, say.
  auto second = Nginx::Start(options_);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_THAT(Curl(url), HasSubstr("\r\n\r\nbar"));
  nginx_->Stop(absl::ZeroDuration());
  (*second)->Stop(absl::ZeroDuration());
  EXPECT_EQ(EndLeftOverNginx(options_.directory), 0);
  EXPECT_THAT(Curl(url, "-i -S"), HasSubstr("Failed to connect"));
}

TEST_F(NginxTest, AStopLetsATransferEnd) {
  const std::string url = Make("big", std::string(4 << 20, 'x'));
  FILE* const pipe = popen(
      absl::StrCat("curl -s -m 20 --limit-rate 4M '", url, "' | wc -c").c_str(),
      "r");
  absl::SleepFor(absl::Milliseconds(300));
  nginx_->Stop(absl::Seconds(15));
  char line[64] = {};
  EXPECT_NE(fgets(line, sizeof(line), pipe), nullptr);
  pclose(pipe);
  EXPECT_EQ(absl::StripAsciiWhitespace(line), absl::StrCat(4 << 20));
}

}  // namespace
}  // namespace cairn::volume
