#include "master/cluster_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "index/memory_index_store.h"

namespace cairn::master {
namespace {

using testing::HasSubstr;

class ClusterStateTest : public testing::Test {
 protected:
  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore();
  ClusterSettings settings_;
};

TEST_F(ClusterStateTest, ABlankIndexGetsAClusterIdThatStays) {
  const auto made = OpenCluster(index_.get(), settings_);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->cluster_id().size(), 32);
  EXPECT_EQ(made->replicas(), 2);
  const auto again = OpenCluster(index_.get(), settings_);
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->cluster_id(), made->cluster_id());
  EXPECT_EQ(again->epoch(), made->epoch());
}

TEST_F(ClusterStateTest, AnotherNumberOfReplicasIsRefusedNamingBoth) {
  ASSERT_TRUE(OpenCluster(index_.get(), settings_).ok());
  settings_.replicas = 3;
  const auto refused = OpenCluster(index_.get(), settings_);
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr("--replicas=2"), HasSubstr("--replicas=3")));
}

TEST_F(ClusterStateTest, AnotherNumberOfSubvolumesIsRefusedNamingBoth) {
  ASSERT_TRUE(OpenCluster(index_.get(), settings_).ok());
  settings_.subvolumes_per_volume = 8;
  const auto refused = OpenCluster(index_.get(), settings_);
  EXPECT_THAT(std::string(refused.status().message()),
              AllOf(HasSubstr("--subvolumes=4"), HasSubstr("--subvolumes=8")));
}

TEST_F(ClusterStateTest, DurabilityMayChangeAndMakesANewEpoch) {
  const auto made = OpenCluster(index_.get(), settings_);
  ASSERT_TRUE(made.ok());
  settings_.durability = v1::DURABILITY_OS;
  const auto changed = OpenCluster(index_.get(), settings_);
  ASSERT_TRUE(changed.ok());
  EXPECT_EQ(changed->durability(), v1::DURABILITY_OS);
  EXPECT_GT(changed->epoch(), made->epoch());
}

TEST_F(ClusterStateTest, AWeightIsKeptUntilTheCapacityMovedByMoreThanATenth) {
  v1::Volume volume;
  v1::Subvolume* disk = volume.add_subvolumes();
  disk->set_capacity_bytes(int64_t{100} << 30);
  EXPECT_EQ(WeightOf(volume, 0), 100);
  disk->set_capacity_bytes(int64_t{110} << 30);
  EXPECT_EQ(WeightOf(volume, 100), 100);
  disk->set_capacity_bytes(int64_t{111} << 30);
  EXPECT_EQ(WeightOf(volume, 100), 111);
  disk->set_capacity_bytes(0);
  EXPECT_EQ(WeightOf(volume, 0), 1);
}

TEST_F(ClusterStateTest, AFailedDiskChangesNoWeight) {
  v1::Volume volume;
  for (int i = 0; i < 4; ++i) {
    volume.add_subvolumes()->set_capacity_bytes(int64_t{25} << 30);
  }
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(WeightOf(volume, 100), 100);
    EXPECT_EQ(WeightOf(volume, 0), 100) << "as it joined";
    volume.mutable_subvolumes(i)->set_failed(true);
    volume.mutable_subvolumes(i)->set_capacity_bytes(0);
  }
  EXPECT_EQ(WeightOf(volume, 100), 100);
  EXPECT_EQ(WeightOf(volume, 0), 1);
}

}  // namespace
}  // namespace cairn::master
