#include "volume/blob_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include <cerrno>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/blob_name.h"
#include "volume/blob_store_fixture.h"

namespace cairn::volume {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;
using Code = absl::StatusCode;

class BlobStoreTest : public BlobStoreFixture {
 protected:
  struct stat Info(const v1::BlobId& blob) {
    struct stat info = {};
    EXPECT_EQ(lstat(Path(blob).c_str(), &info), 0);
    return info;
  }
};

TEST_F(BlobStoreTest, APutBlobHasItsBytesMtimeModeAndXattr) {
  v1::SmallPutOp op = PutOp(Blob("a/b", 1700000000), "bar");
  op.mutable_metadata()->set_content_type("text/plain");
  (*op.mutable_metadata()->mutable_user())["author"] = "me";
  auto change = store_->Put(op);
  ASSERT_TRUE(change.ok()) << change.status();
  ASSERT_TRUE(store_->Sync({&*change})[0].ok());

  EXPECT_EQ(ReadAll(op.blob()), "bar");
  EXPECT_EQ(Info(op.blob()).st_mtim.tv_sec, 1700000000);
  EXPECT_EQ(Info(op.blob()).st_mtim.tv_nsec, 0);
  EXPECT_EQ(Info(op.blob()).st_mode & 0777, 0644u);
  const auto stat = store_->Stat(op.blob());
  ASSERT_TRUE(stat.ok()) << stat.status();
  EXPECT_TRUE(stat->whole());
  EXPECT_FALSE(stat->committed());
  EXPECT_EQ(stat->size_bytes(), 3);
  EXPECT_EQ(stat->replicas(), 2);
  EXPECT_EQ(stat->digest().md5(), op.digest().md5());
  EXPECT_EQ(stat->metadata().content_type(), "text/plain");
  EXPECT_EQ(stat->metadata().user().at("author"), "me");
}

TEST_F(BlobStoreTest, APutThatIsSentAgainCountsAsDone) {
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  EXPECT_TRUE(Put(Blob("foo"), "bar").ok());
  ASSERT_TRUE(store_->Mark(Blob("foo")).ok());
  EXPECT_TRUE(Put(Blob("foo"), "bar").ok());
  EXPECT_EQ(CountFiles(), 1);
}

TEST_F(BlobStoreTest, ATornBlobOfTheSameVersionIsWrittenAgain) {
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  ASSERT_EQ(truncate(Path(Blob("foo")).c_str(), 1), 0);
  EXPECT_TRUE(Put(Blob("foo"), "bar").ok());
  EXPECT_EQ(ReadAll(Blob("foo")), "bar");
}

TEST_F(BlobStoreTest, BytesThatDifferUnderTheSameXattrAreWrittenAgain) {
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  const int fd = open(Path(Blob("foo")).c_str(), O_WRONLY);
  ASSERT_EQ(pwrite(fd, "x", 1, 0), 1);
  close(fd);
  EXPECT_TRUE(Put(Blob("foo"), "bar").ok());
  EXPECT_EQ(ReadAll(Blob("foo")), "bar");
}

TEST_F(BlobStoreTest, ACommittedNameIsNeverUsedForOtherBytes) {
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  ASSERT_TRUE(store_->Mark(Blob("foo")).ok());
  EXPECT_EQ(Put(Blob("foo"), "other").code(), Code::kAlreadyExists);
  EXPECT_EQ(ReadAll(Blob("foo")), "bar");
}

TEST_F(BlobStoreTest, BytesThatAreNotThoseOfTheDigestLeaveNothing) {
  v1::SmallPutOp op = PutOp(Blob("foo"), "bar");
  op.set_data("baz");
  EXPECT_EQ(store_->Put(op).status().code(), Code::kDataLoss);
  EXPECT_EQ(CountFiles(), 0);
}

TEST_F(BlobStoreTest, RequestsThatCanNeverSucceedAreRefused) {
  EXPECT_EQ(Put(Blob("foo", 1, /*subvolume=*/2), "").code(),
            Code::kInvalidArgument);
  EXPECT_EQ(Put(Blob("foo", 1, -1), "").code(), Code::kInvalidArgument);
  EXPECT_EQ(Put(Blob(""), "").code(), Code::kInvalidArgument);
  EXPECT_EQ(Put(Blob(std::string(1025, 'k')), "").code(),
            Code::kInvalidArgument);
  v1::BlobId blob = Blob("foo");
  blob.mutable_version()->set_time_ms(int64_t{1} << 48);
  EXPECT_EQ(Put(blob, "").code(), Code::kInvalidArgument);
  blob = Blob("foo");
  blob.mutable_version()->set_counter(65536);
  EXPECT_EQ(Put(blob, "").code(), Code::kInvalidArgument);
  v1::SmallPutOp op = PutOp(Blob("foo"), "");
  op.set_replicas(0);
  EXPECT_EQ(store_->Put(op).status().code(), Code::kInvalidArgument);
  op = PutOp(Blob("foo"), "");
  op.mutable_digest()->set_md5("short");
  EXPECT_EQ(store_->Put(op).status().code(), Code::kInvalidArgument);
  op = PutOp(Blob("foo"), "bytes");
  op.mutable_blob()->set_tombstone(true);
  EXPECT_EQ(store_->Put(op).status().code(), Code::kInvalidArgument);
  op = PutOp(Blob("foo"), "");
  op.mutable_metadata()->set_content_type(std::string(2049, 't'));
  EXPECT_EQ(store_->Put(op).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(CountFiles(), 0);
}

TEST_F(BlobStoreTest, AFailedCallOfAPutLeavesNothing) {
  for (const char* call : {"PWrite", "FSetXattr", "FUtimens"}) {
    file_system_.Fail(call, ENOSPC);
    EXPECT_EQ(Put(Blob("foo"), "bar").code(), Code::kResourceExhausted) << call;
    EXPECT_EQ(CountFiles(), 0) << call;
  }
  file_system_.Fail("OpenAt", ENOSPC);
  EXPECT_EQ(Put(Blob("foo"), "bar").code(), Code::kResourceExhausted);
  EXPECT_EQ(store_->unmarked().size(), 0u);
  // A full disk has not failed.
  EXPECT_TRUE(Put(Blob("foo"), "bar").ok());
}

TEST_F(BlobStoreTest, AnInputOutputErrorTakesOutThatSubvolumeAlone) {
  for (const int error : {EIO, EROFS}) {
    Reopen();
    file_system_.Fail("PWrite", error);
    EXPECT_EQ(Put(Blob("foo"), "bar").code(), Code::kUnavailable);
    EXPECT_EQ(Put(Blob("foo", 2), "bar").code(), Code::kUnavailable);
    EXPECT_TRUE(Put(Blob("foo", error, /*subvolume=*/1), "bar").ok());
    const auto reports = store_->Report();
    EXPECT_TRUE(reports[0].failed());
    EXPECT_FALSE(reports[1].failed());
  }
}

TEST_F(BlobStoreTest, AFailedSyncIsNeverAcknowledgedNorTriedAgain) {
  file_system_.Fail("Fsync", EIO);
  EXPECT_EQ(Put(Blob("foo"), "bar").code(), Code::kUnavailable);
  EXPECT_EQ(Put(Blob("foo"), "bar").code(), Code::kUnavailable);
  EXPECT_TRUE(store_->Report()[0].failed());
  EXPECT_FALSE(store_->Report()[1].failed());
}

TEST_F(BlobStoreTest, AFailedSyncOfTheDirectoryCountsToo) {
  file_system_.Fail("Fsync", ENOSPC, /*times=*/1, /*skip=*/1);
  EXPECT_EQ(Put(Blob("foo"), "bar").code(), Code::kUnavailable);
  EXPECT_TRUE(store_->Report()[0].failed());
}

TEST_F(BlobStoreTest, ManyChangesAreSyncedWithOneCallPerFileSystem) {
  std::vector<Unsynced> changes;
  for (int i = 0; i < 6; ++i) {
    auto change = store_->Put(PutOp(Blob("k", i + 1, i % 2), "v"));
    ASSERT_TRUE(change.ok());
    changes.push_back(*std::move(change));
  }
  std::vector<Unsynced*> pointers;
  for (Unsynced& change : changes) pointers.push_back(&change);
  for (const absl::Status& status : store_->Sync(pointers)) {
    EXPECT_TRUE(status.ok());
  }
  EXPECT_EQ(file_system_.Calls("SyncFs"), 1);
  EXPECT_EQ(file_system_.Calls("Fsync"), 0);

  file_system_.Fail("SyncFs", EIO);
  for (const absl::Status& status : store_->Sync(pointers)) {
    EXPECT_EQ(status.code(), Code::kUnavailable);
  }
  // Both lie on the file system that lost bytes.
  EXPECT_TRUE(store_->Report()[0].failed());
  EXPECT_TRUE(store_->Report()[1].failed());
}

TEST_F(BlobStoreTest, AFullDiskTakesTombstonesMarksAndRemovalsOnly) {
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  Reopen();  // Forgets how much room there was.
  file_system_.SetFree(/*blocks=*/0, /*inodes=*/-1);
  EXPECT_EQ(Put(Blob("new"), "bar").code(), Code::kResourceExhausted);
  EXPECT_TRUE(store_->Report()[0].full());
  EXPECT_EQ(store_->Report()[0].free_bytes(), 0);
  v1::SmallPutOp tombstone = PutOp(Blob("foo", 2), "");
  tombstone.mutable_blob()->set_tombstone(true);
  EXPECT_TRUE(store_->Put(tombstone).ok());
  EXPECT_TRUE(store_->Mark(Blob("foo")).ok());
  EXPECT_TRUE(store_->Unlink(Blob("foo"), true).ok());
}

TEST_F(BlobStoreTest, ADiskWithoutInodesIsFull) {
  file_system_.SetFree(-1, /*inodes=*/10);
  EXPECT_EQ(Put(Blob("new"), "bar").code(), Code::kResourceExhausted);
  EXPECT_TRUE(store_->Report()[0].full());
}

TEST_F(BlobStoreTest, ARenameChangesNameAndMtimeOfAnUncommittedBlob) {
  ASSERT_TRUE(Put(Blob("foo", 5), "bar").ok());
  auto change = store_->Rename(Blob("foo", 5), Version(8));
  ASSERT_TRUE(change.ok()) << change.status();
  ASSERT_TRUE(store_->Sync({&*change})[0].ok());
  EXPECT_FALSE(Exists(Blob("foo", 5)));
  EXPECT_EQ(ReadAll(Blob("foo", 8)), "bar");
  EXPECT_EQ(Info(Blob("foo", 8)).st_mtim.tv_sec, 8);
  EXPECT_TRUE(store_->Stat(Blob("foo", 8))->whole());
  // Sent again: done.
  EXPECT_TRUE(store_->Rename(Blob("foo", 5), Version(8)).ok());
  const auto names = store_->unmarked().Names();
  ASSERT_THAT(names, SizeIs(1));
}

TEST_F(BlobStoreTest, ARenameOfWhatIsNotThereOrCommittedIsRefused) {
  EXPECT_EQ(store_->Rename(Blob("foo"), Version(2)).status().code(),
            Code::kNotFound);
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  EXPECT_EQ(store_->Rename(Blob("foo", 2), Version(1)).status().code(),
            Code::kInvalidArgument);
  ASSERT_TRUE(store_->Mark(Blob("foo")).ok());
  EXPECT_EQ(store_->Rename(Blob("foo"), Version(2)).status().code(),
            Code::kFailedPrecondition);
}

TEST_F(BlobStoreTest, ARenameThatFailsLeavesTheOldName) {
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  for (const char* call : {"OpenAt", "FUtimens", "RenameNoReplace"}) {
    file_system_.Fail(call, ENOSPC);
    EXPECT_EQ(store_->Rename(Blob("foo"), Version(2)).status().code(),
              Code::kResourceExhausted)
        << call;
    EXPECT_EQ(ReadAll(Blob("foo")), "bar");
  }
}

TEST_F(BlobStoreTest, AWriterRemovesOnlyWhatIsNotCommitted) {
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  EXPECT_TRUE(store_->Unlink(Blob("foo"), /*committed_too=*/false).ok());
  EXPECT_FALSE(Exists(Blob("foo")));
  EXPECT_EQ(store_->unmarked().size(), 0u);
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  ASSERT_TRUE(store_->Mark(Blob("foo")).ok());
  EXPECT_EQ(store_->Unlink(Blob("foo"), false).status().code(),
            Code::kFailedPrecondition);
  EXPECT_TRUE(store_->Unlink(Blob("foo"), /*committed_too=*/true).ok());
  EXPECT_FALSE(Exists(Blob("foo")));
}

TEST_F(BlobStoreTest, ABlobThatIsNotThereCountsAsRemovedOnceSynced) {
  auto change = store_->Unlink(Blob("foo"), true);
  ASSERT_TRUE(change.ok());
  EXPECT_TRUE(store_->Sync({&*change})[0].ok());
  EXPECT_EQ(file_system_.Calls("Fsync"), 1);
}

TEST_F(BlobStoreTest, AnUnlinkThatFailsSaysSo) {
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  file_system_.Fail("UnlinkAt", EIO);
  EXPECT_EQ(store_->Unlink(Blob("foo"), true).status().code(),
            Code::kUnavailable);
  EXPECT_TRUE(Exists(Blob("foo")));
}

TEST_F(BlobStoreTest, AMarkMakesTheBlobReadOnlyAndForgetsIt) {
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  EXPECT_EQ(store_->unmarked().size(), 1u);
  ASSERT_TRUE(store_->Mark(Blob("foo")).ok());
  EXPECT_EQ(Info(Blob("foo")).st_mode & 0777, 0444u);
  EXPECT_TRUE(store_->Stat(Blob("foo"))->committed());
  EXPECT_EQ(store_->unmarked().size(), 0u);
  EXPECT_TRUE(store_->Mark(Blob("gone")).ok());
  file_system_.Fail("FChmodAt", EIO);
  EXPECT_EQ(store_->Mark(Blob("foo")).code(), Code::kUnavailable);
}

TEST_F(BlobStoreTest, ATombstoneThatIsCommittedIsReadOnlyAtOnce) {
  v1::SmallPutOp op = PutOp(Blob("foo"), "");
  op.mutable_blob()->set_tombstone(true);
  op.set_committed(true);
  ASSERT_TRUE(store_->Put(op).ok());
  EXPECT_EQ(Info(op.blob()).st_mode & 0777, 0444u);
  EXPECT_EQ(Info(op.blob()).st_size, 0);
  EXPECT_EQ(store_->unmarked().size(), 0u);
  EXPECT_TRUE(store_->Put(op).ok());
  EXPECT_TRUE(store_->Stat(op.blob())->whole());
}

TEST_F(BlobStoreTest, StatTellsWhatIsMissingOrDamaged) {
  EXPECT_EQ(store_->Stat(Blob("foo")).status().code(), Code::kNotFound);
  EXPECT_EQ(store_->Open(Blob("foo")).status().code(), Code::kNotFound);
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  ASSERT_EQ(truncate(Path(Blob("foo")).c_str(), 2), 0);
  EXPECT_FALSE(store_->Stat(Blob("foo"))->whole());
  ASSERT_EQ(setxattr(Path(Blob("foo")).c_str(), "user.c", "x", 1, 0), 0);
  EXPECT_FALSE(store_->Stat(Blob("foo"))->whole());
  EXPECT_FALSE(store_->Stat(Blob("foo"))->has_digest());
}

TEST_F(BlobStoreTest, AReadErrorIsDataLossAndKeepsTheDisk) {
  ASSERT_TRUE(Put(Blob("foo"), "bar").ok());
  const auto open = store_->Open(Blob("foo"));
  file_system_.Fail("PRead", EIO);
  std::string bytes;
  EXPECT_EQ(store_->Read(*open, 0, 3, &bytes).code(), Code::kDataLoss);
  EXPECT_FALSE(store_->Report()[0].failed());
}

TEST_F(BlobStoreTest, AListingHoldsEachBlobOnceWithItsWholeKey) {
  const std::string long_key(1024, '/');
  const std::string odd_key("a\0\xff%", 4);
  ASSERT_TRUE(Put(Blob(long_key), "1").ok());
  ASSERT_TRUE(Put(Blob(odd_key), "2").ok());
  ASSERT_TRUE(Put(Blob(odd_key, 2), "3").ok());
  ASSERT_TRUE(Put(Blob("elsewhere", 1, /*subvolume=*/1), "4").ok());
  // Neither a stray file nor a blob that was put elsewhere is listed.
  const std::string stray = data_ + "/subvolume-0/00/notes.txt";
  close(open(stray.c_str(), O_CREAT | O_WRONLY, 0644));
  ASSERT_TRUE(Put(Blob("moved"), "5").ok());
  const std::string from = Path(Blob("moved"));
  std::string to = from;
  to[(data_ + "/subvolume-0/").size()] ^= 1;
  ASSERT_EQ(rename(from.c_str(), to.c_str()), 0);

  std::multiset<std::string> keys;
  int directories = 0;
  const auto count = [&](int next) { return ++directories == next; };
  const absl::Status listed = store_->List(
      0, {},
      [&](const v1::StatBlobResponse* blob) {
        keys.insert(blob->blob().key());
        EXPECT_TRUE(blob->whole());
        EXPECT_EQ(blob->value(), "") << "nobody asked for it";
        return true;
      },
      count);
  ASSERT_TRUE(listed.ok()) << listed;
  EXPECT_THAT(keys, testing::UnorderedElementsAre(long_key, odd_key, odd_key));
  EXPECT_EQ(directories, 256);
  int calls = 0;
  const auto stop = [&](const v1::StatBlobResponse*) { return ++calls < 1; };
  ASSERT_TRUE(store_->List(0, {}, stop, [](int) { return true; }).ok());
  EXPECT_EQ(calls, 1);
}

TEST_F(BlobStoreTest, AListBeginsWithTheDirectoryAskedFor) {
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(Put(Blob(absl::StrCat(i)), "v").ok());
  }
  BlobStore::ListOptions options;
  options.first_directory = 100;
  std::set<std::string> found;
  int first_done = 0;
  ASSERT_TRUE(store_
                  ->List(
                      0, options,
                      [&](const v1::StatBlobResponse* blob) {
                        found.insert(blob->blob().key());
                        return true;
                      },
                      [&](int next) {
                        if (first_done == 0) first_done = next;
                        return true;
                      })
                  .ok());
  EXPECT_EQ(first_done, 101);
  for (int i = 0; i < 100; ++i) {
    const std::string key = absl::StrCat(i);
    const bool late = base::BlobDirectory(key) >= "64";
    EXPECT_EQ(found.count(key), late ? 1u : 0u) << key;
  }
}

TEST_F(BlobStoreTest, SmallValuesComeWithTheListIfTheyAreGood) {
  ASSERT_TRUE(Put(Blob("four"), "1234").ok());
  ASSERT_TRUE(Put(Blob("five"), "12345").ok());
  ASSERT_TRUE(Put(Blob("bad"), "123").ok());
  const int fd = open(Path(Blob("bad")).c_str(), O_WRONLY);
  ASSERT_EQ(pwrite(fd, "X", 1, 0), 1);
  close(fd);
  BlobStore::ListOptions options;
  options.value_bytes_max = 4;
  std::map<std::string, std::string> values;
  ASSERT_TRUE(store_
                  ->List(
                      0, options,
                      [&](const v1::StatBlobResponse* blob) {
                        values[blob->blob().key()] =
                            blob->whole() ? "=" + blob->value() : "not whole";
                        return true;
                      },
                      [](int) { return true; })
                  .ok());
  EXPECT_EQ(values["four"], "=1234");
  EXPECT_EQ(values["five"], "=") << "larger than asked for";
  EXPECT_EQ(values["bad"], "not whole");
}

TEST_F(BlobStoreTest, UnmarkedBlobsAreFoundAgainAfterAnUncleanStop) {
  ASSERT_TRUE(Put(Blob("foo"), "1").ok());
  ASSERT_TRUE(Put(Blob("marked"), "2").ok());
  ASSERT_TRUE(store_->Mark(Blob("marked")).ok());
  Reopen();
  EXPECT_EQ(store_->unmarked().size(), 0u);
  ASSERT_TRUE(store_->FindUnmarked(0).ok());
  const auto entries = store_->unmarked().Since(absl::InfinitePast());
  ASSERT_THAT(entries, SizeIs(1));
  EXPECT_EQ(entries[0].blob.key(), "foo");
}

TEST_F(BlobStoreTest, UnmarkedBlobsOfACleanStopAreReadFromItsList) {
  ASSERT_TRUE(Put(Blob("foo"), "1").ok());
  const std::vector<std::string> names = store_->unmarked().Names();
  Reopen();
  store_->AddUnmarked(names);
  store_->AddUnmarked({"", "7/00/x", "0/00/none", "x/y/z/w"});
  EXPECT_EQ(store_->unmarked().Names(), names);
}

TEST_F(BlobStoreTest, ASubvolumeThatIsMissingLeavesTheOtherInUse) {
  ASSERT_TRUE(Put(Blob("foo"), "1").ok());
  ASSERT_EQ(
      rename((data_ + "/subvolume-0").c_str(), (data_ + "/elsewhere").c_str()),
      0);
  Reopen();
  EXPECT_THAT(std::string(Put(Blob("foo", 2), "1").message()),
              HasSubstr("is its disk mounted?"));
  EXPECT_TRUE(store_->Report()[0].failed());
  EXPECT_TRUE(Put(Blob("foo", 2, /*subvolume=*/1), "1").ok());
  ASSERT_EQ(
      rename((data_ + "/elsewhere").c_str(), (data_ + "/subvolume-0").c_str()),
      0);
}

}  // namespace
}  // namespace cairn::volume
