// What a cluster does while a part of it is missing: a volume, a client, the
// index.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

namespace fs = std::filesystem;

// Every file of the volumes but those that say which volume it is: blobs and
// whatever else a write might leave.
std::vector<std::string> FilesOnVolumes(const Cluster& cluster) {
  const std::string found =
      Shell("find " + cluster.path() +
            "/volume-*/subvolume-* -type f ! -name subvolume.json")
          .out;
  return absl::StrSplit(found, '\n', absl::SkipEmpty());
}

TEST(DegradedTest, WithOneAgentKilledPutGetAndDeleteWork) {
  Cluster cluster;
  const int port = cluster.gateway_port();
  const std::string large(100000, 'l');
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(HttpPut(port, absl::StrCat("/small/", i), "s").status, 201);
    ASSERT_EQ(HttpPut(port, absl::StrCat("/large/", i), large).status, 201);
  }
  cluster.Kill("volume-2");
  // From the first moment, while the map still calls it up.
  for (int i = 0; i < 30; ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(HttpPut(port, absl::StrCat("/new/", i), "n").status, 201);
    const Reply put = HttpPut(port, absl::StrCat("/new-large/", i), large);
    EXPECT_EQ(put.status, 201) << put.body;
    EXPECT_EQ(HttpPut(port, absl::StrCat("/small/", i), "t").status, 204);
    EXPECT_EQ(HttpGet(port, absl::StrCat("/small/", i)).body, "t");
  }
  cluster.WaitVolume("volume-2", v1::VOLUME_STATE_DOWN);
  for (int i = 0; i < 30; ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(HttpPut(port, absl::StrCat("/later/", i), "n").status, 201);
    EXPECT_EQ(HttpRead(port, absl::StrCat("/large/", i)).body, large);
    EXPECT_EQ(HttpRead(port, absl::StrCat("/new-large/", i)).body, large);
  }
  for (int i = 0; i < 6; ++i) {
    SCOPED_TRACE(i);
    EXPECT_EQ(
        Http(port, absl::StrCat("DELETE /large/", i, " HTTP/1.1\r\n")).status,
        204);
    EXPECT_EQ(HttpGet(port, absl::StrCat("/large/", i)).status, 404);
  }
  // With it back, what was deleted stays deleted, on its disk too.
  cluster.Start("volume-2");
  cluster.WaitReady();
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(HttpGet(port, absl::StrCat("/large/", i)).status, 404);
    const std::string name = absl::StrCat("/large%2F", i, "@");
    EXPECT_TRUE(WaitUntil(absl::Seconds(30), [&] {
      for (const std::string& file : cluster.BlobFiles()) {
        if (absl::StrContains(file, name) && !absl::EndsWith(file, ".gone")) {
          return false;
        }
      }
      return true;
    })) << name;
  }
}

TEST(DegradedTest, WithTooFewVolumesWritesAre503AndSayWhatToDo) {
  ClusterOptions options;
  options.volumes = 2;
  Cluster cluster(options);
  const int port = cluster.gateway_port();
  ASSERT_EQ(HttpPut(port, "/foo", "bar").status, 201);
  cluster.Kill("volume-1");
  cluster.WaitVolume("volume-1", v1::VOLUME_STATE_DOWN);
  const Reply put = HttpPut(port, "/foo", "new");
  EXPECT_EQ(put.status, 503);
  EXPECT_NE(put.Header("Retry-After"), "");
  EXPECT_THAT(put.body, AllOf(HasSubstr("1"), HasSubstr("2")));
  EXPECT_EQ(HttpGet(port, "/foo").body, "bar");
  cluster.Start("volume-1");
  cluster.WaitReady();
  // The gateway's own connection to it takes up to a second.
  EXPECT_TRUE(WaitUntil(absl::Seconds(10), [&] {
    return HttpPut(port, "/foo", "new").status == 204;
  }));
}

TEST(DegradedTest, AClientThatVanishesLeavesNoKeyAndNoFile) {
  Cluster cluster;
  const int port = cluster.gateway_port();
  // Shorter than a small blob, than a piece, and long.
  for (const int size : {1000, 100000, 3000000}) {
    for (const bool chunked : {false, true}) {
      SCOPED_TRACE(absl::StrCat(size, chunked ? " chunked" : ""));
      Connection client(port);
      const std::string half(size / 2, 'h');
      ASSERT_TRUE(client.Send(absl::StrCat(
          "PUT /gone HTTP/1.1\r\nHost: x\r\n",
          chunked ? "Transfer-Encoding: chunked\r\n\r\n" : "",
          chunked ? absl::StrCat(absl::Hex(half.size()), "\r\n")
                  : absl::StrCat("Content-Length: ", size, "\r\n\r\n"),
          half, chunked ? "\r\n" : "")));
      if (size == 3000000) {
        EXPECT_TRUE(WaitUntil(absl::Seconds(10),
                              [&] { return cluster.OpenUploads() == 2; }));
      }
      client.Reset();
      EXPECT_EQ(HttpGet(port, "/gone").status, 404);
      EXPECT_TRUE(WaitUntil(absl::Seconds(10), [&] {
        return FilesOnVolumes(cluster).empty() && cluster.OpenUploads() == 0;
      })) << absl::StrJoin(FilesOnVolumes(cluster), " ");
    }
  }
  EXPECT_EQ(HttpGet(port, "/?list").body, R"({"next":"","keys":[]})");
}

TEST(DegradedTest, ALostIndexIs503AndNever404) {
  Cluster cluster;
  const int port = cluster.gateway_port();
  ASSERT_EQ(HttpPut(port, "/foo", "bar").status, 201);
  ASSERT_EQ(cluster.Stop("master"), 0);
  const std::string index = cluster.path() + "/master/index";
  const std::string kept = cluster.path() + "/kept";
  ASSERT_TRUE(fs::exists(index));
  fs::rename(index, kept);
  cluster.Start("master");
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return absl::StrContains(cluster.GetStatus().not_ready_reason(),
                             "the index is lost");
  })) << cluster.GetStatus().ShortDebugString();
  for (const std::string target : {"/foo", "/never", "/?list"}) {
    ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
      return absl::StrContains(HttpGet(port, target).body, "index is lost");
    })) << HttpGet(port, target).body;
    EXPECT_EQ(HttpGet(port, target).status, 503);
  }
  const Reply put = HttpPut(port, "/foo", "new");
  EXPECT_EQ(put.status, 503);
  EXPECT_THAT(put.body, HasSubstr("the index is lost"));
  EXPECT_EQ(Http(port, "DELETE /foo HTTP/1.1\r\n").status, 503);
  // With its own index back nothing is missing.
  ASSERT_EQ(cluster.Stop("master"), 0);
  fs::remove_all(index);
  fs::rename(kept, index);
  cluster.Start("master");
  cluster.WaitReady();
  EXPECT_EQ(HttpGet(port, "/foo").body, "bar");
}

TEST(DegradedTest, AnIndexFromABackupIsKnownAsLost) {
  Cluster cluster;
  const int port = cluster.gateway_port();
  ASSERT_EQ(HttpPut(port, "/foo", "old").status, 201);
  ASSERT_EQ(cluster.Stop("master"), 0);
  const fs::path index = cluster.path() + "/master/index";
  const fs::path backup = cluster.path() + "/backup";
  fs::copy(index, backup, fs::copy_options::recursive);
  cluster.Start("master");
  cluster.WaitReady();
  ASSERT_EQ(HttpPut(port, "/foo", "new").status, 204);
  // A heartbeat takes the growing mark to the volumes.
  const std::string mark = cluster.volume_path(1) + "/mark";
  const std::string before = ReadFile(mark);
  ASSERT_TRUE(
      WaitUntil(absl::Seconds(20), [&] { return ReadFile(mark) != before; }));
  ASSERT_EQ(cluster.Stop("master"), 0);
  fs::remove_all(index);
  fs::rename(backup, index);
  cluster.Start("master");
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return absl::StrContains(HttpGet(port, "/foo").body, "index is lost");
  })) << HttpGet(port, "/foo").body;
  EXPECT_EQ(HttpGet(port, "/foo").status, 503);
}

TEST(DegradedTest, AnNginxThatWasKilledIsStartedAgain) {
  ClusterOptions options;
  options.volumes = 2;
  Cluster cluster(options);
  const int port = cluster.gateway_port();
  const std::string large(100000, 'l');
  ASSERT_EQ(HttpPut(port, "/large", large).status, 201);
  for (int n = 1; n <= 2; ++n) {
    const pid_t pid =
        atoi(ReadFile(cluster.volume_path(n) + "/nginx/nginx.pid").c_str());
    ASSERT_GT(pid, 1);
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_TRUE(WaitUntil(absl::Seconds(20), [&] {
      const int now =
          atoi(ReadFile(cluster.volume_path(n) + "/nginx/nginx.pid").c_str());
      return now > 1 && now != pid && HttpRead(port, "/large").body == large &&
             HttpRead(port, "/large").body == large;
    }));
  }
}

}  // namespace
}  // namespace cairn::tests
