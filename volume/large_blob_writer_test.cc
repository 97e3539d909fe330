#include "volume/large_blob_writer.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cerrno>
#include <string>

#include "volume/blob_store_fixture.h"

namespace cairn::volume {
namespace {

using Code = absl::StatusCode;

class LargeBlobWriterTest : public BlobStoreFixture {
 protected:
  // Writes `data` in pieces.
  absl::Status Write(const v1::BlobId& blob, absl::string_view data,
                     int64_t size_bytes_expected = 0) {
    auto header = Header(blob);
    header.set_size_bytes_expected(size_bytes_expected);
    auto writer = LargeBlobWriter::Start(store_.get(), header);
    if (!writer.ok()) return writer.status();
    for (size_t offset = 0; offset < data.size(); offset += 100000) {
      const absl::Status status =
          (*writer)->Append(data.substr(offset, 100000));
      if (!status.ok()) return status;
    }
    return (*writer)->Commit(Trailer(blob, data));
  }

  const std::string data_bytes_ = [] {
    std::string bytes;
    for (int i = 0; bytes.size() < 300000; ++i) bytes += std::to_string(i);
    return bytes;
  }();
};

TEST_F(LargeBlobWriterTest, TheBlobHasItsNameOnceItsTrailerCame) {
  ASSERT_TRUE(Write(Blob("big", 1700000000), data_bytes_).ok());
  EXPECT_EQ(ReadAll(Blob("big", 1700000000)), data_bytes_);
  EXPECT_TRUE(store_->Stat(Blob("big", 1700000000))->whole());
  struct stat info;
  ASSERT_EQ(stat(Path(Blob("big", 1700000000)).c_str(), &info), 0);
  EXPECT_EQ(info.st_mtim.tv_sec, 1700000000);
  EXPECT_EQ(info.st_mode & 0777, 0644u);
  EXPECT_EQ(store_->unmarked().size(), 1u);
  EXPECT_EQ(file_system_.Calls("Fsync"), 2);
}

TEST_F(LargeBlobWriterTest, AnAbandonedUploadLeavesNothing) {
  {
    auto writer = LargeBlobWriter::Start(store_.get(), Header(Blob("big")));
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Append(data_bytes_).ok());
    EXPECT_EQ(CountFiles(), 0);
  }
  EXPECT_EQ(CountFiles(), 0);
  EXPECT_EQ(store_->unmarked().size(), 0u);
}

TEST_F(LargeBlobWriterTest, OtherBytesThanTheTrailersLeaveNothing) {
  for (const bool same_length : {true, false}) {
    auto writer = LargeBlobWriter::Start(store_.get(), Header(Blob("big")));
    ASSERT_TRUE(writer.ok());
    ASSERT_TRUE((*writer)->Append("bytes").ok());
    EXPECT_EQ((*writer)
                  ->Commit(Trailer(Blob("big"), same_length ? "bites" : "b"))
                  .code(),
              Code::kDataLoss);
  }
  EXPECT_EQ(CountFiles(), 0);
}

TEST_F(LargeBlobWriterTest, AnUploadThatIsSentAgainCountsAsDone) {
  ASSERT_TRUE(Write(Blob("big"), data_bytes_).ok());
  EXPECT_TRUE(Write(Blob("big"), data_bytes_).ok());
  ASSERT_TRUE(store_->Mark(Blob("big")).ok());
  EXPECT_TRUE(Write(Blob("big"), data_bytes_).ok());
  EXPECT_EQ(Write(Blob("big"), "other").code(), Code::kAlreadyExists);
  EXPECT_EQ(CountFiles(), 1);
}

TEST_F(LargeBlobWriterTest, ATornBlobOfTheSameVersionIsReplaced) {
  ASSERT_TRUE(Write(Blob("big"), data_bytes_).ok());
  ASSERT_EQ(truncate(Path(Blob("big")).c_str(), 10), 0);
  EXPECT_TRUE(Write(Blob("big"), data_bytes_).ok());
  EXPECT_EQ(ReadAll(Blob("big")), data_bytes_);
}

TEST_F(LargeBlobWriterTest, RoomIsReservedAndWhatIsNotUsedGivenBack) {
  file_system_.Fail("Fallocate", ENOSPC);
  EXPECT_EQ(Write(Blob("big"), "bytes", 1 << 20).code(),
            Code::kResourceExhausted);
  file_system_.Fail("Fallocate", EOPNOTSUPP);
  EXPECT_TRUE(Write(Blob("big"), "bytes", 1 << 20).ok());
  EXPECT_TRUE(Write(Blob("big", 2), "bytes", 1 << 20).ok());
  struct stat info;
  ASSERT_EQ(stat(Path(Blob("big", 2)).c_str(), &info), 0);
  EXPECT_EQ(info.st_size, 5);
  EXPECT_LT(info.st_blocks * 512, 1 << 20);
}

TEST_F(LargeBlobWriterTest, AFailedCallLeavesNothing) {
  for (const char* call :
       {"OpenAt", "PWrite", "FSetXattr", "FUtimens", "LinkFd"}) {
    file_system_.Fail(call, ENOSPC);
    EXPECT_EQ(Write(Blob("big"), "bytes").code(), Code::kResourceExhausted)
        << call;
    EXPECT_EQ(CountFiles(), 0);
    EXPECT_EQ(store_->unmarked().size(), 0u);
  }
}

TEST_F(LargeBlobWriterTest, AFailedSyncTakesTheSubvolumeOut) {
  file_system_.Fail("Fsync", EIO);
  EXPECT_EQ(Write(Blob("big"), "bytes").code(), Code::kUnavailable);
  EXPECT_EQ(CountFiles(), 0);
  EXPECT_TRUE(store_->Report()[0].failed());
  EXPECT_TRUE(Write(Blob("big", 1, /*subvolume=*/1), "bytes").ok());
}

TEST_F(LargeBlobWriterTest, DirtyPagesAreWrittenBackOnTheWay) {
  const std::string bytes(int64_t{20} << 20, 'x');
  auto writer = LargeBlobWriter::Start(store_.get(), Header(Blob("big")));
  ASSERT_TRUE(writer.ok());
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(
        (*writer)->Append(absl::string_view(bytes).substr(0, 1 << 20)).ok());
  }
  EXPECT_EQ(file_system_.Calls("SyncFileRange"), 3);
  file_system_.Fail("SyncFileRange", EIO);
  absl::Status status;
  for (int i = 0; status.ok() && i < 20; ++i) {
    status = (*writer)->Append(absl::string_view(bytes).substr(0, 1 << 20));
  }
  EXPECT_EQ(status.code(), Code::kUnavailable);
}

TEST_F(LargeBlobWriterTest, AFullDiskTakesNoUpload) {
  file_system_.SetFree(/*blocks=*/0, /*inodes=*/-1);
  EXPECT_EQ(Write(Blob("big"), "bytes").code(), Code::kResourceExhausted);
}

TEST_F(LargeBlobWriterTest, AnUploadNeedsRoomForItsWholeSize) {
  // More than the disk has.
  EXPECT_EQ(Write(Blob("big"), "bytes", int64_t{5} << 40).code(),
            Code::kResourceExhausted);
}

TEST_F(LargeBlobWriterTest, HeadersThatCanNeverSucceedAreRefused) {
  auto header = Header(Blob("big"));
  header.set_replicas(0);
  EXPECT_EQ(LargeBlobWriter::Start(store_.get(), header).status().code(),
            Code::kInvalidArgument);
  header = Header(Blob("big"));
  header.set_size_bytes_expected(-1);
  EXPECT_EQ(LargeBlobWriter::Start(store_.get(), header).status().code(),
            Code::kInvalidArgument);
  header = Header(Blob(""));
  EXPECT_EQ(LargeBlobWriter::Start(store_.get(), header).status().code(),
            Code::kInvalidArgument);
}

}  // namespace
}  // namespace cairn::volume
