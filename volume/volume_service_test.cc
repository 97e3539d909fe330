#include "volume/volume_service.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fstream>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "proto/convert.h"
#include "rpc/server.h"
#include "volume/blob_store_fixture.h"

namespace cairn::volume {
namespace {

using ::testing::SizeIs;
using Code = absl::StatusCode;

int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  close(fd);
  return ntohs(address.sin_port);
}

class VolumeServiceTest : public BlobStoreFixture {
 protected:
  void SetUp() override {
    committer_ =
        std::make_unique<GroupCommitter>(store_.get(), directory_.get(), 2);
    server_ = std::make_unique<VolumeServer>(store_.get(), committer_.get(),
                                             directory_.get());
    address_ = absl::StrCat("127.0.0.1:", FreePort());
    const absl::Status status = server_->Start(address_);
    ASSERT_TRUE(status.ok()) << status;
    if (JoinsAtOnce()) server_->SetJoined();
    stub_ = v1::VolumeService::NewStub(rpc::NewChannel(address_));
  }
  void TearDown() override {
    server_ = nullptr;
    committer_ = nullptr;
  }

  virtual bool JoinsAtOnce() const { return true; }

  uint32_t id() const { return directory_->volume_id(); }

  // A large put of `data` in two pieces; `trailer_of` is what it claims.
  absl::Status Upload(const v1::BlobId& blob, const std::string& data,
                      const std::string& trailer_of, uint32_t volume_id) {
    grpc::ClientContext context;
    v1::PutBlobResponse response;
    const auto writer = stub_->Put(&context, &response);
    v1::PutBlobRequest request;
    *request.mutable_header() = Header(blob);
    request.mutable_header()->set_volume_id(volume_id);
    writer->Write(request);
    request.set_data(data.substr(0, data.size() / 2));
    writer->Write(request);
    request.set_data(data.substr(data.size() / 2));
    writer->Write(request);
    *request.mutable_trailer() = Trailer(blob, trailer_of);
    writer->Write(request);
    writer->WritesDone();
    return rpc::FromGrpc(writer->Finish());
  }

  absl::StatusOr<std::string> Get(const v1::BlobId& blob, int64_t offset,
                                  int64_t length) {
    grpc::ClientContext context;
    v1::GetBlobRequest request;
    request.set_volume_id(id());
    *request.mutable_blob() = blob;
    request.set_offset(offset);
    request.set_length(length);
    const auto reader = stub_->Get(&context, request);
    std::string bytes;
    v1::GetBlobResponse response;
    while (reader->Read(&response)) bytes += response.data();
    const absl::Status status = rpc::FromGrpc(reader->Finish());
    if (!status.ok()) return status;
    return bytes;
  }

  std::unique_ptr<GroupCommitter> committer_;
  std::unique_ptr<VolumeServer> server_;
  std::string address_;
  std::unique_ptr<v1::VolumeService::Stub> stub_;
};

class JoiningVolumeServiceTest : public VolumeServiceTest {
 protected:
  bool JoinsAtOnce() const override { return false; }
};

TEST_F(JoiningVolumeServiceTest, CallsWaitForTheVolumeToJoin) {
  absl::Status early;
  std::thread caller([&] { early = Upload(Blob("a", 1), "aa", "aa", id()); });
  EXPECT_EQ(Upload(Blob("b", 1), "bb", "bb", id()).code(),
            absl::StatusCode::kUnavailable);
  caller.join();
  EXPECT_EQ(early.code(), absl::StatusCode::kUnavailable);
  std::thread patient([&] { early = Upload(Blob("c", 1), "cc", "cc", id()); });
  server_->SetJoined();
  patient.join();
  EXPECT_TRUE(early.ok()) << early;
}

TEST_F(VolumeServiceTest, ABatchIsAnsweredByOpId) {
  grpc::ClientContext context;
  const auto stream = stub_->Batch(&context);
  v1::BlobBatchRequest request;
  request.set_volume_id(id());
  for (int i = 1; i <= 10; ++i) {
    *request.add_puts() = PutOp(Blob(absl::StrCat("k", i)), "value");
    request.mutable_puts()->rbegin()->set_op_id(i);
  }
  *request.add_committed() = Blob("nothing");
  ASSERT_TRUE(stream->Write(request));
  std::set<int64_t> answered;
  v1::BlobBatchResponse response;
  while (answered.size() < 10 && stream->Read(&response)) {
    for (const auto& result : response.results()) {
      EXPECT_EQ(result.code(), 0) << result.message();
      answered.insert(result.op_id());
    }
  }
  EXPECT_THAT(answered, SizeIs(10));
  EXPECT_EQ(ReadAll(Blob("k10")), "value");
  stream->WritesDone();
  EXPECT_TRUE(stream->Finish().ok());
}

TEST_F(VolumeServiceTest, ABatchForAnotherVolumeIsRefused) {
  grpc::ClientContext context;
  const auto stream = stub_->Batch(&context);
  v1::BlobBatchRequest request;
  request.set_volume_id(id() + 1);
  *request.add_puts() = PutOp(Blob("foo"), "bar");
  ASSERT_TRUE(stream->Write(request));
  v1::BlobBatchResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(CountFiles(), 0);
}

TEST_F(VolumeServiceTest, ALargePutCanBeReadBackInParts) {
  const std::string data(700000, 'x');
  ASSERT_TRUE(Upload(Blob("big"), data, data, id()).ok());
  EXPECT_EQ(*Get(Blob("big"), 0, 0), data);
  EXPECT_EQ(*Get(Blob("big"), 699999, 0), "x");
  EXPECT_EQ(Get(Blob("big"), 10, 300000)->size(), 300000u);
  EXPECT_EQ(*Get(Blob("big"), 700000, 0), "");
  EXPECT_EQ(Get(Blob("big"), 700001, 0).status().code(), Code::kOutOfRange);
  EXPECT_EQ(Get(Blob("none"), 0, 0).status().code(), Code::kNotFound);
  EXPECT_EQ(server_->uploads(), 0);
}

TEST_F(VolumeServiceTest, ALargePutThatFailsLeavesNothing) {
  const std::string data(700000, 'x');
  EXPECT_EQ(Upload(Blob("big"), data, "other", id()).code(), Code::kDataLoss);
  EXPECT_EQ(Upload(Blob("big"), data, data, id() + 1).code(),
            Code::kFailedPrecondition);
  {
    grpc::ClientContext context;
    v1::PutBlobResponse response;
    const auto writer = stub_->Put(&context, &response);
    v1::PutBlobRequest request;
    *request.mutable_header() = Header(Blob("big"));
    request.mutable_header()->set_volume_id(id());
    writer->Write(request);
    request.set_data(data);
    writer->Write(request);
    context.TryCancel();
    EXPECT_FALSE(writer->Finish().ok());
  }
  server_->Stop(absl::Seconds(5));  // Waits for the upload to end.
  EXPECT_EQ(CountFiles(), 0);
}

TEST_F(VolumeServiceTest, AnUploadWithoutHeaderIsRefused) {
  grpc::ClientContext context;
  v1::PutBlobResponse response;
  const auto writer = stub_->Put(&context, &response);
  v1::PutBlobRequest request;
  request.set_data("bytes");
  writer->Write(request);
  writer->WritesDone();
  EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(VolumeServiceTest, DeleteRemovesUnderTheHighestFence) {
  ASSERT_TRUE(Put(Blob("a"), "1").ok());
  ASSERT_TRUE(store_->Mark(Blob("a")).ok());
  v1::DeleteBlobsRequest request;
  request.set_volume_id(id());
  *request.add_blobs() = Blob("a");
  *request.add_blobs() = Blob("never there");
  *request.add_blobs() = Blob("b", 1, /*subvolume=*/9);
  request.set_fencing_number(2);
  v1::DeleteBlobsResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub_->Delete(&context, request, &response).ok());
  }
  ASSERT_THAT(response.results(), SizeIs(3));
  EXPECT_EQ(response.results(0).code(), 0);
  EXPECT_EQ(response.results(1).code(), 0);
  EXPECT_EQ(response.results(2).code(),
            static_cast<int>(Code::kInvalidArgument));
  EXPECT_EQ(CountFiles(), 0);
  request.set_fencing_number(1);
  grpc::ClientContext context;
  EXPECT_EQ(stub_->Delete(&context, request, &response).error_code(),
            grpc::StatusCode::FAILED_PRECONDITION);
}

TEST_F(VolumeServiceTest, AListingIsPaged) {
  for (int i = 0; i < 1200; ++i) {
    ASSERT_TRUE(store_->Put(PutOp(Blob(absl::StrCat(i)), "v")).ok());
  }
  v1::ListBlobsRequest request;
  request.set_volume_id(id());
  grpc::ClientContext context;
  const auto reader = stub_->List(&context, request);
  std::set<std::string> keys;
  v1::ListBlobsResponse page;
  while (reader->Read(&page)) {
    EXPECT_LE(page.blobs_size(), 500);
    for (const auto& blob : page.blobs()) keys.insert(blob.blob().key());
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(keys, SizeIs(1200));
  EXPECT_EQ(page.directories_done(), 256);
}

TEST_F(VolumeServiceTest, AListsOptionsHaveLimits) {
  const auto list = [&](int first_directory, int64_t value_bytes_max) {
    v1::ListBlobsRequest request;
    request.set_volume_id(id());
    request.set_first_directory(first_directory);
    request.set_value_bytes_max(value_bytes_max);
    grpc::ClientContext context;
    const auto reader = stub_->List(&context, request);
    v1::ListBlobsResponse page;
    while (reader->Read(&page)) continue;
    return reader->Finish().error_code();
  };
  EXPECT_EQ(list(0, 0), grpc::StatusCode::OK);
  EXPECT_EQ(list(255, 65536), grpc::StatusCode::OK);
  EXPECT_EQ(list(-1, 0), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(list(256, 0), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(list(0, -1), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(list(0, 65537), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(VolumeServiceTest, TheVolumeTellsWhatItKnowsOfItsCluster) {
  v1::ClusterMap map;
  map.set_cluster_id("cluster");
  map.set_epoch(7);
  ASSERT_TRUE(directory_->StoreClusterMap(map).ok());
  ASSERT_TRUE(directory_->StoreMark(9).ok());
  v1::GetVolumeStateRequest request;
  request.set_volume_id(id());
  v1::GetVolumeStateResponse response;
  grpc::ClientContext context;
  ASSERT_TRUE(stub_->GetVolumeState(&context, request, &response).ok());
  EXPECT_EQ(response.cluster_id(), "cluster");
  EXPECT_EQ(response.map().epoch(), 7);
  EXPECT_EQ(response.mark(), 9);
}

TEST_F(VolumeServiceTest, StatTellsOfOneBlob) {
  ASSERT_TRUE(Put(Blob("a"), "123").ok());
  v1::StatBlobRequest request;
  request.set_volume_id(id());
  *request.mutable_blob() = Blob("a");
  v1::StatBlobResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(stub_->Stat(&context, request, &response).ok());
    EXPECT_EQ(response.size_bytes(), 3);
    EXPECT_TRUE(response.whole());
  }
  *request.mutable_blob() = Blob("b");
  grpc::ClientContext context;
  EXPECT_EQ(stub_->Stat(&context, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

// From one subvolume to the other, through gRPC as from a peer.
TEST_F(VolumeServiceTest, CopyPullsBlobsAndTombstonesFromAPeer) {
  const std::string data(600000, 'y');
  auto op = PutOp(Blob("big", 3), data);
  op.mutable_metadata()->set_content_type("text/csv");
  ASSERT_TRUE(store_->Put(op).ok());
  const auto copy = [&](v1::BlobId blob, int fencing_number) {
    v1::CopyBlobRequest request;
    request.set_volume_id(id());
    blob.set_subvolume(1);
    *request.mutable_blob() = blob;
    request.set_source_grpc_address(address_);
    request.set_source_volume_id(id());
    request.set_source_subvolume(0);
    request.set_fencing_number(fencing_number);
    v1::CopyBlobResponse response;
    grpc::ClientContext context;
    return rpc::FromGrpc(stub_->Copy(&context, request, &response)).code();
  };
  EXPECT_EQ(copy(Blob("big", 3), 4), Code::kOk);
  EXPECT_EQ(ReadAll(Blob("big", 3, 1)), data);
  EXPECT_EQ(store_->Stat(Blob("big", 3, 1))->metadata().content_type(),
            "text/csv");
  EXPECT_EQ(copy(Blob("none", 3), 4), Code::kNotFound);
  EXPECT_EQ(copy(Blob("big", 3), 3), Code::kFailedPrecondition);

  v1::SmallPutOp tombstone = PutOp(Blob("gone", 3), "");
  tombstone.mutable_blob()->set_tombstone(true);
  ASSERT_TRUE(store_->Put(tombstone).ok());
  EXPECT_EQ(copy(tombstone.blob(), 4), Code::kOk);

  ASSERT_TRUE(Put(Blob("torn", 3), "bytes").ok());
  ASSERT_EQ(truncate(Path(Blob("torn", 3)).c_str(), 2), 0);
  EXPECT_EQ(copy(Blob("torn", 3), 4), Code::kDataLoss);
}

// From one subvolume to the other, as above.
class CopyBlobsTest : public VolumeServiceTest {
 protected:
  // What the index would say of a blob with these bytes.
  void Ask(const v1::BlobId& source, const std::string& bytes) {
    v1::CopiedBlob* const blob = request_.add_blobs();
    *blob->mutable_blob() = source;
    blob->mutable_blob()->set_subvolume(1);
    blob->set_source_subvolume(source.subvolume());
    blob->set_size_bytes(bytes.size());
    *blob->mutable_digest() = PutOp(source, bytes).digest();
  }
  absl::Status Copy(int fencing_number = 4) {
    request_.set_volume_id(id());
    request_.set_source_grpc_address(address_);
    request_.set_source_volume_id(id());
    request_.set_fencing_number(fencing_number);
    grpc::ClientContext context;
    return rpc::FromGrpc(stub_->CopyBlobs(&context, request_, &response_));
  }
  Code CodeOf(int place) {
    return static_cast<Code>(response_.results(place).code());
  }

  v1::CopyBlobsRequest request_;
  v1::CopyBlobsResponse response_;
};

TEST_F(CopyBlobsTest, ManyAreCopiedEachWithItsOwnOutcome) {
  auto op = PutOp(Blob("typed", 3), "a,b");
  op.mutable_metadata()->set_content_type("text/csv");
  ASSERT_TRUE(store_->Put(op).ok());
  ASSERT_TRUE(Put(Blob("empty", 3), "").ok());
  ASSERT_TRUE(Put(Blob("torn", 3), "bytes").ok());
  ASSERT_EQ(truncate(Path(Blob("torn", 3)).c_str(), 2), 0);
  ASSERT_TRUE(Put(Blob("other", 3), "not what the index knows").ok());
  const std::string large(base::kSmallBlobBytesMax, 'x');
  ASSERT_TRUE(Put(Blob("large", 3), large).ok());
  Ask(Blob("typed", 3), "a,b");
  Ask(Blob("none", 3), "never there");
  Ask(Blob("torn", 3), "bytes");
  Ask(Blob("empty", 3), "");
  Ask(Blob("other", 3), "what the index knows");
  Ask(Blob("large", 3), large);
  ASSERT_TRUE(Copy().ok());
  ASSERT_THAT(response_.results(), SizeIs(6));
  EXPECT_EQ(CodeOf(0), Code::kOk);
  EXPECT_EQ(CodeOf(1), Code::kNotFound);
  EXPECT_EQ(CodeOf(2), Code::kDataLoss);
  EXPECT_EQ(CodeOf(3), Code::kOk);
  EXPECT_EQ(CodeOf(4), Code::kDataLoss);
  EXPECT_EQ(CodeOf(5), Code::kOk);
  EXPECT_EQ(ReadAll(Blob("typed", 3, 1)), "a,b");
  EXPECT_EQ(store_->Stat(Blob("typed", 3, 1))->metadata().content_type(),
            "text/csv");
  EXPECT_FALSE(store_->Stat(Blob("typed", 3, 1))->committed());
  EXPECT_TRUE(Exists(Blob("empty", 3, 1)));
  EXPECT_EQ(ReadAll(Blob("large", 3, 1)), large);
  EXPECT_FALSE(Exists(Blob("torn", 3, 1)));
  EXPECT_FALSE(Exists(Blob("other", 3, 1)));
  // Once more: what is there counts as copied.
  response_.Clear();
  ASSERT_TRUE(Copy().ok());
  EXPECT_EQ(CodeOf(0), Code::kOk);
}

TEST_F(CopyBlobsTest, BytesThatDoNotMatchTheirHashAreNotCopied) {
  ASSERT_TRUE(Put(Blob("flipped", 3), "bytes").ok());
  std::ofstream(Path(Blob("flipped", 3))) << "bytez";
  Ask(Blob("flipped", 3), "bytes");
  ASSERT_TRUE(Copy().ok());
  EXPECT_EQ(CodeOf(0), Code::kDataLoss);
  EXPECT_FALSE(Exists(Blob("flipped", 3, 1)));
}

TEST_F(CopyBlobsTest, AsManyAsTheLimitAndNotOneMore) {
  for (int i = 0; i < base::kMoveGroupKeys; ++i) {
    const auto blob = Blob(absl::StrCat("k", i), 3);
    ASSERT_TRUE(store_->Put(PutOp(blob, "v")).ok());
    Ask(blob, "v");
  }
  ASSERT_TRUE(Copy().ok());
  for (int i = 0; i < base::kMoveGroupKeys; ++i)
    EXPECT_EQ(CodeOf(i), Code::kOk);
  Ask(Blob("k0", 3), "v");
  EXPECT_EQ(Copy().code(), Code::kInvalidArgument);
  request_.clear_blobs();
  Ask(Blob("k0", 3), std::string(base::kSmallBlobBytesMax + 1, 'x'));
  EXPECT_EQ(Copy().code(), Code::kInvalidArgument);
  v1::ReadBlobsRequest read;
  read.set_volume_id(id());
  for (int i = 0; i <= base::kMoveGroupKeys; ++i) *read.add_blobs() = Blob("a");
  grpc::ClientContext context;
  EXPECT_EQ(stub_->ReadBlobs(&context, read)->Finish().error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(CopyBlobsTest, AnOldFenceAndASilentPeerWriteNothing) {
  ASSERT_TRUE(Put(Blob("a", 3), "v").ok());
  Ask(Blob("a", 3), "v");
  ASSERT_TRUE(directory_->CheckFencingNumber(5).ok());
  EXPECT_EQ(Copy(4).code(), Code::kFailedPrecondition);
  request_.set_fencing_number(5);
  request_.set_volume_id(id());
  request_.set_source_grpc_address(absl::StrCat("127.0.0.1:", FreePort()));
  grpc::ClientContext context;
  EXPECT_EQ(stub_->CopyBlobs(&context, request_, &response_).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  EXPECT_FALSE(Exists(Blob("a", 3, 1)));
}

TEST_F(CopyBlobsTest, ADrainingVolumeTakesNoNewBlobsAndGivesItsOwn) {
  ASSERT_TRUE(Put(Blob("a", 3), "v").ok());
  Ask(Blob("a", 3), "v");
  committer_->SetTakesNewBlobs(false);
  ASSERT_TRUE(Copy().ok());
  EXPECT_EQ(CodeOf(0), Code::kUnavailable);
  EXPECT_EQ(Upload(Blob("big"), "data", "data", id()).code(),
            Code::kUnavailable);
  EXPECT_EQ(*Get(Blob("a", 3), 0, 0), "v");
  EXPECT_EQ(CountFiles(), 1);
  committer_->SetTakesNewBlobs(true);
  ASSERT_TRUE(Copy().ok());
  EXPECT_EQ(CodeOf(0), Code::kOk);
}

TEST_F(VolumeServiceTest, BlobsAndTombstonesAreCounted) {
  const auto count = [&] {
    v1::CountBlobsRequest request;
    request.set_volume_id(id());
    v1::CountBlobsResponse response;
    grpc::ClientContext context;
    EXPECT_TRUE(stub_->CountBlobs(&context, request, &response).ok());
    return absl::StrCat(response.blobs_count(), " ",
                        response.tombstones_count(), " ",
                        response.uploads_count());
  };
  EXPECT_EQ(count(), "0 0 0");
  ASSERT_TRUE(Put(Blob("a"), "1").ok());
  ASSERT_TRUE(Put(Blob("a", 2), "2").ok());
  ASSERT_TRUE(Put(Blob(std::string(1024, '/'), 2, 1), "2").ok());
  v1::SmallPutOp tombstone = PutOp(Blob("gone", 3), "");
  tombstone.mutable_blob()->set_tombstone(true);
  ASSERT_TRUE(store_->Put(tombstone).ok());
  EXPECT_EQ(count(), "3 1 0");
}

TEST_F(VolumeServiceTest, BeforeTheVolumeHasJoinedNothingIsServed) {
  VolumeServer second(store_.get(), committer_.get(), directory_.get());
  const std::string address = absl::StrCat("127.0.0.1:", FreePort());
  ASSERT_TRUE(second.Start(address).ok());
  const auto stub = v1::VolumeService::NewStub(rpc::NewChannel(address));
  v1::StatBlobRequest request;
  request.set_volume_id(id());
  v1::StatBlobResponse response;
  grpc::ClientContext context;
  EXPECT_EQ(stub->Stat(&context, request, &response).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(VolumeServiceTest, AStopEndsOpenStreamsSoon) {
  grpc::ClientContext context;
  const auto stream = stub_->Batch(&context);
  v1::BlobBatchRequest request;
  request.set_volume_id(id());
  *request.add_puts() = PutOp(Blob("foo"), "bar");
  ASSERT_TRUE(stream->Write(request));
  v1::BlobBatchResponse response;
  ASSERT_TRUE(stream->Read(&response));
  const absl::Time start = absl::Now();
  server_->Stop(absl::Seconds(10));
  EXPECT_LT(absl::Now() - start, absl::Seconds(5));
  EXPECT_FALSE(stream->Read(&response));
  stream->Finish();
}

}  // namespace
}  // namespace cairn::volume
