// The whole cluster on a Redis that is killed, frozen and emptied.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "index/redis/redis_server.h"
#include "tests/auditor.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;

ClusterOptions On(const std::string& index) {
  ClusterOptions options;
  options.master_flags = {"--index=" + index};
  // Each GET asks the index.
  options.gateway_flags = {"--leases=false"};
  return options;
}

class RedisTest : public testing::Test {
 protected:
  int port() const { return cluster_.gateway_port(); }

  index::RedisServer redis_;
  Cluster cluster_{On(redis_.unix_uri())};
};

TEST_F(RedisTest, NoAcknowledgedWriteIsLostWhenRedisOrTheMasterIsKilled) {
  Auditor auditor(port(), 8);
  const auto progress = [&] {
    const int64_t goal = auditor.acknowledged() + 200;
    EXPECT_TRUE(WaitUntil(absl::Seconds(60),
                          [&] { return auditor.acknowledged() >= goal; }))
        << "no progress: " << auditor.failed() << " writes failed";
  };
  progress();
  for (int round = 0; round < 3; ++round) {
    redis_.Kill();
    absl::SleepFor(absl::Milliseconds(500));
    redis_.Start();
    progress();
  }
  cluster_.Kill("master");
  cluster_.Start("master");
  cluster_.WaitReady();
  progress();
  auditor.Stop();
  EXPECT_THAT(auditor.Check(), IsEmpty());
}

TEST_F(RedisTest, WhileRedisIsAwayRequestsWaitAndThenAre503) {
  const std::string large(100000, 'l');
  ASSERT_EQ(HttpPut(port(), "/foo", "bar").status, 201);
  ASSERT_EQ(HttpPut(port(), "/large", large).status, 201);
  redis_.Kill();
  const absl::Time start = absl::Now();
  for (const char* target : {"/foo", "/large", "/none", "/?list"}) {
    const Reply reply = HttpGet(port(), target);
    EXPECT_THAT(reply.status, AnyOf(503, 504)) << target << reply.body;
    if (reply.status == 503) EXPECT_NE(reply.Header("Retry-After"), "");
  }
  EXPECT_GE(absl::Now() - start, absl::Seconds(2));
  const Reply put = HttpPut(port(), "/new", "value");
  EXPECT_EQ(put.status, 503) << put.body;
  EXPECT_NE(put.Header("Retry-After"), "");
  redis_.Start();
  EXPECT_TRUE(WaitUntil(absl::Seconds(10),
                        [&] { return HttpGet(port(), "/foo").status == 200; }));
  EXPECT_EQ(HttpGet(port(), "/foo").body, "bar");
  EXPECT_EQ(HttpRead(port(), "/large").body, large);
  EXPECT_EQ(HttpGet(port(), "/none").status, 404);
  EXPECT_EQ(HttpPut(port(), "/new", "value").status / 100, 2);
}

TEST_F(RedisTest, AnEmptiedRedisIs503AndNever404AlsoAfterARestart) {
  ASSERT_EQ(HttpPut(port(), "/foo", "bar").status, 201);
  redis_.Cli("FLUSHALL");
  EXPECT_EQ(HttpGet(port(), "/foo").status, 503);
  EXPECT_EQ(HttpGet(port(), "/none").status, 503);
  EXPECT_EQ(HttpPut(port(), "/foo", "new").status, 503);
  EXPECT_EQ(cluster_.Stop("master"), 0);
  cluster_.Start("master");
  EXPECT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return absl::StrContains(cluster_.GetStatus().not_ready_reason(),
                             "the index is lost");
  }));
  EXPECT_EQ(HttpGet(port(), "/foo").status, 503);
  EXPECT_FALSE(cluster_.BlobFiles().empty());
}

TEST(RedisStatusTest, StatusSaysWhatAnAcknowledgedWriteMayLose) {
  index::RedisServer redis({"--appendfsync", "everysec"});
  Cluster cluster(On(redis.tcp_uri()));
  const v1::GetStatusResponse status = cluster.GetStatus();
  EXPECT_EQ(status.index_uri(), redis.tcp_uri());
  EXPECT_THAT(status.durability_note(), HasSubstr("everysec"));
}

}  // namespace
}  // namespace cairn::tests
