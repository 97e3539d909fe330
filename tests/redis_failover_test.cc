// The whole cluster on a Redis Cluster that loses a master.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "index/redis/redis_cluster.h"
#include "tests/auditor.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::IsEmpty;

ClusterOptions On(const std::string& index) {
  ClusterOptions options;
  options.master_flags = {"--index=" + index};
  // Each GET asks the index.
  options.gateway_flags = {"--leases=false"};
  return options;
}

TEST(RedisFailoverTest, NoAcknowledgedWriteIsLostWithAMasterOfARedisCluster) {
  index::RedisCluster redis;
  Cluster cluster(On(redis.uri()));
  Auditor auditor(cluster.gateway_port(), 8);
  const auto progress = [&] {
    const int64_t goal = auditor.acknowledged() + 200;
    EXPECT_TRUE(WaitUntil(absl::Seconds(60),
                          [&] { return auditor.acknowledged() >= goal; }))
        << "no progress: " << auditor.failed() << " writes failed";
  };
  progress();
  for (const char* name : {"cairn:{8a}:records", "cairn:{meta}"}) {
    const int master = redis.MasterOf(name);
    redis.node(master).Kill();
    redis.WaitUntilReplaced(name, master);
    progress();
    redis.node(master).Start();
    redis.WaitUntilWhole();
  }
  cluster.Kill("master");
  cluster.Start("master");
  cluster.WaitReady();
  progress();
  auditor.Stop();
  EXPECT_THAT(auditor.Check(), IsEmpty());
  const int master = redis.MasterOf("cairn:{meta}");
  redis.node(redis.ReplicaOf(master)).Kill();
  EXPECT_TRUE(WaitUntil(absl::Seconds(10), [&] {
    HttpPut(cluster.gateway_port(), "/foo", "bar");
    return absl::StrContains(cluster.GetStatus().durability_note(),
                             "no replica is connected to");
  })) << cluster.GetStatus().durability_note();
}

}  // namespace
}  // namespace cairn::tests
