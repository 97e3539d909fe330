// A volume whose directory is put back from a backup: what it lacks is made
// again, what was deleted since stays deleted, and nobody reads a wrong byte.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::HasSubstr;

using Json = nlohmann::json;

constexpr int kOld = 60;  // Keys of before the backup; half of them go on ...
constexpr int kNew = 40;  // ... and so many come after it.

class RestoredVolumeTest : public testing::Test {
 protected:
  static ClusterOptions Options() {
    ClusterOptions options;
    options.subvolumes = 2;
    options.master_flags = {"--durability=os", "--repair_after=0",
                            "--inline_max=0"};
    return options;
  }
  Outcome Cairn(const std::string& words) {
    return Shell("CAIRN_MASTER=" + cluster_.master_address() + " admin/cairn " +
                 words);
  }
  static std::string TargetOf(int i) { return absl::StrCat("/k", i, "-"); }
  static std::string ValueOf(int i, int edition) {
    return absl::StrCat("edition ", edition, " of ", i, " ",
                        std::string(500 + i * 997 % 90000, 'a' + i % 26));
  }
  void Put(int i, int edition) {
    const int status =
        HttpPut(cluster_.gateway_port(), TargetOf(i), ValueOf(i, edition))
            .status;
    ASSERT_TRUE(status == 201 || status == 204) << status;
  }
  // Keys 0, 3, 6 ... stay as they are, 1, 4 ... are replaced, 2, 5 ... deleted.
  void ChangeAll() {
    for (int i = 0; i < kOld; ++i) {
      if (i % 3 == 1) Put(i, 2);
      if (i % 3 == 2) {
        ASSERT_EQ(Http(cluster_.gateway_port(),
                       "DELETE " + TargetOf(i) + " HTTP/1.1\r\n")
                      .status,
                  204);
      }
    }
    for (int i = kOld; i < kOld + kNew; ++i) Put(i, 1);
  }
  void ExpectAllAsTheyShouldBe() {
    for (int i = 0; i < kOld + kNew; ++i) {
      const Reply reply = HttpRead(cluster_.gateway_port(), TargetOf(i));
      const bool deleted = i < kOld && i % 3 == 2;
      EXPECT_EQ(reply.status, deleted ? 404 : 200) << TargetOf(i);
      if (deleted) continue;
      EXPECT_EQ(reply.body, ValueOf(i, i < kOld && i % 3 == 1 ? 2 : 1))
          << TargetOf(i);
    }
  }
  // Of this volume, as `cairn volume list` has it.
  bool Unconfirmed(const std::string& name) {
    const Json volumes = Json::parse(Cairn("volume list --json").out, nullptr,
                                     /*allow_exceptions=*/false);
    for (const Json& volume : volumes) {
      if (volume["id"] == cluster_.VolumeId(name)) return volume["unconfirmed"];
    }
    return true;
  }
  void ExpectCleanCluster() {
    EXPECT_TRUE(WaitUntil(absl::Seconds(30), [&] {
      return absl::StrContains(Cairn("status --json").out,
                               "\"removals_waiting_count\": 0");
    }));
    const Outcome verify = Cairn("verify");
    EXPECT_EQ(verify.code, 0) << verify.text;
  }
  // The mark grows once a second, and is told with the beat after it.
  static void WaitForMarks() { absl::SleepFor(absl::Seconds(4)); }
  void Backup(const std::string& what) {
    ASSERT_EQ(Shell(absl::StrCat("cp -a ", cluster_.volume_path(1), " ",
                                 cluster_.path(), "/", what))
                  .code,
              0);
  }
  void PutBack(const std::string& what) {
    ASSERT_EQ(Shell(absl::StrCat("rm -rf ", cluster_.volume_path(1), " && mv ",
                                 cluster_.path(), "/", what, " ",
                                 cluster_.volume_path(1)))
                  .code,
              0);
  }
  // Puts all, backs volume 1 up, changes all, and puts the backup in its place.
  void SetBack() {
    for (int i = 0; i < kOld; ++i) Put(i, 1);
    WaitForMarks();
    cluster_.Stop("volume-1");
    Backup("backup");
    cluster_.Start("volume-1");
    cluster_.WaitVolume("volume-1", v1::VOLUME_STATE_UP);
    ChangeAll();
    WaitForMarks();
    cluster_.Stop("volume-1");
    PutBack("backup");
    // Else the next "up" could be that of before.
    cluster_.WaitVolume("volume-1", v1::VOLUME_STATE_DOWN);
  }

  Cluster cluster_{Options()};
};

TEST_F(RestoredVolumeTest, ItIsComparedWithTheIndexBeforeItsCopiesCount) {
  SetBack();
  cluster_.Start("volume-1");
  cluster_.WaitVolume("volume-1", v1::VOLUME_STATE_UP);
  EXPECT_TRUE(
      WaitUntil(absl::Seconds(30), [&] { return !Unconfirmed("volume-1"); }));
  const Outcome jobs = Cairn("jobs");
  EXPECT_THAT(jobs.out, HasSubstr("confirm"));
  ExpectAllAsTheyShouldBe();
  ExpectCleanCluster();
  // It alone has all that it should have.
  cluster_.Kill("volume-2");
  cluster_.WaitVolume("volume-2", v1::VOLUME_STATE_DOWN);
  ExpectAllAsTheyShouldBe();
}

TEST_F(RestoredVolumeTest, WhileACopyCannotBeMadeAgainItStaysUnconfirmed) {
  SetBack();
  cluster_.Stop("volume-2");
  cluster_.Stop("volume-3");
  cluster_.WaitVolume("volume-2", v1::VOLUME_STATE_DOWN);
  cluster_.WaitVolume("volume-3", v1::VOLUME_STATE_DOWN);
  cluster_.Start("volume-1");
  cluster_.WaitVolume("volume-1", v1::VOLUME_STATE_UP);
  EXPECT_TRUE(WaitUntil(absl::Seconds(30), [&] {
    return absl::StrContains(Cairn("jobs").out, "confirm");
  }));
  EXPECT_TRUE(Unconfirmed("volume-1"));
  // Over a restart of the master, too.
  cluster_.Kill("master");
  cluster_.Start("master");
  cluster_.WaitVolume("volume-1", v1::VOLUME_STATE_UP);
  EXPECT_TRUE(Unconfirmed("volume-1"));
  cluster_.Start("volume-2");
  cluster_.Start("volume-3");
  cluster_.WaitReady();
  EXPECT_TRUE(
      WaitUntil(absl::Seconds(60), [&] { return !Unconfirmed("volume-1"); }));
  ExpectAllAsTheyShouldBe();
  ExpectCleanCluster();
}

TEST_F(RestoredVolumeTest, OneThatWasOnlyAwayIsNotMistakenForIt) {
  for (int i = 0; i < kOld; ++i) Put(i, 1);
  WaitForMarks();
  cluster_.Kill("volume-1");
  ChangeAll();
  WaitForMarks();
  cluster_.WaitVolume("volume-1", v1::VOLUME_STATE_DOWN);
  cluster_.Start("volume-1");
  cluster_.WaitVolume("volume-1", v1::VOLUME_STATE_UP);
  EXPECT_FALSE(Unconfirmed("volume-1"));
  ExpectAllAsTheyShouldBe();
}

}  // namespace
}  // namespace cairn::tests
