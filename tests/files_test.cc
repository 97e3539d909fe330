// What lies on the volumes' disks: how evenly, and that it is enough to bring
// every value out without Cairn.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

namespace fs = std::filesystem;

TEST(FilesTest, TenThousandKeysLieOnTwoVolumesEachEvenly) {
  constexpr int kKeys = 10000;
  ClusterOptions options;
  options.master_flags = {"--durability=os"};  // Only for time.
  Cluster cluster(options);
  Connection connection(cluster.gateway_port());
  for (int i = 0; i < kKeys; ++i) {
    connection.Send(absl::StrCat("PUT /spread/", i,
                                 " HTTP/1.1\r\nHost: x\r\nContent-Length: "
                                 "1\r\n\r\nv"));
    ASSERT_EQ(connection.Read().status, 201) << i;
  }
  std::map<std::string, std::set<std::string>> volumes_of;
  std::map<std::string, int> count;  // By subvolume and by volume.
  for (const std::string& file : cluster.BlobFiles()) {
    const fs::path path(file);
    const std::string subvolume =
        path.parent_path().parent_path().lexically_relative(cluster.path());
    const std::string volume = subvolume.substr(0, subvolume.find('/'));
    EXPECT_TRUE(volumes_of[path.filename()].insert(volume).second) << file;
    ++count[volume];
    ++count[subvolume];
  }
  EXPECT_THAT(volumes_of, SizeIs(kKeys));
  for (const auto& [name, volumes] : volumes_of) {
    EXPECT_THAT(volumes, SizeIs(2)) << name;
  }
  EXPECT_THAT(count, SizeIs(3 + 3 * 4));
  for (const auto& [place, blobs] : count) {
    const double even =
        absl::StrContains(place, '/') ? kKeys * 2 / 12.0 : kKeys * 2 / 3.0;
    EXPECT_NEAR(blobs / even, 1.0, 0.10) << place;
  }
}

class RestoreTest : public testing::Test {
 protected:
  void Put(const std::string& target, const std::string& value) {
    const int status = HttpPut(cluster_.gateway_port(), target, value).status;
    EXPECT_TRUE(status == 201 || status == 204) << target << " " << status;
  }

  Cluster cluster_;
  TemporaryDirectory out_;
};

TEST_F(RestoreTest, TheScriptBringsTheNewestValueOfEachKey) {
  std::map<std::string, std::string> expected;
  for (int i = 0; i < 20; ++i) {
    const std::string value(i * 1000, static_cast<char>('a' + i));
    Put(absl::StrCat("/some/key-", i), "older");
    Put(absl::StrCat("/some/key-", i), value);
    expected[absl::StrCat("some%2Fkey-", i)] = value;
  }
  Put("/%00%ff%20b", "odd");
  expected["%00%FF%20b"] = "odd";
  Put("/large", std::string(500000, 'L'));
  expected["large"] = std::string(500000, 'L');
  Put("/deleted", "no");
  EXPECT_EQ(
      Http(cluster_.gateway_port(), "DELETE /deleted HTTP/1.1\r\n").status,
      204);
  // With a volume away while a key is written again and one is deleted, it
  // holds old blobs. It stays away.
  cluster_.Kill("volume-3");
  Put("/some/key-3", "newest");
  expected["some%2Fkey-3"] = "newest";
  EXPECT_EQ(
      Http(cluster_.gateway_port(), "DELETE /some/key-4 HTTP/1.1\r\n").status,
      204);
  expected.erase("some%2Fkey-4");
  for (const char* name : {"gateway", "volume-1", "volume-2", "master"}) {
    EXPECT_EQ(cluster_.Stop(name), 0) << name;
  }
  const Outcome outcome =
      Shell(absl::StrCat("sh docs/restore.sh ", out_.path(), " ",
                         cluster_.path(), "/volume-*/subvolume-*"));
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.text, "");
  std::map<std::string, std::string> restored;
  for (const auto& entry : fs::directory_iterator(out_.path())) {
    restored[entry.path().filename()] = ReadFile(entry.path());
  }
  EXPECT_EQ(restored.size(), expected.size());
  for (const auto& [name, value] : expected) {
    EXPECT_EQ(restored[name], value) << name;
  }
}

}  // namespace
}  // namespace cairn::tests
