// What a user types, through curl, on a cluster that redirects reads and on
// one that proxies them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/cluster.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

class CurlTest : public testing::TestWithParam<const char*> {
 protected:
  static ClusterOptions Options() {
    ClusterOptions options;
    options.gateway_flags = {absl::StrCat("--reads=", GetParam())};
    return options;
  }
  // The answer's status behind its body, as curl prints them.
  std::string Curl(const std::string& arguments, const std::string& target) {
    const Outcome outcome =
        Shell(absl::StrCat("curl -sS -w '%{http_code}' ", arguments, " ",
                           Quoted(cluster_.Url(target))));
    EXPECT_EQ(outcome.code, 0) << outcome.text;
    return outcome.text;
  }

  Cluster cluster_{Options()};
  TemporaryDirectory directory_;
};
INSTANTIATE_TEST_SUITE_P(Reads, CurlTest, testing::Values("redirect", "proxy"));

TEST_P(CurlTest, TheLinesOfTheReadmeWork) {
  EXPECT_EQ(Curl("-d bar -X PUT", "/foo"), "201");
  EXPECT_EQ(Curl("-d bar -X PUT", "/foo"), "204");
  EXPECT_EQ(Curl("-L", "/foo"), "bar200");
  EXPECT_EQ(Curl("-L", "/foo?list"), R"({"next":"","keys":["/foo"]})"
                                     "200");
  const std::string file = directory_.path() + "/some.file";
  const std::string back = directory_.path() + "/back.file";
  ASSERT_EQ(Shell("head -c 5000000 /dev/urandom >" + file).code, 0);
  EXPECT_EQ(Curl("-L -X PUT -T " + file, "/file.txt"), "201");
  EXPECT_EQ(Curl("-L -o " + back, "/file.txt"), "200");
  EXPECT_EQ(Shell("cmp " + file + " " + back).code, 0);
  EXPECT_EQ(Curl("-X DELETE", "/foo"), "204");
  EXPECT_THAT(Curl("-X DELETE", "/foo"), HasSubstr("\"status\":404"));
  EXPECT_THAT(Curl("-L", "/foo"), HasSubstr("\"status\":404"));
}

TEST_P(CurlTest, FilesOfManySizesComeBackWithAndWithoutLength) {
  const std::string file = directory_.path() + "/file";
  // Around the bounds of inlining, of batches and of pieces.
  for (const int size : {0, 1, 4096, 4097, 65536, 65537, 262144, 1048577}) {
    ASSERT_EQ(
        Shell(absl::StrCat("head -c ", size, " /dev/urandom >", file)).code, 0);
    for (const char* upload : {"-T ", "-T - -H 'Expect:' <"}) {
      const std::string target =
          absl::StrCat("/sizes/", size, upload[3] == '-' ? "/chunked" : "");
      EXPECT_EQ(Curl(upload + file, target), "201");
      EXPECT_EQ(Shell(absl::StrCat("curl -sSfL '", cluster_.Url(target),
                                   "' | cmp - ", file))
                    .text,
                "")
          << target;
    }
  }
}

TEST_P(CurlTest, RangesAndConditionsWork) {
  const std::string file = directory_.path() + "/file";
  ASSERT_EQ(Shell("seq 100000 >" + file).code, 0);  // 588,895 bytes.
  EXPECT_EQ(Curl("-H 'Content-Type: text/x-numbers' -T " + file, "/n"), "201");
  EXPECT_EQ(Curl("-L -r 0-3", "/n"), "1\n2\n206");
  EXPECT_EQ(Curl("-L -r -7", "/n"), "100000\n206");
  EXPECT_THAT(Curl("-L -r 588895-", "/n"), HasSubstr("416"));
  const std::string etag =
      Shell("md5sum <" + file + " | cut -c1-32 | tr -d '\\n'").out;
  EXPECT_EQ(Curl(absl::StrCat("-L -H 'If-None-Match: \"", etag, "\"'"), "/n"),
            "304");
  const std::string head = Curl("-I", "/n");
  EXPECT_THAT(head, HasSubstr(absl::StrCat("ETag: \"", etag, "\"")));
  EXPECT_THAT(head, HasSubstr("Content-Length: 588895"));
  EXPECT_THAT(head, HasSubstr("Content-Type: text/x-numbers"));
  EXPECT_THAT(Curl("-X PUT -d no -H 'If-None-Match: *'", "/n"),
              HasSubstr("\"status\":412"));
  EXPECT_THAT(Curl("-X PUT -d no -H 'If-Match: \"0123\"'", "/n"),
              HasSubstr("\"status\":412"));
  EXPECT_THAT(Curl("-X POST -d no", "/n"), HasSubstr("\"status\":409"));
  EXPECT_EQ(
      Curl(absl::StrCat("-X PUT -d yes -H 'If-Match: \"", etag, "\"'"), "/n"),
      "204");
  EXPECT_EQ(Curl("-L", "/n"), "yes200");
}

TEST_P(CurlTest, JsonIsCheckedAndErrorsNameTheFix) {
  const std::string json = "-H 'Content-Type: application/json' -X PUT -d ";
  EXPECT_EQ(Curl(json + "'{\"a\": 1}'", "/j"), "201");
  EXPECT_THAT(Curl(json + "'{\"a\": }'", "/j"), HasSubstr("\"status\":400"));
  EXPECT_EQ(Curl("", "/j"), "{\"a\": 1}200");
  const std::string long_key = "/" + std::string(1025, 'k');
  EXPECT_THAT(Curl("-X PUT -d x", long_key), HasSubstr("at most 1024"));
  EXPECT_EQ(Curl("-X PUT -d x", long_key.substr(0, 1025)), "201");
}

TEST_P(CurlTest, ADrainedGatewayEndsTheRequestsUnderWay) {
  const std::string file = directory_.path() + "/file";
  ASSERT_EQ(Shell("head -c 3000000 /dev/urandom >" + file).code, 0);
  const auto upload =
      Process::Start({"curl", "-sS", "-w", "%{http_code}", "--limit-rate",
                      "1500000", "-T", file, cluster_.Url("/slow")},
                     directory_.path() + "/log");
  const std::string access = cluster_.path() + "/gateway/access.log";
  // Some blob is open: the upload is under way.
  ASSERT_TRUE(WaitUntil(absl::Seconds(10), [&] {
    return Shell("find " + cluster_.path() +
                 " -size +200k -path '*subvol*' "
                 "| grep .")
               .code == 0;
  }));
  EXPECT_EQ(cluster_.Stop("gateway"), 0);
  EXPECT_EQ(upload->Wait(absl::Seconds(20)), 0);
  EXPECT_EQ(ReadFile(directory_.path() + "/log"), "201");
  EXPECT_THAT(ReadFile(access), HasSubstr("/slow"));
}

}  // namespace
}  // namespace cairn::tests
