#include "index/redis/redis_index_store.h"

#include <gtest/gtest.h>

#include "index/index_store_contract.h"
#include "index/redis/redis_server.h"

namespace cairn::index {
namespace {

class TcpUnderTest final : public BackendUnderTest {
 public:
  absl::StatusOr<std::unique_ptr<IndexStore>> Open(
      const OpenOptions& options) override {
    return OpenRedisIndexStore(server_.tcp_uri(), options);
  }

 private:
  RedisServer server_;
};

class UnixUnderTest final : public BackendUnderTest {
 public:
  absl::StatusOr<std::unique_ptr<IndexStore>> Open(
      const OpenOptions& options) override {
    return OpenRedisIndexStore(server_.unix_uri(), options);
  }

 private:
  RedisServer server_;
};

template <typename Backend>
std::unique_ptr<BackendUnderTest> New() {
  return std::make_unique<Backend>();
}

INSTANTIATE_TEST_SUITE_P(RedisTcp, IndexStoreContractTest,
                         testing::Values(&New<TcpUnderTest>));
INSTANTIATE_TEST_SUITE_P(RedisUnix, IndexStoreContractTest,
                         testing::Values(&New<UnixUnderTest>));
INSTANTIATE_TEST_SUITE_P(RedisTcp, IndexStoreReopenContractTest,
                         testing::Values(&New<TcpUnderTest>));
INSTANTIATE_TEST_SUITE_P(RedisUnix, IndexStoreReopenContractTest,
                         testing::Values(&New<UnixUnderTest>));

}  // namespace
}  // namespace cairn::index
