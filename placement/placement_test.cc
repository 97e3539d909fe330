#include "placement/placement.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace cairn::placement {
namespace {

v1::ClusterMap MakeMap(int volumes, int replicas) {
  v1::ClusterMap map;
  map.set_replicas(replicas);
  map.set_subvolumes_per_volume(4);
  for (int i = 1; i <= volumes; ++i) {
    v1::Volume* volume = map.add_volumes();
    volume->set_volume_id(0x1000 * i + 7);
    volume->set_state(v1::VOLUME_STATE_UP);
    volume->set_weight(1);
    for (int d = 0; d < 4; ++d) volume->add_subvolumes();
  }
  return map;
}

TEST(PlacementTest, SpreadsEvenlyOverVolumesAndSubvolumes) {
  const v1::ClusterMap map = MakeMap(3, 2);
  std::map<uint32_t, int> by_volume;
  std::map<std::pair<uint32_t, int>, int> by_disk;
  for (int i = 0; i < 10000; ++i) {
    const auto order = Order(map, absl::StrCat("key-", i));
    ASSERT_EQ(order.size(), 3u);
    for (int r = 0; r < 2; ++r) {
      ++by_volume[order[r].volume_id];
      ++by_disk[{order[r].volume_id, order[r].subvolume}];
    }
  }
  for (const auto& [id, count] : by_volume) EXPECT_NEAR(count, 6667, 667);
  ASSERT_EQ(by_disk.size(), 12u);
  for (const auto& [id, count] : by_disk) EXPECT_NEAR(count, 1667, 167);
}

TEST(PlacementTest, ANewVolumeTakesItsShareAndMovesNothingElse) {
  const v1::ClusterMap before = MakeMap(3, 1);
  const v1::ClusterMap after = MakeMap(4, 1);
  int moved = 0;
  for (int i = 0; i < 10000; ++i) {
    const std::string key = absl::StrCat("key-", i);
    const Target was = Order(before, key)[0];
    const Target is = Order(after, key)[0];
    if (was == is) continue;
    ++moved;
    EXPECT_EQ(is.volume_id, after.volumes(3).volume_id());
  }
  EXPECT_NEAR(moved, 2500, 250);
}

TEST(PlacementTest, WeightsSetTheShares) {
  v1::ClusterMap map = MakeMap(2, 1);
  map.mutable_volumes(0)->set_weight(3);
  int heavy = 0;
  for (int i = 0; i < 10000; ++i) {
    heavy +=
        Order(map, absl::StrCat(i))[0].volume_id == map.volumes(0).volume_id();
  }
  EXPECT_NEAR(heavy, 7500, 250);
}

TEST(PlacementTest, ReplicasLieInDifferentZones) {
  v1::ClusterMap map = MakeMap(4, 2);
  for (int i = 0; i < 4; ++i) {
    map.mutable_volumes(i)->set_zone(i < 2 ? "a" : "b");
  }
  for (int i = 0; i < 1000; ++i) {
    const auto order = Order(map, absl::StrCat(i));
    EXPECT_NE(FindVolume(map, order[0].volume_id)->zone(),
              FindVolume(map, order[1].volume_id)->zone());
  }
}

TEST(PlacementTest, DownVolumesAndFullDisksTakeNothingNew) {
  v1::ClusterMap map = MakeMap(3, 2);
  map.mutable_volumes(0)->set_state(v1::VOLUME_STATE_DOWN);
  map.mutable_volumes(1)->mutable_subvolumes(2)->set_full(true);
  for (int i = 0; i < 1000; ++i) {
    const auto order = WritableOrder(map, absl::StrCat(i));
    ASSERT_EQ(order.size(), 2u);
    for (const Target& target : order) {
      EXPECT_NE(target.volume_id, map.volumes(0).volume_id());
      EXPECT_FALSE(target.volume_id == map.volumes(1).volume_id() &&
                   target.subvolume == 2);
    }
  }
}

TEST(PlacementTest, SaysHowManyVolumesAreUsableAndWhatToDo) {
  v1::ClusterMap map = MakeMap(3, 2);
  EXPECT_TRUE(CheckWritable(map).ok());
  map.mutable_volumes(0)->set_state(v1::VOLUME_STATE_DOWN);
  EXPECT_TRUE(CheckWritable(map).ok());
  map.mutable_volumes(1)->set_state(v1::VOLUME_STATE_DOWN);
  EXPECT_EQ(CheckWritable(map).code(), absl::StatusCode::kUnavailable);
  map.mutable_volumes(1)->set_state(v1::VOLUME_STATE_UP);
  for (int d = 0; d < 4; ++d) {
    map.mutable_volumes(1)->mutable_subvolumes(d)->set_full(true);
  }
  EXPECT_EQ(CheckWritable(map).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(CheckWritable(map).message().find("1 down, 1 full"),
            absl::string_view::npos);
}

TEST(PlacementTest, TheOrderOfAKeyNeverChanges) {
  const v1::ClusterMap map = MakeMap(3, 2);
  std::string orders;
  for (const char* key : {"foo", "a/b/c", ""}) {
    for (const Target& target : Order(map, key)) {
      absl::StrAppend(&orders, target.volume_id, "/", target.subvolume, " ");
    }
  }
  EXPECT_EQ(orders,
            "8199/3 12295/0 4103/1 12295/3 8199/0 4103/3 8199/2 12295/1 "
            "4103/2 ");
}

TEST(PlacementTest, EachVolumeStandsOnceAndRemovedOnesNever) {
  v1::ClusterMap map = MakeMap(5, 3);
  map.mutable_volumes(4)->set_state(v1::VOLUME_STATE_REMOVED);
  map.mutable_volumes(3)->set_state(v1::VOLUME_STATE_DOWN);
  map.mutable_volumes(2)->mutable_subvolumes(0)->set_failed(true);
  std::set<uint32_t> seen;
  for (const Target& target : Order(map, "foo")) seen.insert(target.volume_id);
  EXPECT_EQ(seen.size(), 4u);
  EXPECT_EQ(seen.count(map.volumes(4).volume_id()), 0u);
}

TEST(PlacementTest, ADownVolumeLeavesTheOrderOfTheOthers) {
  const v1::ClusterMap before = MakeMap(5, 3);
  v1::ClusterMap after = before;
  const uint32_t down = before.volumes(2).volume_id();
  after.mutable_volumes(2)->set_state(v1::VOLUME_STATE_DOWN);
  for (int i = 0; i < 1000; ++i) {
    std::vector<Target> expected;
    for (const Target& target : Order(before, absl::StrCat(i))) {
      if (target.volume_id != down) expected.push_back(target);
    }
    EXPECT_EQ(WritableOrder(after, absl::StrCat(i)), expected);
  }
}

TEST(PlacementTest, MoreReplicasThanZonesFillTheZonesEvenly) {
  v1::ClusterMap map = MakeMap(6, 4);
  for (int i = 0; i < 6; ++i) {
    map.mutable_volumes(i)->set_zone(i < 4 ? "a" : "b");
  }
  for (int i = 0; i < 1000; ++i) {
    const auto order = Order(map, absl::StrCat(i));
    ASSERT_EQ(order.size(), 6u);
    int in_b = 0;
    for (int r = 0; r < 4; ++r) {
      in_b += FindVolume(map, order[r].volume_id)->zone() == "b";
    }
    EXPECT_EQ(in_b, 2);
  }
}

TEST(PlacementTest, TheMessageNamesReplicasCountsAndTheFix) {
  v1::ClusterMap map = MakeMap(3, 3);
  map.mutable_volumes(0)->set_state(v1::VOLUME_STATE_DOWN);
  EXPECT_EQ(CheckWritable(map).message(),
            "replicas=3 but only 2 volumes can take new values (1 down, "
            "0 full): start more volumes or wait for them");
  for (int d = 0; d < 4; ++d) {
    map.mutable_volumes(1)->mutable_subvolumes(d)->set_failed(true);
  }
  EXPECT_EQ(CheckWritable(map).message(),
            "replicas=3 but only 1 volume can take new values (1 down, "
            "0 full, 1 failed): start more volumes or wait for them");
}

TEST(PlacementTest, ManyOrdersASecond) {
  // Every put and many gets ask: 12 subvolumes must stay near a microsecond.
  // The bound is loose, for sanitizers and busy machines.
  const v1::ClusterMap map = MakeMap(3, 2);
  const std::string key = "photos/2024/cat.jpg";
  const absl::Time start = absl::Now();
  for (int i = 0; i < 10000; ++i) ASSERT_EQ(Order(map, key).size(), 3u);
  const double us = absl::ToDoubleMicroseconds(absl::Now() - start) / 10000;
  RecordProperty("order_us", absl::StrCat(us));
  std::printf("Order(): %.2f us\n", us);
  EXPECT_LT(us, 50);
}

TEST(PlacementTest, ADrainingVolumeBelongsNowhereAndMovesNothingElse) {
  const v1::ClusterMap before = MakeMap(4, 2);
  v1::ClusterMap map = before;
  map.mutable_volumes(1)->set_draining(true);
  const uint32_t draining = map.volumes(1).volume_id();
  for (int i = 0; i < 1000; ++i) {
    const std::string key = absl::StrCat("key-", i);
    std::vector<Target> expected = Order(before, key);
    for (size_t k = 0; k < expected.size(); ++k) {
      if (expected[k].volume_id != draining) continue;
      expected.erase(expected.begin() + k);
      break;
    }
    EXPECT_EQ(Order(map, key), expected);
    EXPECT_EQ(WritableOrder(map, key), expected);
  }
  EXPECT_FALSE(TakesNewBlobs(map.volumes(1), 0));
  EXPECT_TRUE(TakesNewBlobs(map.volumes(0), 0));
}

TEST(PlacementTest, AMessageTellsOfDrainingVolumes) {
  v1::ClusterMap map = MakeMap(3, 2);
  map.mutable_volumes(0)->set_draining(true);
  EXPECT_TRUE(CheckWritable(map).ok());
  map.mutable_volumes(1)->set_draining(true);
  EXPECT_EQ(CheckWritable(map).message(),
            "replicas=2 but only 1 volume can take new values (0 down, 0 full, "
            "2 draining): start more volumes or wait for them");
}

}  // namespace
}  // namespace cairn::placement
