#include "volume/membership.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "rpc/server.h"
#include "volume/blob_store_fixture.h"

namespace cairn::volume {
namespace {

using Verdict = v1::CheckBlobsResponse;

// A master that answers as the test says.
class FakeMaster final : public v1::MetadataService::Service {
 public:
  grpc::Status Join(grpc::ServerContext*, const v1::JoinRequest* request,
                    v1::JoinResponse* response) override {
    base::MutexLock lock(&mu_);
    ++joins_;
    join_ = *request;
    *response->mutable_map() = map_;
    response->set_mark(mark_);
    response->set_fencing_number(3);
    changed_.SignalAll();
    return join_status_;
  }
  grpc::Status Heartbeat(grpc::ServerContext*,
                         const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override {
    base::MutexLock lock(&mu_);
    ++beats_;
    beat_ = *request;
    if (request->map_epoch() < map_.epoch()) *response->mutable_map() = map_;
    response->set_mark(mark_);
    changed_.SignalAll();
    grpc::Status status = beat_status_;
    beat_status_ = grpc::Status::OK;
    return status;
  }
  grpc::Status CheckBlobs(grpc::ServerContext*,
                          const v1::CheckBlobsRequest* request,
                          v1::CheckBlobsResponse* response) override {
    base::MutexLock lock(&mu_);
    for (const v1::BlobId& blob : request->blobs()) {
      response->add_verdicts(verdicts_[blob.key()]);
    }
    return grpc::Status::OK;
  }

  // Until `done` of the numbers holds.
  template <typename Predicate>
  void Wait(Predicate done) {
    base::MutexLock lock(&mu_);
    while (!done(*this)) changed_.Wait(&mu_);
  }

  base::Mutex mu_;
  base::CondVar changed_;
  int joins_ = 0;
  int beats_ = 0;
  v1::JoinRequest join_;
  v1::HeartbeatRequest beat_;
  v1::ClusterMap map_;
  int64_t mark_ = 0;
  grpc::Status join_status_;
  grpc::Status beat_status_;
  std::map<std::string, v1::CheckBlobsResponse::Verdict> verdicts_;
};

class MembershipTest : public BlobStoreFixture {
 protected:
  MembershipTest() {
    master_.map_.set_cluster_id("c1");
    master_.map_.set_epoch(1);
    master_.map_.set_durability(v1::DURABILITY_FSYNC);
  }
  ~MembershipTest() override {
    membership_ = nullptr;
    committer_ = nullptr;
    if (server_ != nullptr) server_->Shutdown();
  }

  void StartMaster() {
    grpc::ServerBuilder builder;
    rpc::ConfigureServer(&builder);
    builder.AddListeningPort(address_, grpc::InsecureServerCredentials(),
                             &port_);
    builder.RegisterService(&master_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
    address_ = absl::StrCat("127.0.0.1:", port_);
  }

  void StartMember(bool unclean = false) {
    MembershipOptions options = DefaultMembershipOptions();
    options.master = address_;
    options.grpc_address = "host:1";
    options.http_address = "host:2";
    options.zone = "z";
    options.heartbeat_interval = absl::Milliseconds(5);
    options.unmarked_age_max = absl::ZeroDuration();
    options.unclean_start = unclean;
    committer_ =
        std::make_unique<GroupCommitter>(store_.get(), directory_.get(), 1);
    membership_ = std::make_unique<Membership>(
        options, directory_.get(), store_.get(), committer_.get(),
        [this] { joined_.store(true); },
        [this](const absl::Status& why, bool removed) {
          base::MutexLock lock(&mu_);
          refused_ = why;
          removed_ = removed;
          changed_.SignalAll();
        });
  }
  absl::Status WaitForRefusal() {
    base::MutexLock lock(&mu_);
    while (refused_.ok()) changed_.Wait(&mu_);
    return refused_;
  }

  FakeMaster master_;
  int port_ = 0;
  std::string address_ = "127.0.0.1:0";
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<GroupCommitter> committer_;
  std::unique_ptr<Membership> membership_;
  std::atomic<bool> joined_{false};
  base::Mutex mu_;
  base::CondVar changed_;
  absl::Status refused_;
  bool removed_ = false;
};

TEST_F(MembershipTest, JoinAnnouncesTheVolumeAndHeartbeatsFollow) {
  master_.mark_ = 8;
  StartMaster();
  StartMember();
  master_.Wait([](FakeMaster& m) { return m.beats_ >= 2; });
  EXPECT_TRUE(joined_.load());
  EXPECT_EQ(directory_->cluster_id(), "c1");
  EXPECT_EQ(directory_->mark(), 8);
  EXPECT_FALSE(directory_->CheckFencingNumber(2).ok());
  base::MutexLock lock(&master_.mu_);
  EXPECT_EQ(master_.join_.volume_id(), directory_->volume_id());
  EXPECT_EQ(master_.join_.grpc_address(), "host:1");
  EXPECT_EQ(master_.join_.http_address(), "host:2");
  EXPECT_EQ(master_.join_.zone(), "z");
  EXPECT_EQ(master_.join_.signing_secret(), directory_->secret());
  EXPECT_EQ(master_.join_.subvolumes_size(), 2);
  EXPECT_GT(master_.join_.subvolumes(0).free_bytes(), 0);
  EXPECT_EQ(master_.beat_.session_id(), master_.join_.session_id());
  EXPECT_EQ(master_.beat_.mark(), 8);
  EXPECT_EQ(master_.beat_.map_epoch(), 1);
}

TEST_F(MembershipTest, ANewMapAndMarkAreStoredBeforeTheyAreReported) {
  StartMaster();
  StartMember();
  master_.Wait([](FakeMaster& m) { return m.beats_ >= 1; });
  {
    base::MutexLock lock(&master_.mu_);
    master_.map_.set_epoch(2);
    master_.mark_ = 5;
  }
  master_.Wait([](FakeMaster& m) {
    return m.beat_.map_epoch() == 2 && m.beat_.mark() == 5;
  });
  EXPECT_EQ(directory_->cluster_map().epoch(), 2);
}

TEST_F(MembershipTest, ALostSessionIsJoinedAgain) {
  StartMaster();
  StartMember();
  master_.Wait([](FakeMaster& m) { return m.beats_ >= 1; });
  {
    base::MutexLock lock(&master_.mu_);
    master_.beat_status_ =
        grpc::Status(grpc::StatusCode::NOT_FOUND, "no such session");
  }
  master_.Wait([](FakeMaster& m) { return m.joins_ >= 2; });
}

TEST_F(MembershipTest, AMasterThatComesLaterIsWaitedFor) {
  StartMaster();  // For a port.
  server_->Shutdown();
  server_ = nullptr;
  StartMember();
  StartMaster();
  master_.Wait([](FakeMaster& m) { return m.beats_ >= 1; });
}

TEST_F(MembershipTest, ALiveSessionOfTheSameVolumeIsWaitedOut) {
  master_.join_status_ =
      grpc::Status(grpc::StatusCode::ALREADY_EXISTS, "it lives");
  StartMaster();
  StartMember();
  master_.Wait([](FakeMaster& m) { return m.joins_ >= 2; });
  EXPECT_FALSE(joined_.load());
  {
    base::MutexLock lock(&master_.mu_);
    master_.join_status_ = grpc::Status::OK;
  }
  master_.Wait([](FakeMaster& m) { return m.beats_ >= 1; });
}

TEST_F(MembershipTest, ARefusalEndsTheProcessWithTheMastersSentence) {
  master_.join_status_ =
      grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, "another cluster");
  StartMaster();
  StartMember();
  EXPECT_EQ(WaitForRefusal().message(), "another cluster");
  EXPECT_FALSE(removed_);
}

TEST_F(MembershipTest, ARemovedVolumeIsToldApart) {
  master_.join_status_ =
      grpc::Status(grpc::StatusCode::FAILED_PRECONDITION,
                   "volume 00000007 was removed from this cluster");
  StartMaster();
  StartMember();
  EXPECT_FALSE(WaitForRefusal().ok());
  EXPECT_TRUE(removed_);
}

TEST_F(MembershipTest, TheMapOfAnotherClusterIsARefusal) {
  v1::ClusterMap map;
  map.set_cluster_id("mine");
  ASSERT_TRUE(directory_->StoreClusterMap(map).ok());
  StartMaster();
  StartMember();
  EXPECT_THAT(std::string(WaitForRefusal().message()),
              testing::HasSubstr("belongs to cluster mine"));
  EXPECT_FALSE(joined_.load());
}

TEST_F(MembershipTest, UnmarkedBlobsAreMarkedKeptOrRemovedAsTheIndexSays) {
  ASSERT_TRUE(Put(Blob("wanted"), "1").ok());
  ASSERT_TRUE(Put(Blob("pending"), "2").ok());
  ASSERT_TRUE(Put(Blob("disowned"), "3").ok());
  ASSERT_TRUE(Put(Blob("marked meanwhile"), "4").ok());
  master_.verdicts_ = {{"wanted", Verdict::VERDICT_COMMITTED},
                       {"pending", Verdict::VERDICT_PENDING},
                       {"disowned", Verdict::VERDICT_DISOWNED},
                       {"marked meanwhile", Verdict::VERDICT_DISOWNED}};
  ASSERT_EQ(chmod(Path(Blob("marked meanwhile")).c_str(), 0444), 0);
  StartMaster();
  StartMember();
  // By then at the latest; the member's own first check may come before.
  ASSERT_TRUE(membership_->CheckBlobs(absl::Now()).ok());
  committer_->Drain();
  EXPECT_TRUE(store_->Stat(Blob("wanted"))->committed());
  EXPECT_FALSE(store_->Stat(Blob("pending"))->committed());
  EXPECT_FALSE(Exists(Blob("disowned")));
  EXPECT_TRUE(Exists(Blob("marked meanwhile")));
  EXPECT_EQ(store_->unmarked().size(), 1u);
}

TEST_F(MembershipTest, AfterAnUncleanStopAllUnmarkedBlobsAreAskedAbout) {
  ASSERT_TRUE(Put(Blob("disowned"), "3").ok());
  Reopen();
  master_.verdicts_ = {{"disowned", Verdict::VERDICT_DISOWNED}};
  StartMaster();
  StartMember(/*unclean=*/true);
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (Exists(Blob("disowned")) && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  EXPECT_FALSE(Exists(Blob("disowned")));
}

}  // namespace
}  // namespace cairn::volume
