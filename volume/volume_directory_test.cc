#include "volume/volume_directory.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"

namespace cairn::volume {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Code = absl::StatusCode;

class VolumeDirectoryTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* const root = getenv("TEST_TMPDIR");
    path_ = absl::StrCat(root != nullptr ? root : "/tmp", "/dir-XXXXXX");
    ASSERT_NE(mkdtemp(path_.data()), nullptr);
    path_ += "/made/by/open";
  }

  absl::Status Open(int subvolumes = 2, std::vector<std::string> dirs = {}) {
    directory_ = nullptr;
    auto directory = VolumeDirectory::Open(path_, subvolumes, dirs);
    if (directory.ok()) directory_ = *std::move(directory);
    return directory.status();
  }
  static v1::ClusterMap Map(int64_t epoch, const std::string& cluster = "c1") {
    v1::ClusterMap map;
    map.set_cluster_id(cluster);
    map.set_epoch(epoch);
    map.set_replicas(2);
    v1::Volume* const volume = map.add_volumes();
    volume->set_volume_id(7);
    volume->set_signing_secret("secret");
    return map;
  }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(path_ + "/" + name) << text;
  }

  std::string path_;
  std::unique_ptr<VolumeDirectory> directory_;
};

TEST_F(VolumeDirectoryTest, AFirstStartMakesAnIdentityThatStays) {
  ASSERT_TRUE(Open().ok());
  const uint32_t id = directory_->volume_id();
  const std::string secret = directory_->secret();
  EXPECT_NE(id, 0u);
  EXPECT_EQ(secret.size(), 64u);
  EXPECT_EQ(directory_->cluster_id(), "");
  EXPECT_EQ(directory_->mark(), 0);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(directory_->volume_id(), id);
  EXPECT_EQ(directory_->secret(), secret);
  struct stat info;
  ASSERT_EQ(stat((path_ + "/secret").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ASSERT_EQ(stat((path_ + "/subvolume-1/ff").c_str(), &info), 0);
}

TEST_F(VolumeDirectoryTest, AStartThatWasCutShortIsCarriedOn) {
  ASSERT_TRUE(Open().ok());
  const uint32_t id = directory_->volume_id();
  Write("volume.json", absl::StrCat("{\"format_version\":1,\"volume_id\":\"",
                                    absl::Hex(id, absl::kZeroPad8),
                                    "\",\"cluster_id\":\"\",\"subvolumes\":2,"
                                    "\"ready\":false}"));
  ASSERT_EQ(unlink((path_ + "/subvolume-1/subvolume.json").c_str()), 0);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(directory_->volume_id(), id);
  EXPECT_TRUE(directory_->subvolumes()[1].status.ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(directory_->subvolumes()[1].status.ok());
}

TEST_F(VolumeDirectoryTest, ADirectoryInUseIsRefused) {
  ASSERT_TRUE(Open().ok());
  const auto second = VolumeDirectory::Open(path_, 2, {});
  EXPECT_EQ(second.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              AllOf(HasSubstr("in use"), HasSubstr(absl::StrCat(getpid()))));
}

TEST_F(VolumeDirectoryTest, TheLockIsNotInherited) {
  ASSERT_TRUE(Open().ok());
  // A child that outlives the agent, as nginx may.
  FILE* const child = popen("sleep 0.5", "r");
  directory_ = nullptr;
  EXPECT_TRUE(Open().ok());
  pclose(child);
}

TEST_F(VolumeDirectoryTest, AnotherNumberOfSubvolumesIsRefusedNamingBoth) {
  ASSERT_TRUE(Open(2).ok());
  const absl::Status status = Open(3);
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("with 2"), HasSubstr("with 3")));
  EXPECT_EQ(Open(0).code(), Code::kInvalidArgument);
  EXPECT_EQ(Open(257).code(), Code::kInvalidArgument);
}

TEST_F(VolumeDirectoryTest, AFileSystemWithoutUserXattrsIsRefused) {
  // proc has neither O_TMPFILE nor user xattrs, and no directory is made.
  path_ = absl::StrCat(getenv("TEST_TMPDIR"), "/proc-test");
  EXPECT_FALSE(Open(1, {"/proc/self"}).ok());
}

TEST_F(VolumeDirectoryTest, DisksThatChangedPlacesAreRefused) {
  const std::string a = path_ + "-disk-a";
  const std::string b = path_ + "-disk-b";
  ASSERT_TRUE(Open(2, {a, b}).ok());
  EXPECT_THAT(std::string(Open(2, {b, a}).message()),
              HasSubstr("is subvolume 1 of volume"));
  ASSERT_TRUE(Open(2, {a, b}).ok());
  directory_ = nullptr;
  const auto other = VolumeDirectory::Open(path_ + "-other", 2, {a, b});
  EXPECT_EQ(other.status().code(), Code::kFailedPrecondition);
}

TEST_F(VolumeDirectoryTest, PathsOfSubvolumesBecomeAbsolute) {
  ASSERT_EQ(chdir(getenv("TEST_TMPDIR")), 0);
  ASSERT_TRUE(Open(1, {"relative-disk"}).ok());
  EXPECT_EQ(directory_->subvolumes()[0].path,
            std::filesystem::current_path().string() + "/relative-disk");
}

TEST_F(VolumeDirectoryTest, AMissingDiskIsReportedAndTheOthersOpened) {
  ASSERT_TRUE(Open().ok());
  std::filesystem::remove_all(path_ + "/subvolume-1");
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(directory_->subvolumes()[0].status.ok());
  EXPECT_EQ(directory_->subvolumes()[1].status.code(), Code::kUnavailable);
}

TEST_F(VolumeDirectoryTest, MapAndMarkAreKeptAndNeverGoBack) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(directory_->StoreClusterMap(Map(5)).ok());
  ASSERT_TRUE(directory_->StoreClusterMap(Map(4)).ok());
  ASSERT_TRUE(directory_->StoreMark(10).ok());
  ASSERT_TRUE(directory_->StoreMark(9).ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(directory_->cluster_id(), "c1");
  EXPECT_EQ(directory_->cluster_map().epoch(), 5);
  EXPECT_EQ(directory_->cluster_map().replicas(), 2);
  EXPECT_EQ(directory_->cluster_map().volumes(0).signing_secret(), "");
  EXPECT_EQ(directory_->mark(), 10);
}

TEST_F(VolumeDirectoryTest, TheMapOfAnotherClusterIsRefused) {
  ASSERT_TRUE(Open().ok());
  ASSERT_TRUE(directory_->StoreClusterMap(Map(5)).ok());
  const absl::Status status = directory_->StoreClusterMap(Map(9, "c2"));
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("c1"), HasSubstr("c2")));
  EXPECT_EQ(directory_->cluster_map().epoch(), 5);
}

TEST_F(VolumeDirectoryTest, FencingNumbersOnlyGrowAcrossStarts) {
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(directory_->CheckFencingNumber(3).ok());
  EXPECT_TRUE(directory_->CheckFencingNumber(3).ok());
  EXPECT_EQ(directory_->CheckFencingNumber(2).code(),
            Code::kFailedPrecondition);
  ASSERT_TRUE(Open().ok());
  EXPECT_EQ(directory_->CheckFencingNumber(2).code(),
            Code::kFailedPrecondition);
  EXPECT_TRUE(directory_->CheckFencingNumber(4).ok());
}

TEST_F(VolumeDirectoryTest, ACleanStopIsKnownOnce) {
  ASSERT_TRUE(Open().ok());
  std::vector<std::string> unmarked;
  EXPECT_FALSE(*directory_->TakeCleanStop(&unmarked));
  ASSERT_TRUE(directory_->WriteCleanStop({"0/ab/x@1", "1/cd/y@2"}).ok());
  ASSERT_TRUE(Open().ok());
  EXPECT_TRUE(*directory_->TakeCleanStop(&unmarked));
  EXPECT_THAT(unmarked, ElementsAre("0/ab/x@1", "1/cd/y@2"));
  EXPECT_FALSE(*directory_->TakeCleanStop(&unmarked));
  ASSERT_TRUE(directory_->WriteCleanStop({}).ok());
  EXPECT_TRUE(*directory_->TakeCleanStop(&unmarked));
  EXPECT_TRUE(unmarked.empty());
}

TEST_F(VolumeDirectoryTest, ARemovedVolumeNeverStartsAgain) {
  ASSERT_TRUE(Open().ok());
  const std::string path = directory_->path();
  EXPECT_EQ(VolumeDirectory::RemovedNote(path), "");
  ASSERT_TRUE(directory_->WriteRemoved("volume 7 was removed").ok());
  EXPECT_EQ(VolumeDirectory::RemovedNote(path), "volume 7 was removed");
  EXPECT_EQ(Open().message(), "volume 7 was removed");
}

TEST_F(VolumeDirectoryTest, DamagedFilesAreNamed) {
  ASSERT_TRUE(Open().ok());
  directory_ = nullptr;
  Write("mark", "x");
  EXPECT_THAT(std::string(Open().message()), HasSubstr("/mark is damaged"));
  Write("mark", "1");
  Write("cluster_map", "{");
  EXPECT_THAT(std::string(Open().message()), HasSubstr("cluster_map"));
  Write("cluster_map", "{}");
  Write("volume.json", "[]");
  EXPECT_THAT(std::string(Open().message()), HasSubstr("volume.json"));
  Write("volume.json", "{\"format_version\":2}");
  EXPECT_THAT(std::string(Open().message()), HasSubstr("format 2"));
  Write("volume.json",
        "{\"format_version\":1,\"subvolumes\":2,\"volume_id\":\"0\"}");
  EXPECT_THAT(std::string(Open().message()), HasSubstr("volume_id"));
}

}  // namespace
}  // namespace cairn::volume
