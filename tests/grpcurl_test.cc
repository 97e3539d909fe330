// What a person sees who points grpcurl at a master or an agent: reflection,
// health and the services for administrators.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

// In PATH, or where ./dev setup puts it; "" if it is nowhere.
std::string FindGrpcurl() {
  return Shell(
             "PATH=\"$PATH:${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/cairn/bin\""
             " && command -v grpcurl | tr -d '\\n'")
      .out;
}

class GrpcurlTest : public testing::Test {
 protected:
  void SetUp() override {
    if (grpcurl_.empty()) {
      GTEST_SKIP() << "grpcurl is neither in PATH nor in ~/.cache/cairn/bin: "
                      "./dev setup installs it";
    }
  }
  // grpcurl's words before the address, and after it.
  Outcome Grpcurl(const std::string& options, const std::string& address,
                  const std::string& method) {
    return Shell(absl::StrCat(grpcurl_, " -plaintext ", options, " ", address,
                              " ", method));
  }
  std::string master() const { return cluster_.master_address(); }
  // Of the volume that the master calls its first.
  std::string agent() const {
    return cluster_.GetStatus().map().volumes(0).grpc_address();
  }

  const std::string grpcurl_ = FindGrpcurl();
  Cluster cluster_;
};

TEST_F(GrpcurlTest, ReflectionNamesTheServicesAndTheirComments) {
  EXPECT_THAT(Grpcurl("", master(), "list").out,
              AllOf(HasSubstr("cairn.v1.AdminService\n"),
                    HasSubstr("cairn.v1.MetadataService\n"),
                    HasSubstr("cairn.v1.StoreService\n"),
                    HasSubstr("grpc.health.v1.Health\n")));
  EXPECT_THAT(Grpcurl("", agent(), "list").out,
              AllOf(HasSubstr("cairn.v1.VolumeService\n"),
                    HasSubstr("grpc.health.v1.Health\n"),
                    Not(HasSubstr("cairn.v1.StoreService"))));
  EXPECT_THAT(Grpcurl("", master(), "describe cairn.v1.StoreService").out,
              HasSubstr("rpc Put ( stream .cairn.v1.PutRequest ) returns"));
}

TEST_F(GrpcurlTest, MasterAndAgentsSayThatTheyServe) {
  for (const std::string& address : {master(), agent()}) {
    const Outcome check = Grpcurl("", address, "grpc.health.v1.Health/Check");
    EXPECT_EQ(check.code, 0) << check.text;
    EXPECT_THAT(check.out, HasSubstr("\"status\": \"SERVING\""));
  }
}

TEST_F(GrpcurlTest, StatusAndVolumesAreShownWithoutSecrets) {
  const Outcome status =
      Grpcurl("", master(), "cairn.v1.AdminService/GetStatus");
  EXPECT_EQ(status.code, 0) << status.text;
  EXPECT_THAT(status.out,
              AllOf(HasSubstr("\"ready\": true"), HasSubstr("\"replicas\": 2"),
                    HasSubstr("\"index_uri\": \"rocksdb:")));
  const Outcome volumes =
      Grpcurl("", master(), "cairn.v1.AdminService/ListVolumes");
  EXPECT_EQ(volumes.code, 0) << volumes.text;
  const v1::GetStatusResponse known = cluster_.GetStatus();
  for (const v1::Volume& volume : known.map().volumes()) {
    EXPECT_THAT(volumes.out, HasSubstr(volume.grpc_address()));
    EXPECT_THAT(volumes.out, HasSubstr(volume.http_address()));
  }
  EXPECT_THAT(status.out + volumes.out, Not(HasSubstr("signing_secret")));
}

TEST_F(GrpcurlTest, VolumesComeInPages) {
  std::string seen;
  std::string token;
  for (int page = 1; page <= 3; ++page) {
    const std::string request = absl::StrCat(
        "-d '{\"page_size\": 1, \"page_token\": \"", token, "\"}'");
    const std::string out =
        Grpcurl(request, master(), "cairn.v1.AdminService/ListVolumes").out;
    EXPECT_THAT(out, HasSubstr("\"grpc_address\""));
    seen += out;
    const size_t at = out.find("\"next_page_token\": \"");
    EXPECT_EQ(at == std::string::npos, page == 3) << out;
    if (at != std::string::npos) token = out.substr(at + 20, 8);
  }
  const v1::GetStatusResponse known = cluster_.GetStatus();
  for (const v1::Volume& volume : known.map().volumes()) {
    EXPECT_THAT(seen, HasSubstr(volume.grpc_address()));
  }
}

TEST_F(GrpcurlTest, AKeyIsStattedAndAMissingOneIsNotFound) {
  ASSERT_EQ(HttpPut(cluster_.gateway_port(), "/foo", "bar").status, 201);
  const std::string method = "cairn.v1.StoreService/Stat";
  EXPECT_THAT(Grpcurl("-d '{\"key\": \"Zm9v\"}'", master(), method).out,
              HasSubstr("\"size_bytes\": \"3\""));
  const Outcome missing = Grpcurl("-d '{\"key\": \"YmFy\"}'", master(), method);
  EXPECT_NE(missing.code, 0);
  EXPECT_THAT(missing.text, HasSubstr("Code: NotFound"));
}

TEST_F(GrpcurlTest, AValueIsPutReadListedAndDeleted) {
  const std::string service = "cairn.v1.StoreService/";
  const Outcome put =
      Grpcurl("-d '{\"header\": {\"key\": \"Zm9v\"}} {\"data\": \"YmFy\"}'",
              master(), service + "Put");
  EXPECT_EQ(put.code, 0) << put.text;
  EXPECT_THAT(put.out, HasSubstr("\"size_bytes\": \"3\""));
  EXPECT_EQ(HttpRead(cluster_.gateway_port(), "/foo").body, "bar");
  const std::string key = "-d '{\"key\": \"Zm9v\"}'";
  EXPECT_THAT(Grpcurl(key, master(), service + "Get").out,
              HasSubstr("\"data\": \"YmFy\""));
  EXPECT_THAT(Grpcurl("", master(), service + "List").out,
              HasSubstr("\"Zm9v\""));
  EXPECT_EQ(Grpcurl(key, master(), service + "Delete").code, 0);
  EXPECT_EQ(HttpRead(cluster_.gateway_port(), "/foo").status, 404);
}

TEST_F(GrpcurlTest, JobsAreStartedListedAndCancelled) {
  for (const char* key : {"/bar", "/foo"}) {
    ASSERT_EQ(
        HttpPut(cluster_.gateway_port(), key, std::string(1000, 'v')).status,
        201);
  }
  const std::string service = "cairn.v1.AdminService/";
  const Outcome verified = Grpcurl("", master(), service + "Verify");
  EXPECT_EQ(verified.code, 0) << verified.text;
  EXPECT_THAT(verified.out,
              AllOf(HasSubstr("\"state\": \"JOB_STATE_DONE\""),
                    HasSubstr("4 copies of 2 keys were read: 0 corrupt")));
  const TemporaryDirectory directory;
  const std::string log = directory.path() + "/log";
  // The second key waits for the 2,000 bytes of the first, at one a second.
  const auto slow =
      Process::Start({grpcurl_, "-plaintext", "-d",
                      R"({"options": {"bytes_per_second_max": 1}})", master(),
                      service + "Verify"},
                     log);
  std::string jobs;
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    jobs = Grpcurl("", master(), service + "ListJobs").out;
    return absl::StrContains(jobs, "JOB_STATE_RUNNING");
  })) << jobs;
  const size_t id = jobs.find("\"job_id\": \"");
  ASSERT_NE(id, std::string::npos) << jobs;
  const std::string request =
      absl::StrCat("-d '{\"job_id\": ", std::atoi(&jobs[id + 11]), "}'");
  const Outcome cancelled = Grpcurl(request, master(), service + "CancelJob");
  EXPECT_EQ(cancelled.code, 0) << cancelled.text;
  EXPECT_EQ(slow->Wait(absl::Seconds(20)), 0);
  EXPECT_THAT(ReadFile(log), HasSubstr("JOB_STATE_CANCELLED"));
  EXPECT_THAT(Grpcurl(request, master(), service + "CancelJob").text,
              HasSubstr("Code: NotFound"));
}

TEST_F(GrpcurlTest, VolumesComeAndGoByTheirCallsAlone) {
  ASSERT_EQ(HttpPut(cluster_.gateway_port(), "/foo", "bar").status, 201);
  const std::string admin = "cairn.v1.AdminService/";
  EXPECT_THAT(Grpcurl("-d '{\"options\": {\"dry_run\": true}}'", master(),
                      admin + "Rebalance")
                  .out,
              HasSubstr("\"summary\": \"would move 0 copies, 0 bytes\""));
  EXPECT_THAT(Grpcurl("-d '{}'", master(), admin + "Repair").out,
              HasSubstr("\"summary\": \"made 0 copies, 0 bytes again\""));
  const std::string id = cluster_.VolumeId("volume-1");
  const std::string volume = "-d '{\"volume_id\": \"" + id + "\"}'";
  EXPECT_THAT(Grpcurl(volume, master(), admin + "RemoveVolume").text,
              AllOf(HasSubstr("Code: FailedPrecondition"),
                    HasSubstr("cairn volume drain " + id)));
  EXPECT_THAT(Grpcurl(volume, master(), admin + "DrainVolume").out,
              AllOf(HasSubstr("0 blobs left, safe to remove"),
                    HasSubstr("\"state\": \"JOB_STATE_DONE\"")));
  EXPECT_THAT(Grpcurl("", master(), admin + "ListVolumes").out,
              HasSubstr("\"draining\": true"));
  EXPECT_EQ(Grpcurl(volume, master(), admin + "UndrainVolume").code, 0);
  EXPECT_THAT(Grpcurl("", master(), admin + "ListVolumes").out,
              Not(HasSubstr("\"draining\": true")));
  Grpcurl(volume, master(), admin + "DrainVolume");
  EXPECT_EQ(Grpcurl(volume, master(), admin + "RemoveVolume").code, 0);
  EXPECT_EQ(cluster_.VolumeId("volume-1"), "");
  const Outcome other =
      Grpcurl("-d '{\"volume_id\": \"7\"}'", master(), admin + "DrainVolume");
  EXPECT_THAT(other.text, HasSubstr("Code: InvalidArgument"));
}

TEST_F(GrpcurlTest, AnIndexIsComparedAndOnceItIsLostMadeAgain) {
  ASSERT_EQ(HttpPut(cluster_.gateway_port(), "/foo", "bar").status, 201);
  const std::string rebuild = "cairn.v1.AdminService/Rebuild";
  const Outcome diff = Grpcurl("-d '{\"diff\": true}'", master(), rebuild);
  EXPECT_EQ(diff.code, 0) << diff.text;
  EXPECT_THAT(diff.out,
              AllOf(HasSubstr("\"kind\": \"JOB_KIND_DIFF\""),
                    HasSubstr("2 copies of 1 keys were compared: 0 corrupt")));
  const Outcome healthy = Grpcurl("-d '{}'", master(), rebuild);
  EXPECT_NE(healthy.code, 0);
  EXPECT_THAT(healthy.text, HasSubstr("Code: FailedPrecondition"));

  cluster_.Stop("master");
  ASSERT_EQ(Shell("rm -rf " + cluster_.path() + "/master/index").code, 0);
  cluster_.Start("master");
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return absl::StrContains(HttpGet(cluster_.gateway_port(), "/foo").body,
                             "the index is lost");
  }));
  const Outcome wrong = Grpcurl("-d '{\"diff\": true}'", master(), rebuild);
  EXPECT_NE(wrong.code, 0);
  EXPECT_THAT(wrong.text, HasSubstr("the index is lost"));
  const Outcome made = Grpcurl("-d '{}'", master(), rebuild);
  EXPECT_EQ(made.code, 0) << made.text;
  EXPECT_THAT(made.out, AllOf(HasSubstr("\"kind\": \"JOB_KIND_REBUILD\""),
                              HasSubstr("\"state\": \"JOB_STATE_DONE\"")));
  EXPECT_TRUE(WaitUntil(absl::Seconds(10), [&] {
    return HttpRead(cluster_.gateway_port(), "/foo").body == "bar";
  }));
}

TEST_F(GrpcurlTest, AnAgentCountsItsBlobs) {
  ASSERT_EQ(HttpPut(cluster_.gateway_port(), "/foo", "bar").status, 201);
  int64_t blobs = 0;
  const v1::GetStatusResponse known = cluster_.GetStatus();
  for (const v1::Volume& volume : known.map().volumes()) {
    const Outcome count =
        Grpcurl(absl::StrCat("-d '{\"volume_id\": ", volume.volume_id(), "}'"),
                volume.grpc_address(), "cairn.v1.VolumeService/CountBlobs");
    EXPECT_EQ(count.code, 0) << count.text;
    if (count.out.find("\"blobs_count\": \"1\"") != std::string::npos) ++blobs;
  }
  EXPECT_EQ(blobs, 2);
}

}  // namespace
}  // namespace cairn::tests
