// The master's services over real gRPC, with volumes in memory.

#include "master/master.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/metadata_client.h"
#include "client/store_client.h"
#include "index/memory_index_store.h"
#include "master/await.h"
#include "master/fake_volume.h"
#include "proto/cairn/v1/admin.grpc.pb.h"
#include "proto/cairn/v1/store.grpc.pb.h"
#include "rpc/server.h"

namespace cairn::master {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr int kLargeBytes = 3 << 20;

// A master with volumes that beat, until the test ends.
class MasterTest : public testing::Test {
 protected:
  MasterTest() {
    // A path that fits a socket's 108 bytes wherever TEST_TMPDIR is.
    address_ = absl::StrCat("unix:/tmp/cairn_master_test_", getpid(), ".sock");
  }
  ~MasterTest() override {
    StopBeating();
    client_ = nullptr;
    if (master_ != nullptr) master_->Stop(absl::Seconds(5));
  }

  void Start() {
    Master::Options options;
    options.settings.inline_bytes_max = 4096;
    options.listen_address = address_;
    auto master = Master::Start(index_.get(), options);
    ASSERT_TRUE(master.ok()) << master.status();
    master_ = *std::move(master);
    const auto channel = rpc::NewChannel(address_);
    metadata_ = v1::MetadataService::NewStub(channel);
    store_ = v1::StoreService::NewStub(channel);
    admin_ = v1::AdminService::NewStub(channel);
  }
  // Starts the master and three volumes that join.
  void StartCluster() {
    Start();
    for (uint32_t id = 1; id <= 3; ++id) {
      volumes_.push_back(std::make_unique<FakeVolume>(id));
      ASSERT_TRUE(Join(*volumes_.back()).ok());
    }
    beating_ = std::thread([this] { Beat(); });
  }
  grpc::Status Join(const FakeVolume& volume,
                    const std::string& cluster_id = "") {
    v1::JoinRequest request;
    request.set_volume_id(volume.volume_id());
    request.set_session_id(volume.volume_id());
    request.set_cluster_id(cluster_id);
    request.set_grpc_address(volume.address());
    request.set_http_address(absl::StrCat("h", volume.volume_id(), ":80"));
    for (int i = 0; i < 4; ++i) request.add_subvolumes();
    grpc::ClientContext context;
    v1::JoinResponse response;
    return metadata_->Join(&context, request, &response);
  }
  void Beat() {
    base::MutexLock lock(&mu_);
    for (int64_t beat = 0; !done_; ++beat) {
      for (uint32_t id = 1; id <= 3; ++id) {
        v1::HeartbeatRequest request;
        request.set_volume_id(id);
        request.set_session_id(id);
        for (int i = 0; i < 4; ++i) {
          request.add_subvolumes()->set_free_bytes(beat);
        }
        grpc::ClientContext context;
        v1::HeartbeatResponse response;
        metadata_->Heartbeat(&context, request, &response);
      }
      done_now_.WaitFor(&mu_, absl::Milliseconds(300));
    }
  }
  void StopBeating() {
    {
      base::MutexLock lock(&mu_);
      done_ = true;
      done_now_.SignalAll();
    }
    if (beating_.joinable()) beating_.join();
  }
  // A gateway's client of this master.
  client::MetadataClient* Client() {
    client_ = client::NewGrpcMetadataClient({address_, "test"});
    EXPECT_TRUE(client_->WaitReady(absl::Seconds(10)).ok());
    return client_.get();
  }

  grpc::Status Put(const std::string& key, const std::string& value,
                   bool must_be_new = false) {
    grpc::ClientContext context;
    v1::PutResponse response;
    const auto writer = store_->Put(&context, &response);
    v1::PutRequest request;
    request.mutable_header()->set_key(key);
    request.mutable_header()->set_must_be_new(must_be_new);
    writer->Write(request);
    for (size_t at = 0; at < value.size(); at += 1 << 20) {
      request.set_data(value.substr(at, 1 << 20));
      writer->Write(request);
    }
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    replaced_ = response.replaced();
    return status;
  }
  grpc::Status Get(const std::string& key, std::string* value,
                   int64_t offset = 0, int64_t length = 0) {
    grpc::ClientContext context;
    v1::GetRequest request;
    request.set_key(key);
    request.set_offset(offset);
    request.set_length(length);
    const auto reader = store_->Get(&context, request);
    v1::GetResponse response;
    value->clear();
    while (reader->Read(&response)) *value += response.data();
    return reader->Finish();
  }
  grpc::Status Delete(const std::string& key) {
    grpc::ClientContext context;
    v1::DeleteRequest request;
    request.set_key(key);
    v1::DeleteResponse response;
    return store_->Delete(&context, request, &response);
  }
  v1::GetStatusResponse Status() {
    grpc::ClientContext context;
    v1::GetStatusResponse response;
    EXPECT_TRUE(admin_->GetStatus(&context, {}, &response).ok());
    return response;
  }
  size_t Blobs() {
    size_t count = 0;
    for (const auto& volume : volumes_) count += volume->blobs_count();
    return count;
  }

  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore();
  std::string address_;
  std::vector<std::unique_ptr<FakeVolume>> volumes_;
  std::unique_ptr<Master> master_;
  std::unique_ptr<v1::MetadataService::Stub> metadata_;
  std::unique_ptr<v1::StoreService::Stub> store_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
  std::unique_ptr<client::MetadataClient> client_;
  bool replaced_ = false;

  base::Mutex mu_;
  base::CondVar done_now_;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
  std::thread beating_;
};

TEST_F(MasterTest, ASmallValueComesBackAndLiesOnTwoVolumes) {
  StartCluster();
  ASSERT_TRUE(Put("foo", "bar").ok());
  EXPECT_FALSE(replaced_);
  EXPECT_EQ(Blobs(), 2);
  std::string value;
  ASSERT_TRUE(Get("foo", &value).ok());
  EXPECT_EQ(value, "bar");
  ASSERT_TRUE(Get("foo", &value, 1, 1).ok());
  EXPECT_EQ(value, "a");
  EXPECT_EQ(Get("foo", &value, 4).error_code(), grpc::StatusCode::OUT_OF_RANGE);
}

TEST_F(MasterTest, StatusTellsTheFillOfTheLastHeartbeats) {
  StartCluster();
  const auto fill = [&] {
    return Status().map().volumes(0).subvolumes(0).free_bytes();
  };
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (fill() < 2 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_GE(fill(), 2);
  const v1::GetStatusResponse status = Status();
  ASSERT_EQ(status.map().volumes_size(), 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(status.map().volumes(i).volume_id(),
              static_cast<uint32_t>(i + 1));
  }
}

TEST_F(MasterTest, AnEmptyValueIsAValue) {
  StartCluster();
  ASSERT_TRUE(Put("empty", "").ok());
  std::string value = "x";
  ASSERT_TRUE(Get("empty", &value).ok());
  EXPECT_EQ(value, "");
}

TEST_F(MasterTest, ALargeValueStreamsInAndOut) {
  StartCluster();
  std::string large(kLargeBytes, 'x');
  for (size_t i = 0; i < large.size(); i += 37) large[i] = i % 251;
  ASSERT_TRUE(Put("large", large).ok());
  std::string value;
  ASSERT_TRUE(Get("large", &value).ok());
  EXPECT_TRUE(value == large);
  ASSERT_TRUE(Get("large", &value, 1000000, 500000).ok());
  EXPECT_TRUE(value == large.substr(1000000, 500000));
}

TEST_F(MasterTest, AReplacedValuesBlobsAreRemoved) {
  StartCluster();
  ASSERT_TRUE(Put("foo", "bar").ok());
  ASSERT_TRUE(Put("foo", "baz").ok());
  EXPECT_TRUE(replaced_);
  const absl::Time deadline = absl::Now() + absl::Seconds(20);
  while (Blobs() != 2 && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_EQ(Blobs(), 2);
}

TEST_F(MasterTest, ADeletedKeyIsGoneWithItsBlobs) {
  StartCluster();
  ASSERT_TRUE(Put("foo", "bar").ok());
  ASSERT_TRUE(Delete("foo").ok());
  EXPECT_EQ(Blobs(), 0);
  std::string value;
  EXPECT_EQ(Get("foo", &value).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(Delete("foo").error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(MasterTest, AKeyThatMustBeNewAndIsNotAlreadyExists) {
  StartCluster();
  ASSERT_TRUE(Put("foo", "bar", /*must_be_new=*/true).ok());
  EXPECT_EQ(Put("foo", "baz", /*must_be_new=*/true).error_code(),
            grpc::StatusCode::ALREADY_EXISTS);
}

TEST_F(MasterTest, BytesThatRottedOnDiskAreToldToTheReader) {
  StartCluster();
  ASSERT_TRUE(Put("large", std::string(kLargeBytes, 'x')).ok());
  for (const auto& volume : volumes_) volume->Corrupt();
  std::string value;
  EXPECT_EQ(Get("large", &value).error_code(), grpc::StatusCode::DATA_LOSS);
}

TEST_F(MasterTest, KeysAreListedInOrderPageByPage) {
  StartCluster();
  for (const char* key : {"b", "a/1", "a/2", "c"}) {
    ASSERT_TRUE(Put(key, "v").ok());
  }
  v1::ListRequest request;
  request.set_page_size(3);
  v1::ListResponse response;
  grpc::ClientContext first;
  ASSERT_TRUE(store_->List(&first, request, &response).ok());
  EXPECT_THAT(response.keys(), ElementsAre("a/1", "a/2", "b"));
  request.set_page_token(response.next_page_token());
  grpc::ClientContext second;
  ASSERT_TRUE(store_->List(&second, request, &response).ok());
  EXPECT_THAT(response.keys(), ElementsAre("c"));
  EXPECT_EQ(response.next_page_token(), "");
  request.set_page_size(10001);
  grpc::ClientContext third;
  EXPECT_EQ(store_->List(&third, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(MasterTest, AStatShowsWhereTheReplicasAre) {
  StartCluster();
  ASSERT_TRUE(Put("foo", "bar").ok());
  grpc::ClientContext context;
  v1::StatRequest request;
  request.set_key("foo");
  v1::StatResponse response;
  ASSERT_TRUE(store_->Stat(&context, request, &response).ok());
  EXPECT_EQ(response.stat().size_bytes(), 3);
  EXPECT_EQ(response.stat().etag(), "37b51d194a7513e45b56f6524f2d51f2");
  ASSERT_EQ(response.stat().replicas_size(), 2);
  EXPECT_THAT(response.stat().replicas(0), HasSubstr(":80/"));
}

TEST_F(MasterTest, BeforeTheFirstVolumesNothingIsServedAndItIsSaid) {
  Start();
  std::string value;
  const grpc::Status got = Get("foo", &value);
  EXPECT_EQ(got.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(got.error_message(), HasSubstr("0 of 2 have joined"));
  EXPECT_FALSE(Status().ready());
  EXPECT_THAT(Status().not_ready_reason(), HasSubstr("0 of 2 have joined"));
}

TEST_F(MasterTest, ALostIndexAnswersUnavailableNeverNotFound) {
  Start();
  FakeVolume old(1);
  ASSERT_TRUE(Join(old, "another cluster").ok());
  std::string value;
  for (const grpc::Status& status :
       {Get("foo", &value), Put("foo", "bar"), Delete("foo")}) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE);
    EXPECT_THAT(status.error_message(), HasSubstr("cairn rebuild"));
  }
  grpc::ClientContext list;
  v1::ListKeysResponse keys;
  EXPECT_EQ(metadata_->ListKeys(&list, {}, &keys).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  grpc::ClientContext check;
  v1::CheckBlobsResponse verdicts;
  EXPECT_EQ(metadata_->CheckBlobs(&check, {}, &verdicts).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

// --- Over the batched stream, as a gateway ---

TEST_F(MasterTest, AGatewaysClientPutsLooksUpAndDeletes) {
  StartCluster();
  const auto store = client::NewStoreClient(Client());
  Await<absl::StatusOr<client::PutOutcome>> put;
  store->PutSmall("foo", "bar", base::DigestOf("bar"), {}, put.Setter());
  const auto outcome = put.Get();
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  Await<absl::StatusOr<client::GetOutcome>> get;
  store->Get("foo", /*with_value=*/true, "", get.Setter());
  EXPECT_EQ(get.Get()->value, "bar");
  Await<absl::Status> deleted;
  store->Delete("foo", {}, "", deleted.Setter());
  EXPECT_TRUE(deleted.Get().ok());
  Await<absl::StatusOr<client::GetOutcome>> gone;
  store->Get("foo", /*with_value=*/true, "", gone.Setter());
  EXPECT_TRUE(absl::IsNotFound(gone.Get().status()));
}

TEST_F(MasterTest, ThousandsOfLookupsAtOnceAreAllAnswered) {
  StartCluster();
  ASSERT_TRUE(Put("foo", "bar").ok());
  client::MetadataClient* const client = Client();
  std::vector<Await<absl::StatusOr<v1::OpResult>>> answers(5000);
  for (auto& answer : answers) {
    v1::LookupOp op;
    op.set_key("foo");
    op.set_with_value(true);
    client->Lookup(op, absl::Now() + absl::Seconds(10), answer.Setter());
  }
  for (auto& answer : answers) {
    const auto result = answer.Get();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->inline_value(), "bar");
  }
}

TEST_F(MasterTest, EachClientGetsAWriterIdOfItsOwn) {
  StartCluster();
  const uint32_t first = Client()->clock().writer_id();
  EXPECT_NE(first, 0);
  EXPECT_NE(Client()->clock().writer_id(), first);
}

TEST_F(MasterTest, AStreamThatDoesNotBeginWithAHelloIsRefused) {
  StartCluster();
  grpc::ClientContext context;
  const auto stream = metadata_->Batch(&context);
  v1::BatchRequest request;
  request.add_lookups()->set_key("foo");
  stream->Write(request);
  v1::BatchResponse response;
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(MasterTest, AWatcherSeesSecretsAndStopsWithTheMaster) {
  StartCluster();
  grpc::ClientContext context;
  const auto reader = metadata_->WatchClusterMap(&context, {});
  v1::WatchClusterMapResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.map().volumes_size(), 3);
  StopBeating();
  master_->Stop(absl::Seconds(5));
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

// The client's lookup waits for the new master and for its volumes.
TEST_F(MasterTest, OverARestartALookupWaitsInsteadOfFailing) {
  StartCluster();
  ASSERT_TRUE(Put("foo", "bar").ok());
  client::MetadataClient* const client = Client();
  const std::string cluster_id = client->view()->map.cluster_id();
  StopBeating();
  master_->Stop(absl::Seconds(5));
  master_ = nullptr;
  Start();
  Await<absl::StatusOr<v1::OpResult>> answer;
  v1::LookupOp op;
  op.set_key("foo");
  client->Lookup(op, absl::Now() + absl::Seconds(20), answer.Setter());
  for (const auto& volume : volumes_) {
    ASSERT_TRUE(Join(*volume, cluster_id).ok());
  }
  const auto result = answer.Get();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->code(), 0) << result->message();
}

TEST_F(MasterTest, VolumesAreListedPageByPage) {
  StartCluster();
  v1::ListVolumesRequest request;
  request.set_page_size(2);
  v1::ListVolumesResponse response;
  grpc::ClientContext first;
  ASSERT_TRUE(admin_->ListVolumes(&first, request, &response).ok());
  EXPECT_EQ(response.volumes_size(), 2);
  request.set_page_token(response.next_page_token());
  grpc::ClientContext second;
  ASSERT_TRUE(admin_->ListVolumes(&second, request, &response).ok());
  ASSERT_EQ(response.volumes_size(), 1);
  EXPECT_EQ(response.volumes(0).volume_id(), 3);
  EXPECT_EQ(response.next_page_token(), "");
}

}  // namespace
}  // namespace cairn::master
