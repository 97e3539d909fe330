#include "index/memory_index_store.h"

#include <gtest/gtest.h>

#include "index/index_store_contract.h"

namespace cairn::index {
namespace {

class MemoryUnderTest final : public BackendUnderTest {
 public:
  absl::StatusOr<std::unique_ptr<IndexStore>> Open(
      const OpenOptions& options) override {
    return NewMemoryIndexStore(options);
  }
};

std::unique_ptr<BackendUnderTest> NewMemoryUnderTest() {
  return std::make_unique<MemoryUnderTest>();
}

INSTANTIATE_TEST_SUITE_P(Memory, IndexStoreContractTest,
                         testing::Values(&NewMemoryUnderTest));
INSTANTIATE_TEST_SUITE_P(Memory, IndexStoreSnapshotContractTest,
                         testing::Values(&NewMemoryUnderTest));

}  // namespace
}  // namespace cairn::index
