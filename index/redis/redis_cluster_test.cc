// The contract suite on a Redis Cluster of three masters and three replicas.

#include "index/redis/redis_cluster.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "index/index_store_contract.h"
#include "index/redis/redis_index_store.h"

namespace cairn::index {
namespace {

// One for all tests: starting it takes seconds.
std::unique_ptr<RedisCluster>& TheCluster() {
  static auto& cluster = *new std::unique_ptr<RedisCluster>();
  return cluster;
}

class StopsTheCluster : public testing::Environment {
 public:
  void TearDown() override { TheCluster().reset(); }
};
[[maybe_unused]] const testing::Environment* const stops_the_cluster =
    testing::AddGlobalTestEnvironment(new StopsTheCluster);

class ClusterUnderTest final : public BackendUnderTest {
 public:
  ClusterUnderTest() {
    if (TheCluster() == nullptr)
      TheCluster() = std::make_unique<RedisCluster>();
    TheCluster()->FlushAll();
  }
  absl::StatusOr<std::unique_ptr<IndexStore>> Open(
      const OpenOptions& options) override {
    return OpenRedisIndexStore(TheCluster()->uri(), options);
  }
};

std::unique_ptr<BackendUnderTest> NewClusterUnderTest() {
  return std::make_unique<ClusterUnderTest>();
}

INSTANTIATE_TEST_SUITE_P(RedisCluster, IndexStoreContractTest,
                         testing::Values(&NewClusterUnderTest));
INSTANTIATE_TEST_SUITE_P(RedisCluster, IndexStoreReopenContractTest,
                         testing::Values(&NewClusterUnderTest));

}  // namespace
}  // namespace cairn::index
