// Several gateways that answer under leases: never with something older than
// the last acknowledged write, whoever hangs or dies.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

// One volume, and a gateway beside the cluster's own.
class LeaseTest : public testing::Test {
 protected:
  static ClusterOptions OneVolume() {
    ClusterOptions options;
    options.volumes = options.replicas = options.subvolumes = 1;
    return options;
  }

  void SetUp() override {
    log_ = cluster_.path() + "/second.log";
    second_ = Process::Start(
        {"gateway/cairn-gateway", absl::StrCat("--listen=127.0.0.1:", port_),
         "--admin_listen=", "--master=" + cluster_.master_address()},
        log_);
    ASSERT_TRUE(WaitUntil(absl::Seconds(20), [this] {
      return Shell(absl::StrCat("curl -s -o /dev/null http://127.0.0.1:", port_,
                                "/none"))
                     .code == 0 &&
             HttpGet(port_, "/none").status == 404;
    })) << ReadFile(log_);
  }
  void TearDown() override {
    second_->Signal(SIGCONT);
    second_->Signal(SIGTERM);
    EXPECT_EQ(second_->Wait(absl::Seconds(20)), 0);
  }

  int Put(const std::string& value) {
    return HttpPut(cluster_.gateway_port(), "/key", value).status;
  }
  Reply Get() { return HttpGet(port_, "/key"); }
  // What the second gateway says within `timeout`, on a connection it knows.
  static Reply GetWithin(Connection* connection, absl::Duration timeout) {
    connection->Send("GET /key HTTP/1.1\r\nHost: h\r\n\r\n");
    return connection->Read(/*head_only=*/false, timeout);
  }

  Cluster cluster_{OneVolume()};
  const int port_ = FreePort();
  std::string log_;
  std::unique_ptr<Process> second_;
};

TEST_F(LeaseTest, NoReadIsOlderThanTheLastAcknowledgedWrite) {
  ASSERT_EQ(Put("0"), 201);
  std::atomic<int> acknowledged{0};
  std::atomic<bool> stop{false};
  std::atomic<int> reads{0};
  std::vector<std::string> wrong[2];
  const auto read = [&](int port, std::vector<std::string>* errors) {
    Connection connection(port);
    int newest = 0;
    while (!stop) {
      const int before = std::max(newest, acknowledged.load());
      const Reply reply = GetWithin(&connection, absl::Seconds(20));
      if (reply.status != 200 || !absl::SimpleAtoi(reply.body, &newest) ||
          newest < before) {
        errors->push_back(absl::StrCat(reply.status, " ", reply.body, " after ",
                                       before, " was acknowledged or read"));
        newest = before;
      }
      ++reads;
    }
  };
  std::thread one(read, port_, &wrong[0]);
  std::thread two(read, cluster_.gateway_port(), &wrong[1]);
  for (int i = 1; i <= 500; ++i) {
    ASSERT_EQ(Put(absl::StrCat(i)), 204);
    acknowledged = i;
    // Some writes meet a key that is leased, some one that is being granted.
    const int enough = reads + i % 7;
    WaitUntil(absl::Seconds(1), [&] { return reads >= enough; });
  }
  stop = true;
  one.join();
  two.join();
  EXPECT_THAT(wrong[0], testing::IsEmpty());
  EXPECT_THAT(wrong[1], testing::IsEmpty());
  EXPECT_GT(reads, 500);
}

TEST_F(LeaseTest, AbsenceIsLeasedAndRevokedToo) {
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Get().status, 404);
    ASSERT_EQ(Put("here"), 201);
    EXPECT_EQ(Get().body, "here");
    EXPECT_EQ(Http(cluster_.gateway_port(), "DELETE /key HTTP/1.1\r\n").status,
              204);
  }
  EXPECT_EQ(Get().status, 404);
}

TEST_F(LeaseTest, ALeasedKeyIsAnsweredWithoutTheMasterUntilItRunsOut) {
  ASSERT_EQ(Put("value"), 201);
  Connection connection(port_);
  ASSERT_EQ(GetWithin(&connection, absl::Seconds(20)).body, "value");
  // A busy machine may take longer than the lease lasts: some tries.
  bool answered = false;
  for (int i = 0; i < 20 && !answered; ++i) {
    ASSERT_EQ(GetWithin(&connection, absl::Seconds(20)).body, "value");
    cluster_.process("master").Signal(SIGSTOP);
    answered = GetWithin(&connection, absl::Milliseconds(300)).body == "value";
    if (!answered) {
      cluster_.process("master").Signal(SIGCONT);
      connection.Read(false, absl::Seconds(20));
    }
  }
  EXPECT_TRUE(answered);
  // The master hangs on. Soon nothing is answered from memory any more.
  EXPECT_TRUE(WaitUntil(absl::Seconds(5), [this] {
    Connection fresh(port_);
    return GetWithin(&fresh, absl::Milliseconds(200)).status == 0;
  }));
  cluster_.process("master").Signal(SIGCONT);
  EXPECT_EQ(Get().body, "value");
}

TEST_F(LeaseTest, AHungGatewayHoldsUpAWriteUntilItsLeasesRunOutAndIsNotStale) {
  ASSERT_EQ(Put("old"), 201);
  Connection connection(port_);
  ASSERT_EQ(GetWithin(&connection, absl::Seconds(20)).body, "old");
  second_->Signal(SIGSTOP);
  const absl::Time begin = absl::Now();
  EXPECT_EQ(Put("new"), 204);
  EXPECT_LT(absl::Now() - begin, absl::Seconds(8));
  second_->Signal(SIGCONT);
  EXPECT_EQ(GetWithin(&connection, absl::Seconds(20)).body, "new");
}

TEST_F(LeaseTest, AKilledMasterAndItsSuccessorKeepThePromise) {
  for (int i = 0; i < 3; ++i) {
    const std::string value = absl::StrCat("value ", i);
    ASSERT_THAT(Put(value), testing::AnyOf(201, 204));
    EXPECT_EQ(Get().body, value);
    cluster_.Kill("master");
    cluster_.Start("master");
    EXPECT_EQ(Put(value + " again"), 204);
    EXPECT_EQ(Get().body, value + " again");
    cluster_.WaitReady();
  }
}

}  // namespace
}  // namespace cairn::tests
