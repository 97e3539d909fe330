// Volumes come and go on a real cluster: rebalance, drain, remove and repair,
// while clients read and write.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/auditor.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using Json = nlohmann::json;

namespace fs = std::filesystem;

constexpr int kKeys = 200;

// Some are kept in the index too, some are batched, some streamed.
std::string ValueOf(int i) {
  constexpr size_t kSizes[] = {30, 3000, 9000, 90000};
  return std::string(kSizes[i % 4] + i, 'a' + i % 26);
}
std::string TargetOf(int i) { return absl::StrCat("/k", i, "-"); }

// Reads all keys over and over, through redirects, until it ends.
class Readers {
 public:
  Readers(int gateway_port, int threads) {
    for (int t = 0; t < threads; ++t) {
      threads_.emplace_back([this, gateway_port, t] {
        for (int i = t; !stopping_; ++i) {
          const Reply reply = HttpRead(gateway_port, TargetOf(i % kKeys));
          const bool right =
              reply.status == 200 && reply.body == ValueOf(i % kKeys);
          ++(right ? right_ : wrong_);
          if (!right) last_wrong_ = reply.status;
        }
      });
    }
  }
  ~Readers() { Stop(); }
  void Stop() {
    stopping_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  int right() const { return right_; }
  int wrong() const { return wrong_; }
  int last_wrong() const { return last_wrong_; }

 private:
  std::atomic<bool> stopping_ = false;
  std::atomic<int> right_ = 0;
  std::atomic<int> wrong_ = 0;
  std::atomic<int> last_wrong_ = 0;
  std::vector<std::thread> threads_;
};

class PlacementTest : public testing::Test {
 protected:
  static ClusterOptions Options() {
    ClusterOptions options;
    options.subvolumes = 2;
    options.master_flags = {"--durability=os", "--repair_after=0"};
    return options;
  }
  Outcome Cairn(const std::string& words) {
    return Shell("CAIRN_MASTER=" + cluster_.master_address() + " admin/cairn " +
                 words);
  }
  std::unique_ptr<Process> StartCairn(const std::string& words) {
    std::vector<std::string> command = {"admin/cairn", "--master",
                                        cluster_.master_address()};
    for (const auto word : absl::StrSplit(words, ' ')) {
      command.emplace_back(word);
    }
    return Process::Start(command, log());
  }
  std::string log() const { return directory_.path() + "/log"; }
  void PutAll() {
    for (int i = 0; i < kKeys; ++i) {
      ASSERT_EQ(
          HttpPut(cluster_.gateway_port(), TargetOf(i), ValueOf(i)).status,
          201);
    }
  }
  void ExpectAllThere() {
    for (int i = 0; i < kKeys; ++i) {
      const Reply reply = HttpRead(cluster_.gateway_port(), TargetOf(i));
      EXPECT_EQ(reply.status, 200) << TargetOf(i);
      EXPECT_EQ(reply.body, ValueOf(i)) << TargetOf(i);
    }
  }
  int FilesOn(const std::string& name) const {
    int count = 0;
    for (const std::string& file : cluster_.BlobFiles()) {
      if (absl::StrContains(file, "/" + name + "/")) ++count;
    }
    return count;
  }
  // An object without fields while the master does not answer.
  Json Status() {
    Json status = Json::parse(Cairn("status --json").out, nullptr,
                              /*allow_exceptions=*/false);
    return status.is_object() ? status : Json::object();
  }
  // Until nothing waits to be removed. Then every file is needed, and R of
  // each key are there.
  void ExpectCleanCluster() {
    EXPECT_TRUE(WaitUntil(absl::Seconds(30), [&] {
      return Status()["removals_waiting_count"] == 0;
    }));
    const Outcome verify = Cairn("verify");
    EXPECT_EQ(verify.code, 0) << verify.text;
  }

  const TemporaryDirectory directory_;
  Cluster cluster_{Options()};
};

TEST_F(PlacementTest, ANewVolumeGetsItsShareAndOneIsDrainedUnderLoad) {
  PutAll();
  Auditor auditor(cluster_.gateway_port(), 2);
  Readers readers(cluster_.gateway_port(), 2);
  const std::string fourth = cluster_.AddVolume();
  // It takes new writes before anything is moved.
  EXPECT_TRUE(
      WaitUntil(absl::Seconds(20), [&] { return FilesOn(fourth) > 0; }));
  const Outcome dry = Cairn("rebalance --dry-run");
  EXPECT_EQ(dry.code, 0) << dry.text;
  EXPECT_THAT(dry.out, AllOf(HasSubstr("would move "), Not(HasSubstr(" 0 "))));
  const Outcome rebalance = Cairn("rebalance");
  EXPECT_EQ(rebalance.code, 0) << rebalance.text;
  EXPECT_THAT(rebalance.out, HasSubstr("\nmoved "));
  // All equal: a quarter of 2 x 200, and of what the auditor has.
  EXPECT_GT(FilesOn(fourth), 50);

  const std::string first = cluster_.VolumeId("volume-1");
  const Outcome drain = Cairn("volume drain " + first);
  EXPECT_EQ(drain.code, 0) << drain.text;
  EXPECT_THAT(drain.out, HasSubstr("; 0 blobs left, safe to remove\n"));
  EXPECT_EQ(FilesOn("volume-1"), 0);
  EXPECT_THAT(Cairn("volume list").out, HasSubstr(first + "  up, draining"));

  auditor.Stop();
  readers.Stop();
  EXPECT_GT(auditor.acknowledged(), 100);
  EXPECT_EQ(auditor.failed(), 0);
  EXPECT_THAT(auditor.Check(), testing::IsEmpty());
  EXPECT_GT(readers.right(), 100);
  EXPECT_EQ(readers.wrong(), 0) << "last: " << readers.last_wrong();
  ExpectAllThere();
  ExpectCleanCluster();
  EXPECT_THAT(Cairn("rebalance --dry-run").out,
              HasSubstr("would move 0 copies, 0 bytes\n"));
  EXPECT_EQ(FilesOn("volume-1"), 0);
}

TEST_F(PlacementTest, ADrainedVolumeIsRemovedForGood) {
  PutAll();
  const std::string first = cluster_.VolumeId("volume-1");
  const Outcome early = Cairn("volume remove " + first);
  EXPECT_EQ(early.code, 1);
  EXPECT_THAT(early.text, HasSubstr("run `cairn volume drain " + first + "`"));
  EXPECT_EQ(Cairn("volume drain " + first).code, 0);
  EXPECT_EQ(Status()["volumes"][0]["draining"].is_boolean(), true);

  const std::string second = cluster_.VolumeId("volume-2");
  const Outcome too_few = Cairn("volume drain " + second);
  EXPECT_EQ(too_few.code, 1);
  EXPECT_THAT(too_few.text, HasSubstr("would be left without " + second));
  EXPECT_EQ(Cairn("volume remove " + second).code, 1);
  EXPECT_EQ(Cairn("volume drain 00000001").code, 1) << "there is none";
  EXPECT_EQ(Cairn("volume drain nonsense").code, 2);

  const Outcome dry = Cairn("volume remove --dry-run " + first);
  EXPECT_EQ(dry.out, "volume " + first + " can be removed\n");
  const Outcome removed = Cairn("volume remove " + first);
  EXPECT_EQ(removed.code, 0) << removed.text;
  EXPECT_EQ(cluster_.process("volume-1").Wait(absl::Seconds(30)), 0);
  EXPECT_EQ(cluster_.VolumeId("volume-1"), "");
  EXPECT_EQ(Cairn("volume remove " + first).code, 1);
  const std::string log = cluster_.volume_path(1) + "/log";
  for (const bool noted : {true, false}) {
    if (!noted) {
      // The master refuses it, too, in the same words.
      ASSERT_EQ(Shell("rm " + cluster_.volume_path(1) + "/removed").code, 0);
    }
    const size_t said = ReadFile(log).size();
    cluster_.Start("volume-1");
    EXPECT_EQ(cluster_.process("volume-1").Wait(absl::Seconds(30)), 0)
        << "nobody is to start it again and again";
    EXPECT_THAT(ReadFile(log).substr(said),
                HasSubstr("cairn-volume: volume " + first +
                          " was removed from this cluster for good: give the "
                          "agent an empty --data to join as a new volume"));
  }
  EXPECT_EQ(cluster_.VolumeId("volume-1"), "");
  ExpectAllThere();
  ExpectCleanCluster();
}

TEST_F(PlacementTest, UndrainTakesItBack) {
  PutAll();
  const std::string first = cluster_.VolumeId("volume-1");
  const auto drain = StartCairn("volume drain " + first + " --rate 50K");
  ASSERT_TRUE(WaitUntil(absl::Seconds(10), [&] {
    return absl::StrContains(Cairn("jobs").out, "drain  running");
  }));
  EXPECT_THAT(Cairn("volume drain " + cluster_.VolumeId("volume-2")).text,
              HasSubstr(first + " is being drained"));
  const Outcome undrain = Cairn("volume undrain " + first);
  EXPECT_EQ(undrain.code, 0) << undrain.text;
  EXPECT_EQ(drain->Wait(absl::Seconds(30)), 2) << ReadFile(log());
  EXPECT_EQ(Cairn("rebalance").code, 0);
  EXPECT_GT(FilesOn("volume-1"), 50);
  ExpectAllThere();
  ExpectCleanCluster();
}

TEST_F(PlacementTest, AFailedDiskIsRepairedAloneAndWelcomedBack) {
  PutAll();
  const std::string disk = cluster_.volume_path(1) + "/subvolume-1";
  const int lost = FilesOn("volume-1/subvolume-1");
  EXPECT_GT(lost, 20);
  ASSERT_EQ(cluster_.Stop("volume-1"), 0);
  fs::rename(disk, cluster_.path() + "/away");
  fs::create_directory(disk);  // Where it was mounted.
  cluster_.Start("volume-1");
  EXPECT_TRUE(WaitUntil(absl::Seconds(30), [&] {
    return absl::StrContains(Cairn("volume list").out, " 1 failed");
  }));
  EXPECT_TRUE(WaitUntil(absl::Seconds(30), [&] {
    return Status()["under_replicated_keys_count"] == lost;
  }));
  ExpectAllThere();
  const Outcome repair = Cairn("repair");
  EXPECT_EQ(repair.code, 0) << repair.text;
  EXPECT_THAT(repair.out, HasSubstr(absl::StrCat("made ", lost, " copies")));
  EXPECT_EQ(cluster_.BlobFiles().size(), 2u * kKeys);
  // Mounted again: what was made elsewhere goes.
  ASSERT_EQ(cluster_.Stop("volume-1"), 0);
  fs::remove_all(disk);
  fs::rename(cluster_.path() + "/away", disk);
  cluster_.Start("volume-1");
  EXPECT_TRUE(WaitUntil(absl::Seconds(30), [&] {
    return !absl::StrContains(Cairn("volume list").out, "failed") &&
           cluster_.BlobFiles().size() == 2u * kKeys;
  }));
  ExpectAllThere();
  ExpectCleanCluster();
}

TEST_F(PlacementTest, ARepairMakesLostCopiesAgainAndWelcomesTheVolumeBack) {
  PutAll();
  cluster_.Kill("volume-2");
  cluster_.WaitVolume("volume-2", v1::VOLUME_STATE_DOWN);
  EXPECT_TRUE(WaitUntil(absl::Seconds(30), [&] {
    return Status()["under_replicated_keys_count"] > 50;
  }));
  const Outcome repair = Cairn("repair");
  EXPECT_EQ(repair.code, 0) << repair.text;
  EXPECT_THAT(repair.out, HasSubstr("\nmade "));
  EXPECT_EQ(FilesOn("volume-1") + FilesOn("volume-3"), 2 * kKeys);
  EXPECT_TRUE(WaitUntil(absl::Seconds(30), [&] {
    return Status()["under_replicated_keys_count"] == 0;
  }));
  ExpectAllThere();
  cluster_.Start("volume-2");
  cluster_.WaitReady();
  EXPECT_TRUE(
      WaitUntil(absl::Seconds(30), [&] { return FilesOn("volume-2") == 0; }));
  ExpectCleanCluster();
}

TEST_F(PlacementTest, ARepairStartsByItself) {
  PutAll();
  cluster_.options().master_flags = {"--durability=os", "--repair_after=1s"};
  EXPECT_EQ(cluster_.Stop("master"), 0);
  cluster_.Start("master");
  cluster_.WaitReady();
  cluster_.Kill("volume-2");
  cluster_.WaitVolume("volume-2", v1::VOLUME_STATE_DOWN);
  EXPECT_TRUE(WaitUntil(absl::Seconds(60), [&] {
    return absl::StrContains(Cairn("jobs").out, "repair  done") &&
           Status()["under_replicated_keys_count"] == 0;
  }));
  EXPECT_EQ(FilesOn("volume-1") + FilesOn("volume-3"), 2 * kKeys);
  // What is gone for good can be removed without a drain.
  EXPECT_EQ(Cairn("volume remove " + cluster_.VolumeId("volume-2")).code, 0);
  ExpectAllThere();
  ExpectCleanCluster();
}

TEST_F(PlacementTest, ARebalanceGoesOnWhenTheMasterIsKilled) {
  PutAll();
  Auditor auditor(cluster_.gateway_port(), 1);
  cluster_.AddVolume();
  // About 2.5 MB: ten seconds.
  const auto rebalance = StartCairn("rebalance --rate 250K --json");
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
      return Status()["jobs"].size() == 1 &&
             Status()["jobs"][0]["phase"] == "moving";
    }));
    cluster_.Kill("master");
    cluster_.Start("master");
    cluster_.WaitReady();
  }
  EXPECT_EQ(rebalance->Wait(absl::Seconds(90)), 0) << ReadFile(log());
  EXPECT_THAT(ReadFile(log()), HasSubstr("\"state\":\"done\""));
  auditor.Stop();
  EXPECT_THAT(auditor.Check(), testing::IsEmpty());
  EXPECT_THAT(Cairn("rebalance --dry-run").out, HasSubstr("would move 0 "));
  ExpectAllThere();
  ExpectCleanCluster();
}

TEST_F(PlacementTest, AgentsThatAreKilledLoseAndLeaveNothing) {
  PutAll();
  const std::string fourth = cluster_.AddVolume();
  const auto rebalance = StartCairn("rebalance --rate 250K");
  for (const std::string& name : {fourth, std::string("volume-1")}) {
    ASSERT_TRUE(WaitUntil(absl::Seconds(30), [&] {
      return Status()["jobs"][0]["keys_done"] > 0;
    }));
    cluster_.Kill(name);
    cluster_.Start(name);
    cluster_.WaitReady();
  }
  EXPECT_EQ(rebalance->Wait(absl::Seconds(90)), 0) << ReadFile(log());
  EXPECT_EQ(Cairn("rebalance").code, 0);
  ExpectAllThere();
  ExpectCleanCluster();
}

TEST(RepairFlagsTest, WhatIsTooShortOrNegativeIsRefused) {
  const TemporaryDirectory directory;
  const std::string master =
      absl::StrCat("timeout 10 master/cairn-master --data=", directory.path(),
                   " --listen=127.0.0.1:", FreePort(), " ");
  const Outcome too_short = Shell(master + "--repair_after=999ms");
  EXPECT_EQ(too_short.code, 1);
  EXPECT_THAT(too_short.text,
              HasSubstr("--repair_after=999ms: give 1s or longer, or 0 to "
                        "start no repair"));
  const Outcome negative = Shell(master + "--repair_rate=-1");
  EXPECT_EQ(negative.code, 1);
  EXPECT_THAT(negative.text, HasSubstr("--repair_rate=-1 is out of range"));
}

}  // namespace
}  // namespace cairn::tests
