// kill -9 of each process in turn, under load and in the middle of an upload:
// nothing acknowledged is lost, and starting it again is all that is needed.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/auditor.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::AnyOf;
using testing::IsEmpty;

// Waits until so many more writes are acknowledged: the cluster serves.
void WaitForProgress(const Auditor& auditor, int64_t more) {
  const int64_t goal = auditor.acknowledged() + more;
  EXPECT_TRUE(WaitUntil(absl::Seconds(60),
                        [&] { return auditor.acknowledged() >= goal; }))
      << "no progress: " << auditor.failed() << " writes failed";
}

TEST(FaultTest, NoAcknowledgedWriteIsLostWhenAnyProcessIsKilledUnderLoad) {
  Cluster cluster;
  Auditor auditor(cluster.gateway_port(), 8);
  WaitForProgress(auditor, 200);
  for (int round = 0; round < 2; ++round) {
    for (const std::string& name : cluster.names()) {
      SCOPED_TRACE(name);
      cluster.Kill(name);
      cluster.Start(name);
      cluster.WaitReady();
      WaitForProgress(auditor, 200);
    }
  }
  auditor.Stop();
  EXPECT_THAT(auditor.Check(), IsEmpty());
}

TEST(FaultTest, NoAcknowledgedWriteIsLostWhenAllAreKilledAtOnce) {
  Cluster cluster;
  Auditor auditor(cluster.gateway_port(), 8);
  WaitForProgress(auditor, 500);
  for (const std::string& name : cluster.names()) {
    cluster.process(name).Signal(SIGKILL);
  }
  auditor.Stop();
  for (const std::string& name : cluster.names()) cluster.Kill(name);
  for (const std::string& name : cluster.names()) cluster.Start(name);
  cluster.WaitReady();
  EXPECT_THAT(auditor.Check(), IsEmpty());
}

// The upload may fail, but never half: an answered one is there, whole, and
// one that failed can simply be repeated.
class UploadFaultTest : public testing::Test {
 protected:
  // Kills `name` when about half of the upload has gone.
  void KillDuringUpload(const std::string& name, int64_t bytes_per_second) {
    SCOPED_TRACE(name);
    const std::string url = cluster_.Url("/big/" + name);
    const std::string log = directory_.path() + "/" + name;
    const int64_t written = cluster_.BytesWrittenByAgents();
    const auto upload = Process::Start(
        {"curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--limit-rate",
         absl::StrCat(bytes_per_second), "-T", file_, url},
        log);
    ASSERT_TRUE(WaitUntil(absl::Seconds(120), [&] {
      return cluster_.BytesWrittenByAgents() >= written + size_;
    })) << ReadFile(log);  // Half of each replica.
    ASSERT_TRUE(upload->Running());
    cluster_.Kill(name);
    cluster_.Start(name);
    cluster_.WaitReady();
    upload->Wait(absl::InfiniteDuration());
    const Outcome compared = Shell("curl -sSfL " + url + " | cmp - " + file_);
    if (ReadFile(log) == "201") {
      EXPECT_EQ(compared.code, 0) << compared.text;
    } else {
      EXPECT_NE(compared.code, 0) << "it was said to have failed";
      EXPECT_EQ(Shell("curl -sS -T " + file_ + " " + url).text, "");
      EXPECT_EQ(Shell("curl -sSfL " + url + " | cmp - " + file_).text, "");
    }
    before_ += 2 * size_;
    EXPECT_TRUE(
        WaitUntil(absl::Seconds(30),
                  [&] { return BytesOnVolumes() < before_ + size_ / 4; }))
        << "what a failed upload left stays: " << BytesOnVolumes();
  }

  int64_t BytesOnVolumes() const {
    return atoll(Shell("find " + cluster_.path() +
                       "/volume-*/subvolume-* -type f -printf '%s\\n' "
                       "2>/dev/null | awk '{s += $1} END {printf \"%d\", s}'")
                     .out.c_str());
  }

  void MakeFile(int64_t size) {
    size_ = size;
    file_ = directory_.path() + "/file";
    ASSERT_EQ(
        Shell(absl::StrCat("head -c ", size, " /dev/urandom >", file_)).code,
        0);
  }

  Cluster cluster_;
  TemporaryDirectory directory_;
  std::string file_;
  int64_t size_ = 0;
  int64_t before_ = 0;  // On the volumes, of earlier uploads.
};

TEST_F(UploadFaultTest, UploadsAreWholeOrFailed) {
  // 64 MiB, or as many as the environment says.
  const char* const given = getenv("CAIRN_UPLOAD_MIB");
  const int64_t size = int64_t{given == nullptr ? 64 : atoi(given)} << 20;
  MakeFile(size);
  for (const std::string& name : cluster_.names()) {
    KillDuringUpload(name, std::min(size / 2, int64_t{100} << 20));
  }
}

}  // namespace
}  // namespace cairn::tests
