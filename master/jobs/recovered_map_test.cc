#include "master/jobs/recovered_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace cairn::master {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

v1::ClusterMap Map(const std::string& cluster_id, int64_t epoch,
                   const std::vector<uint32_t>& volumes) {
  v1::ClusterMap map;
  map.set_cluster_id(cluster_id);
  map.set_epoch(epoch);
  map.set_replicas(2);
  map.set_subvolumes_per_volume(4);
  for (const uint32_t id : volumes) {
    map.add_volumes()->set_volume_id(id);
    map.mutable_volumes(map.volumes_size() - 1)->set_weight(100 + id);
    map.mutable_volumes(map.volumes_size() - 1)->set_state(v1::VOLUME_STATE_UP);
  }
  return map;
}

VolumeReport Report(uint32_t volume_id, v1::ClusterMap map) {
  VolumeReport report;
  report.volume.set_volume_id(volume_id);
  report.volume.set_state(v1::VOLUME_STATE_UP);
  report.volume.set_grpc_address(absl::StrCat("new:", volume_id));
  report.volume.set_signing_secret("secret");
  report.state.set_cluster_id(map.cluster_id());
  *report.state.mutable_map() = std::move(map);
  return report;
}

// "1 up, 2 down".
std::vector<std::string> Volumes(const v1::ClusterMap& map) {
  std::vector<std::string> texts;
  for (const v1::Volume& volume : map.volumes()) {
    texts.push_back(
        absl::StrCat(volume.volume_id(),
                     volume.state() == v1::VOLUME_STATE_UP ? " up" : " down"));
  }
  return texts;
}

TEST(RecoveredMapTest, TheNewestMapOfTheVolumesIsTaken) {
  v1::ClusterMap own = Map("fresh", 3, {});
  own.set_durability(v1::DURABILITY_OS);
  own.set_inline_bytes_max(77);
  const auto map = RecoverMap(own, {Report(1, Map("old", 8, {1, 2})),
                                    Report(2, Map("old", 9, {1, 2, 3}))});
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ(map->cluster_id(), "old");
  EXPECT_EQ(map->epoch(), 9);
  EXPECT_THAT(Volumes(*map), ElementsAre("1 up", "2 up", "3 down"));
  EXPECT_EQ(map->volumes(0).grpc_address(), "new:1");
  EXPECT_EQ(map->volumes(0).signing_secret(), "secret");
  EXPECT_EQ(map->volumes(0).weight(), 101) << "it moves no data";
  EXPECT_EQ(map->durability(), v1::DURABILITY_OS);
  EXPECT_EQ(map->inline_bytes_max(), 77);
}

TEST(RecoveredMapTest, TheIndexsOwnMapMayBeTheNewest) {
  const auto map =
      RecoverMap(Map("old", 12, {1, 2, 3}), {Report(1, Map("old", 8, {1, 2}))});
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_EQ(map->epoch(), 12);
  EXPECT_THAT(Volumes(*map), ElementsAre("1 up", "2 down", "3 down"));
}

TEST(RecoveredMapTest, VolumesThatTheNewestMapDoesNotKnowAreAdded) {
  const auto map =
      RecoverMap(Map("old", 5, {1}),
                 {Report(1, Map("old", 5, {1})),
                  Report(2, Map("old", 4, {1, 2})), Report(3, Map("", 0, {}))});
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_THAT(Volumes(*map), ElementsAre("1 up", "2 up"));
  EXPECT_EQ(map->volumes(1).weight(), 1);
}

TEST(RecoveredMapTest, AVolumeThatWasEverRemovedStaysRemoved) {
  v1::ClusterMap newest = Map("old", 9, {1});
  newest.add_removed_volume_ids(7);
  v1::ClusterMap older = Map("old", 8, {1, 7});
  older.add_removed_volume_ids(6);
  const auto map =
      RecoverMap(Map("fresh", 1, {}), {Report(1, newest), Report(7, older)});
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_THAT(Volumes(*map), ElementsAre("1 up"));
  EXPECT_THAT(map->removed_volume_ids(), ElementsAre(6, 7));
}

TEST(RecoveredMapTest, VolumesOfTwoClustersAreRefused) {
  const auto map = RecoverMap(
      Map("fresh", 1, {}),
      {Report(1, Map("old", 9, {1})), Report(2, Map("other", 9, {2}))});
  EXPECT_EQ(map.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(
      map.status().message(),
      HasSubstr("volume 00000001 belongs to cluster old, volume 00000002 "
                "to cluster other"));
}

TEST(RecoveredMapTest, OtherFixedSettingsAreRefusedNamingBoth) {
  v1::ClusterMap own = Map("fresh", 1, {});
  own.set_replicas(3);
  EXPECT_THAT(
      RecoverMap(own, {Report(1, Map("old", 9, {1}))}).status().message(),
      HasSubstr("cluster has --replicas=2, the master was started with "
                "--replicas=3"));
  own.set_replicas(2);
  own.set_subvolumes_per_volume(1);
  EXPECT_THAT(
      RecoverMap(own, {Report(1, Map("old", 9, {1}))}).status().message(),
      HasSubstr("--subvolumes=4"));
}

TEST(RecoveredMapTest, WithoutAVolumeOfAClusterThereIsNone) {
  EXPECT_EQ(RecoverMap(Map("fresh", 1, {}), {Report(1, Map("", 0, {}))})
                .status()
                .code(),
            absl::StatusCode::kFailedPrecondition);
}

}  // namespace
}  // namespace cairn::master
