// Long uploads in little memory: each process stays below 150 MB.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/cluster.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

constexpr int64_t kResidentBytesMax = 150'000'000;

// The most that a process has had in memory.
int64_t PeakBytes(pid_t pid) {
  const std::string status = ReadFile(absl::StrCat("/proc/", pid, "/status"));
  const size_t at = status.find("VmHWM:");
  return at == std::string::npos ? -1 : atoll(status.c_str() + at + 6) * 1024;
}

class MemoryTest : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Reads, MemoryTest,
                         testing::Values("redirect", "proxy"));

TEST_P(MemoryTest, LongUploadsAndDownloadsStayBelow150MB) {
  ClusterOptions options;
  options.gateway_flags = {absl::StrCat("--reads=", GetParam())};
  Cluster cluster(options);
  TemporaryDirectory directory;
  const char* const given = getenv("CAIRN_UPLOAD_MIB");
  const std::string file = directory.path() + "/file";
  ASSERT_EQ(Shell(absl::StrCat("head -c ", given == nullptr ? "256" : given,
                               "M /dev/urandom >", file))
                .code,
            0);
  for (const char* upload : {"-T ", "-T - <"}) {
    EXPECT_EQ(Shell(absl::StrCat("curl -sS -w '%{http_code}' ", upload, file,
                                 " ", Quoted(cluster.Url("/long"))))
                  .text,
              upload[3] == '-' ? "204" : "201");
    EXPECT_EQ(Shell(absl::StrCat("curl -sSfL ", Quoted(cluster.Url("/long")),
                                 " | cmp - ", file))
                  .text,
              "");
  }
  for (const std::string& name : cluster.names()) {
    const int64_t peak = PeakBytes(cluster.process(name).pid());
    EXPECT_GT(peak, 0) << name;
    EXPECT_LT(peak, kResidentBytesMax) << name;
    RecordProperty(name + "_peak_bytes", absl::StrCat(peak));
    printf("%s: %.1f MB at most\n", name.c_str(), peak / 1e6);
  }
}

}  // namespace
}  // namespace cairn::tests
