// `cairn rebuild` on a real cluster: the index is lost in each way in which it
// can be, and what comes back is held against what there was.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/auditor.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/index_dump.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

namespace fs = std::filesystem;

class RebuildTest : public testing::Test {
 protected:
  static ClusterOptions Options() {
    ClusterOptions options;
    options.subvolumes = 2;
    return options;
  }
  int port() const { return cluster_.gateway_port(); }
  Outcome Cairn(const std::string& words) {
    return Shell("CAIRN_MASTER=" + cluster_.master_address() + " admin/cairn " +
                 words);
  }
  Reply Delete(const std::string& target) {
    return Http(port(), "DELETE " + target + " HTTP/1.1\r\n");
  }
  std::map<std::string, std::string> Dump() {
    return DumpIndex(cluster_.master_address());
  }
  std::string IdOf(int volume) {
    const std::string text =
        ReadFile(cluster_.volume_path(volume) + "/volume.json");
    const std::string tag = "\"volume_id\": \"";
    return text.substr(text.find(tag) + tag.size(), 8);
  }

  // Values of many kinds: odd keys, empty, small, large, with type and
  // metadata, replaced, and some that were deleted.
  void Fill() {
    for (int i = 0; i < 60; ++i) {
      const std::string value(i * 311, 'a' + i % 26);
      ASSERT_EQ(HttpPut(port(), absl::StrCat("/k", i), value,
                        absl::StrCat("Content-Type: text/", i % 3,
                                     "\r\nx-cairn-meta-no: ", i, "\r\n"))
                    .status,
                201);
    }
    for (const char* odd : {"/a%2Fb", "/%00%FF", "/..", "/a//b/", "/%25"}) {
      ASSERT_EQ(HttpPut(port(), odd, "odd").status, 201) << odd;
    }
    ASSERT_EQ(HttpPut(port(), "/" + std::string(1000, 'l'), "long").status,
              201);
    ASSERT_EQ(HttpPut(port(), "/large", std::string(3 << 20, 'L')).status, 201);
    for (int i = 0; i < 60; i += 4) {
      ASSERT_EQ(HttpPut(port(), absl::StrCat("/k", i), "again").status, 204);
    }
    for (int i = 2; i < 60; i += 4) {
      ASSERT_EQ(HttpPut(port(), absl::StrCat("/k", i), "refused",
                        "If-None-Match: *\r\n")
                    .status,
                412);
    }
    for (int i = 1; i < 60; i += 4) {
      ASSERT_EQ(Delete(absl::StrCat("/k", i)).status, 204);
    }
  }

  // Waits until the volumes have a mark that an index without the last writes
  // does not have.
  void WaitMark(const std::string& before) {
    const std::string mark = cluster_.volume_path(1) + "/mark";
    ASSERT_TRUE(
        WaitUntil(absl::Seconds(20), [&] { return ReadFile(mark) != before; }));
  }
  std::string Mark() { return ReadFile(cluster_.volume_path(1) + "/mark"); }

  // Until every volume has the newest map: a heartbeat brings it.
  void WaitMaps() {
    const std::string epoch =
        absl::StrCat("\"epoch\": \"", cluster_.GetStatus().map().epoch(), "\"");
    for (int n = 1; n <= 3; ++n) {
      const std::string map = cluster_.volume_path(n) + "/cluster_map";
      ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
        return absl::StrContains(ReadFile(map), epoch);
      })) << ReadFile(map);
    }
  }

  // Stops the master and takes its whole directory away.
  void LoseIndex() {
    ASSERT_EQ(cluster_.Stop("master"), 0);
    fs::remove_all(cluster_.path() + "/master");
    fs::create_directory(cluster_.path() + "/master");
  }
  void StartLost() {
    cluster_.Start("master");
    ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
      const std::string body = HttpGet(port(), "/k0").body;
      return absl::StrContains(body, "the index is lost: run `cairn rebuild`");
    })) << HttpGet(port(), "/k0").body;
    EXPECT_EQ(HttpGet(port(), "/k0").status, 503);
    EXPECT_EQ(HttpPut(port(), "/k0", "new").status, 503);
  }
  void Rebuild(const std::string& words = "") {
    const Outcome rebuilt = Cairn("rebuild " + words);
    ASSERT_EQ(rebuilt.code, 0) << rebuilt.text;
    cluster_.WaitReady();
  }
  // `cairn rebuild` as a process of its own.
  void StartRebuild(const std::vector<std::string>& words = {}) {
    std::vector<std::string> command = {"admin/cairn", "--master",
                                        cluster_.master_address(), "rebuild",
                                        "--json"};
    command.insert(command.end(), words.begin(), words.end());
    rebuild_ = Process::Start(command, log());
  }
  std::string log() const { return directory_.path() + "/log"; }
  void WaitLog(const std::string& text) {
    ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
      return absl::StrContains(ReadFile(log()), text);
    })) << ReadFile(log());
  }
  // Fills the cluster, loses its index and begins a rebuild that moves `rate`
  // bytes a second: a test finds it in the middle of its work.
  void StartSlowRebuild(const std::string& rate) {
    Fill();
    before_ = Dump();
    LoseIndex();
    StartLost();
    StartRebuild({"--rate", rate});
    WaitLog("reading the volumes");
  }

  // Nothing waits to be removed and verify finds nothing.
  void ExpectClean() {
    EXPECT_TRUE(WaitUntil(absl::Seconds(20), [&] {
      return cluster_.GetStatus().removals_waiting_count() == 0;
    })) << cluster_.GetStatus().ShortDebugString();
    const Outcome verify = Cairn("verify");
    EXPECT_EQ(verify.code, 0) << verify.text;
  }

  Cluster cluster_{Options()};
  TemporaryDirectory directory_;
  std::unique_ptr<Process> rebuild_;
  // By StartSlowRebuild(): what the index held.
  std::map<std::string, std::string> before_;
};

TEST_F(RebuildTest, AHealthyIndexIsNotTouched) {
  Fill();
  const auto before = Dump();
  const Outcome refused = Cairn("rebuild");
  EXPECT_EQ(refused.code, 2);
  EXPECT_THAT(refused.text, HasSubstr("the index is not lost"));
  EXPECT_EQ(DifferenceOf(before, Dump()), "");
}

TEST_F(RebuildTest, AllComesBackWhenTheMastersDirectoryIsGone) {
  const std::string mark = Mark();
  Fill();
  WaitMark(mark);
  const auto before = Dump();
  const std::string cluster_id = cluster_.GetStatus().map().cluster_id();
  const auto files = cluster_.BlobFiles();
  LoseIndex();
  StartLost();

  const Outcome dry = Cairn("rebuild --dry-run");
  EXPECT_EQ(dry.code, 0) << dry.text;
  EXPECT_THAT(dry.out, HasSubstr("52 keys and 0 deleted keys would be taken "
                                 "from 104 blobs; 0 blobs would be removed"));
  EXPECT_EQ(HttpGet(port(), "/k0").status, 503) << "nothing has changed";

  const Outcome rebuilt = Cairn("rebuild");
  ASSERT_EQ(rebuilt.code, 0) << rebuilt.text;
  EXPECT_THAT(rebuilt.out, HasSubstr("52 keys and 0 deleted keys were taken "
                                     "from 104 blobs; 0 blobs wait for "
                                     "removal"));
  cluster_.WaitReady();
  EXPECT_EQ(DifferenceOf(before, Dump()), "");
  EXPECT_EQ(cluster_.BlobFiles(), files);
  EXPECT_EQ(cluster_.GetStatus().map().cluster_id(), cluster_id);
  EXPECT_EQ(cluster_.GetStatus().map().volumes_size(), 3);
  EXPECT_EQ(cluster_.GetStatus().keys_count(), 52);
  // Small values are in the index again, large ones behind a redirect.
  const Reply small = HttpGet(port(), "/k2");
  EXPECT_EQ(small.status, 200);
  EXPECT_EQ(small.body, std::string(622, 'c'));
  EXPECT_EQ(small.Header("x-cairn-meta-no"), "2");
  EXPECT_EQ(HttpRead(port(), "/large").body, std::string(3 << 20, 'L'));
  EXPECT_EQ(HttpGet(port(), "/k1").status, 404);
  // And it takes writes, over what was found too.
  EXPECT_EQ(HttpPut(port(), "/k2", "after").status, 204);
  EXPECT_EQ(HttpPut(port(), "/new", "after").status, 201);
  EXPECT_EQ(Delete("/k3").status, 204);
  ExpectClean();
  // Nothing of the loss is left for the next start.
  ASSERT_EQ(cluster_.Stop("master"), 0);
  cluster_.Start("master");
  cluster_.WaitReady();
  EXPECT_EQ(HttpGet(port(), "/k2").body, "after");
}

TEST_F(RebuildTest, AnIndexFromABackupGetsWhatHasHappenedSince) {
  Fill();
  ASSERT_EQ(cluster_.Stop("master"), 0);
  const fs::path index = cluster_.path() + "/master/index";
  const fs::path backup = cluster_.path() + "/backup";
  fs::copy(index, backup, fs::copy_options::recursive);
  cluster_.Start("master");
  cluster_.WaitReady();
  const std::string mark = Mark();
  // The backup has a key that is deleted, one that is replaced, and lacks one.
  ASSERT_EQ(Delete("/k2").status, 204);
  ASSERT_EQ(HttpPut(port(), "/k3", "newer").status, 204);
  ASSERT_EQ(HttpPut(port(), "/k1", "back").status, 201);
  WaitMark(mark);
  const auto before = Dump();
  ASSERT_EQ(cluster_.Stop("master"), 0);
  fs::remove_all(index);
  fs::rename(backup, index);
  StartLost();
  Rebuild();
  EXPECT_EQ(DifferenceOf(before, Dump()), "");
  EXPECT_EQ(HttpGet(port(), "/k2").status, 404);
  ExpectClean();
}

TEST_F(RebuildTest, WhatWasDeletedStaysAwayThoughAVolumeMissedIt) {
  for (int i = 0; i < 30; ++i) {
    ASSERT_EQ(HttpPut(port(), absl::StrCat("/k", i), "value").status, 201);
  }
  cluster_.Kill("volume-2");
  cluster_.WaitVolume("volume-2", v1::VOLUME_STATE_DOWN);
  for (int i = 0; i < 15; ++i) {
    ASSERT_EQ(Delete(absl::StrCat("/k", i)).status, 204);
  }
  ASSERT_EQ(HttpPut(port(), "/k20", "replaced").status, 204);
  const auto before = Dump();
  LoseIndex();
  // Back before the rebuild, with all that it missed.
  cluster_.Start("volume-2");
  StartLost();
  Rebuild();
  EXPECT_EQ(DifferenceOf(before, Dump()), "");
  EXPECT_EQ(HttpGet(port(), "/k0").status, 404);
  EXPECT_EQ(HttpGet(port(), "/k20").body, "replaced");
  ExpectClean();
}

TEST_F(RebuildTest, ItWaitsForAVolumeThatIsDown) {
  Fill();
  WaitMaps();
  const auto before = Dump();
  cluster_.Kill("volume-3");
  LoseIndex();
  StartLost();
  StartRebuild();
  WaitLog(absl::StrCat("waiting for volume ", IdOf(3),
                       " (start it, or stop this and run it again --without "
                       "it)"));
  cluster_.Start("volume-3");
  EXPECT_EQ(rebuild_->Wait(absl::Seconds(60)), 0) << ReadFile(log());
  cluster_.WaitReady();
  EXPECT_EQ(DifferenceOf(before, Dump()), "");
}

TEST_F(RebuildTest, WithoutAVolumeEveryKeyIsThereFromItsOtherCopy) {
  Fill();
  WaitMaps();
  const auto before = Dump();
  const std::string id = IdOf(3);
  cluster_.Kill("volume-3");
  LoseIndex();
  StartLost();
  EXPECT_THAT(Cairn("rebuild --without 12345678").text,
              HasSubstr("--without: 12345678/0 is not in the cluster"));
  EXPECT_THAT(Cairn("rebuild --without nonsense").text,
              HasSubstr("--without nonsense: give a volume as"));
  const Outcome rebuilt = Cairn("rebuild --without " + id);
  ASSERT_EQ(rebuilt.code, 0) << rebuilt.text;
  std::vector<std::string> keys_before, keys_after;
  for (const auto& [key, record] : before) keys_before.push_back(key);
  for (const auto& [key, record] : Dump()) keys_after.push_back(key);
  EXPECT_EQ(keys_after, keys_before);
  EXPECT_EQ(HttpRead(port(), "/large").body, std::string(3 << 20, 'L'));

  // Written, replaced and deleted without it; then it comes back.
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return HttpGet(port(), "/never").status == 404;
  }));
  ASSERT_EQ(HttpPut(port(), "/k2", "replaced").status, 204);
  for (int i = 3; i < 60; i += 4) {
    ASSERT_EQ(Delete(absl::StrCat("/k", i)).status, 204);
  }
  const int64_t deleted = cluster_.GetStatus().tombstones_count();
  cluster_.Start("volume-3");
  cluster_.WaitVolume("volume-3", v1::VOLUME_STATE_UP);
  EXPECT_TRUE(WaitUntil(absl::Seconds(30), [&] {
    return std::regex_search(Cairn("jobs").out, std::regex("merge +done"));
  })) << Cairn("jobs").text;
  EXPECT_GT(deleted, 0) << "they must be known until it has been listed";
  EXPECT_EQ(HttpGet(port(), "/k2").body, "replaced");
  EXPECT_EQ(HttpGet(port(), "/k3").status, 404);
  // What nobody has touched has its copies on it again.
  const auto after = Dump();
  for (const char* key : {"k0", "k6", "large", "a/b"}) {
    EXPECT_EQ(after.at(key), before.at(key));
  }
  EXPECT_EQ(Cairn("repair").code, 0);
  ExpectClean();
}

TEST_F(RebuildTest, KeysThatOnlyLeftOutVolumesHaveComeBackWithThem) {
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(HttpPut(port(), absl::StrCat("/k", i), "value").status, 201);
  }
  ASSERT_EQ(HttpPut(port(), "/large", std::string(3 << 20, 'L')).status, 201);
  WaitMaps();
  const auto before = Dump();
  const std::string words =
      absl::StrCat("--without ", IdOf(2), " --without ", IdOf(3));
  // Marks are made a little later than writes are answered.
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    const Outcome unmarked = Shell(absl::StrCat(
        "find ", cluster_.path(), "/volume-* -name '*@*' -perm /222 | wc -l"));
    return unmarked.out == "0\n";
  }));
  cluster_.Kill("volume-2");
  cluster_.Kill("volume-3");
  LoseIndex();
  StartLost();
  const Outcome rebuilt = Cairn("rebuild " + words);
  ASSERT_EQ(rebuilt.code, 0) << rebuilt.text;
  EXPECT_LT(Dump().size(), before.size());
  cluster_.Start("volume-2");
  cluster_.Start("volume-3");
  EXPECT_TRUE(WaitUntil(absl::Seconds(30), [&] {
    return DifferenceOf(before, Dump()).empty();
  })) << DifferenceOf(before, Dump());
  EXPECT_EQ(HttpRead(port(), "/large").body, std::string(3 << 20, 'L'));
  ExpectClean();
}

TEST_F(RebuildTest, AKilledMasterGoesOnWithIt) {
  StartSlowRebuild("3K");
  for (int kills = 0; kills < 3; ++kills) {
    WaitLog("reading the volumes");
    cluster_.Kill("master");
    WriteFile(log(), "");
    cluster_.Start("master");
  }
  EXPECT_EQ(rebuild_->Wait(absl::Seconds(60)), 0) << ReadFile(log());
  cluster_.WaitReady();
  EXPECT_EQ(DifferenceOf(before_, Dump()), "");
  ExpectClean();
}

TEST_F(RebuildTest, ACancelledRebuildLeavesTheIndexLostAndCanBeRunAgain) {
  StartSlowRebuild("1K");
  EXPECT_EQ(Cairn("jobs cancel 1").text, "");
  EXPECT_EQ(rebuild_->Wait(absl::Seconds(20)), 2) << ReadFile(log());
  EXPECT_EQ(HttpGet(port(), "/k0").status, 503);
  // A restart does not take the half of it for the whole.
  ASSERT_EQ(cluster_.Stop("master"), 0);
  StartLost();
  Rebuild();
  EXPECT_EQ(DifferenceOf(before_, Dump()), "");
}

TEST_F(RebuildTest, NoAcknowledgedWriteIsLostWithAnIndexUnderLoad) {
  Auditor auditor(port(), 4);
  ASSERT_TRUE(WaitUntil(absl::Seconds(60),
                        [&] { return auditor.acknowledged() > 500; }));
  // In the middle of writes.
  cluster_.Kill("master");
  fs::remove_all(cluster_.path() + "/master");
  fs::create_directory(cluster_.path() + "/master");
  cluster_.Start("master");
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return absl::StrContains(cluster_.GetStatus().not_ready_reason(), "lost");
  }));
  Rebuild();
  const int64_t acknowledged = auditor.acknowledged();
  ASSERT_TRUE(WaitUntil(absl::Seconds(60), [&] {
    return auditor.acknowledged() > acknowledged + 300;
  }));
  auditor.Stop();
  EXPECT_THAT(auditor.Check(), IsEmpty());
}

// --- cairn rebuild --diff

class DiffTest : public RebuildTest {
 protected:
  // The files of a key, in the order of their paths.
  std::vector<std::string> FilesOf(const std::string& key) {
    std::vector<std::string> files;
    for (const std::string& file : cluster_.BlobFiles()) {
      if (absl::StrContains(file, "/" + key + "@")) files.push_back(file);
    }
    return files;
  }
};

TEST_F(DiffTest, AHealthyIndexDoesNotDifferAlsoUnderLoad) {
  Fill();
  const Outcome quiet = Cairn("rebuild --diff");
  EXPECT_EQ(quiet.code, 0) << quiet.text;
  EXPECT_THAT(quiet.out, HasSubstr("104 copies of 52 keys were compared: 0 "
                                   "corrupt, 0 missing, 0 stray blobs"));
  Auditor auditor(port(), 4);
  for (int i = 0; i < 10; ++i) {
    const Outcome diff = Cairn("rebuild --diff");
    EXPECT_EQ(diff.code, 0) << diff.text;
  }
  auditor.Stop();
  EXPECT_GT(auditor.acknowledged(), 100);
}

TEST_F(DiffTest, WhatDiffersIsNamedAndNothingChanges) {
  Fill();
  fs::remove(FilesOf("k2")[0]);
  fs::resize_file(FilesOf("k3")[0], 1);
  const std::string stray_of = FilesOf("k6")[1];
  std::string stray = stray_of;
  stray.replace(stray.rfind('@') + 1, 6, "018000");
  ASSERT_EQ(Shell(absl::StrCat("cp -a ", stray_of, " ", stray)).code, 0);
  ASSERT_EQ(Shell("setfattr -x user.c " + FilesOf("k7")[0]).code, 0);
  const auto files = cluster_.BlobFiles();
  const auto before = Dump();
  const Outcome diff = Cairn("rebuild --diff");
  EXPECT_EQ(diff.code, 1);
  EXPECT_THAT(diff.out,
              testing::AllOf(HasSubstr("k2: the copy on "),
                             HasSubstr(" is missing: there is no such file\n"),
                             HasSubstr("k3: the copy on "),
                             HasSubstr("it has 1 bytes instead of 933\n"),
                             HasSubstr("k6: a stray blob of version 018000"),
                             HasSubstr("k7: the copy on "),
                             HasSubstr("were compared: 2 corrupt, 1 missing, 1 "
                                       "stray blobs")));
  EXPECT_EQ(cluster_.BlobFiles(), files);
  EXPECT_EQ(DifferenceOf(before, Dump()), "");
}

TEST_F(DiffTest, ItIsGivenAloneAndNotWithALostIndex) {
  EXPECT_EQ(Cairn("rebuild --diff --dry-run").code, 2);
  LoseIndex();
  StartLost();
  const Outcome diff = Cairn("rebuild --diff");
  EXPECT_EQ(diff.code, 2);
  EXPECT_THAT(diff.text, HasSubstr("the index is lost"));
}

}  // namespace
}  // namespace cairn::tests
