#include "master/jobs/placement_plan.h"

#include <gtest/gtest.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "master/test_cluster.h"
#include "placement/placement.h"

namespace cairn::master {
namespace {

using placement::Target;

class PlacementPlanTest : public testing::Test {
 protected:
  // On the first R places of `map`.
  static v1::Record Placed(const v1::ClusterMap& map, const std::string& key) {
    v1::Record record;
    for (const Target& target : placement::WritableOrder(map, key)) {
      if (record.replicas_size() == map.replicas()) break;
      v1::SubvolumeId* const place = record.add_replicas();
      place->set_volume_id(target.volume_id);
      place->set_subvolume(target.subvolume);
    }
    return record;
  }
  static v1::SubvolumeId Place(uint32_t volume_id, int subvolume) {
    v1::SubvolumeId place;
    place.set_volume_id(volume_id);
    place.set_subvolume(subvolume);
    return place;
  }
  static std::string Key(int i) { return absl::StrCat("key", i); }
  static void Apply(const Plan& plan, v1::Record* record) {
    record->clear_replicas();
    for (const v1::SubvolumeId& place : plan.move.after) {
      *record->add_replicas() = place;
    }
  }
  // R copies, on distinct volumes.
  static void ExpectSound(const v1::ClusterMap& map, const v1::Record& record) {
    std::set<uint32_t> volumes;
    for (const auto& place : record.replicas()) {
      volumes.insert(place.volume_id());
    }
    EXPECT_EQ(record.replicas_size(), map.replicas());
    EXPECT_EQ(volumes.size(), size_t(map.replicas()));
  }
  static bool On(const v1::Record& record, uint32_t volume_id) {
    for (const auto& place : record.replicas()) {
      if (place.volume_id() == volume_id) return true;
    }
    return false;
  }
};

TEST_F(PlacementPlanTest, CopiesOnAnUnconfirmedVolumeAreNotLiveButReachable) {
  v1::ClusterMap map = TestMap(3);
  v1::Record record;
  *record.add_replicas() = Place(1, 0);
  *record.add_replicas() = Place(2, 0);
  EXPECT_EQ(LiveCopies(map, record), 2);
  map.mutable_volumes(0)->set_unconfirmed(true);
  EXPECT_EQ(LiveCopies(map, record), 1);
  EXPECT_TRUE(IsReachable(map, Place(1, 0)));
  map.mutable_volumes(0)->set_state(v1::VOLUME_STATE_DOWN);
  EXPECT_FALSE(IsReachable(map, Place(1, 0)));
}

TEST_F(PlacementPlanTest, NothingMovesWhereAllIsAsItShouldBe) {
  const v1::ClusterMap map = TestMap(4);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(PlanRebalance(map, Key(i), Placed(map, Key(i))).kind,
              Plan::Kind::kNothing);
  }
}

TEST_F(PlacementPlanTest, ANewVolumeGetsExactlyWhatBelongsThere) {
  const v1::ClusterMap before = TestMap(3);
  const v1::ClusterMap after = TestMap(4);
  int moves = 0;
  for (int i = 0; i < 2000; ++i) {
    v1::Record record = Placed(before, Key(i));
    const bool wanted = On(Placed(after, Key(i)), 4);
    const Plan plan = PlanRebalance(after, Key(i), record);
    EXPECT_EQ(plan.kind == Plan::Kind::kMove, wanted);
    if (!wanted) continue;
    ++moves;
    EXPECT_EQ(plan.move.target.volume_id(), 4u);
    EXPECT_FALSE(On(record, 4));
    // The copy that goes is the one that is read.
    Apply(plan, &record);
    EXPECT_FALSE(On(record, plan.move.source.volume_id()));
    ExpectSound(after, record);
    EXPECT_EQ(PlanRebalance(after, Key(i), record).kind, Plan::Kind::kNothing);
  }
  EXPECT_NEAR(moves, 2 * 2000 / 4, 100);
}

TEST_F(PlacementPlanTest, WhatIsWantedWhereNothingCanGoStays) {
  const v1::ClusterMap before = TestMap(3);
  v1::ClusterMap after = TestMap(4);
  after.mutable_volumes(3)->set_state(v1::VOLUME_STATE_DOWN);
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(PlanRebalance(after, Key(i), Placed(before, Key(i))).kind,
              Plan::Kind::kNothing);
  }
}

TEST_F(PlacementPlanTest, AStandInMovesBackWithinItsVolume) {
  v1::ClusterMap full = TestMap(3);
  const v1::ClusterMap map = TestMap(3);
  for (int disk = 0; disk < 2; ++disk) {
    full.mutable_volumes(0)->mutable_subvolumes(disk)->set_full(true);
  }
  int moves = 0;
  for (int i = 0; i < 300; ++i) {
    v1::Record record = Placed(full, Key(i));
    EXPECT_EQ(PlanRebalance(full, Key(i), record).kind, Plan::Kind::kNothing);
    const Plan plan = PlanRebalance(map, Key(i), record);
    if (plan.kind == Plan::Kind::kNothing) continue;
    EXPECT_EQ(plan.move.target.volume_id(), 1u);
    if (On(record, 1)) {
      ++moves;
      EXPECT_EQ(plan.move.source.volume_id(), 1u);
    }
    Apply(plan, &record);
    ExpectSound(map, record);
  }
  EXPECT_GT(moves, 20);
}

TEST_F(PlacementPlanTest, ADrainEmptiesItsVolumeAndNoOther) {
  const v1::ClusterMap before = TestMap(4);
  v1::ClusterMap map = before;
  map.mutable_volumes(1)->set_draining(true);
  for (int i = 0; i < 500; ++i) {
    v1::Record record = Placed(before, Key(i));
    const Plan plan = PlanDrain(map, 2, Key(i), record);
    EXPECT_EQ(plan.kind == Plan::Kind::kMove, On(record, 2));
    // A dry run, of a volume that still takes new blobs, says the same.
    EXPECT_EQ(PlanDrain(before, 2, Key(i), record).move.target.volume_id(),
              plan.move.target.volume_id());
    if (plan.kind != Plan::Kind::kMove) continue;
    Apply(plan, &record);
    EXPECT_FALSE(On(record, 2));
    ExpectSound(map, record);
    EXPECT_EQ(PlanRebalance(map, Key(i), record).kind, Plan::Kind::kNothing)
        << "it is where a rebalance wants it";
  }
}

TEST_F(PlacementPlanTest, ADrainWithNowhereToGoIsStuck) {
  v1::ClusterMap map = TestMap(3);
  v1::Record record;
  *record.add_replicas() = Place(1, 0);
  *record.add_replicas() = Place(2, 0);
  map.mutable_volumes(2)->set_state(v1::VOLUME_STATE_DOWN);
  EXPECT_EQ(PlanDrain(map, 1, "foo", record).kind, Plan::Kind::kStuck);
}

TEST_F(PlacementPlanTest, ADrainReadsFromAnotherIfItsVolumeIsDown) {
  v1::ClusterMap map = TestMap(3);
  v1::Record record;
  *record.add_replicas() = Place(1, 0);
  *record.add_replicas() = Place(2, 0);
  map.mutable_volumes(0)->set_state(v1::VOLUME_STATE_DOWN);
  const Plan plan = PlanDrain(map, 1, "foo", record);
  EXPECT_EQ(plan.kind, Plan::Kind::kMove);
  EXPECT_EQ(plan.move.source.volume_id(), 2u);
  EXPECT_EQ(plan.move.target.volume_id(), 3u);
}

TEST_F(PlacementPlanTest, ARepairReplacesWhatIsLostAndNothingElse) {
  v1::ClusterMap map = TestMap(3);
  map.mutable_volumes(0)->mutable_subvolumes(1)->set_failed(true);
  const auto is_lost = [&](const v1::SubvolumeId& place) {
    return !IsLive(map, place);
  };
  v1::Record record;
  *record.add_replicas() = Place(1, 0);
  *record.add_replicas() = Place(2, 0);
  EXPECT_EQ(PlanRepair(map, is_lost, "foo", record).kind, Plan::Kind::kNothing)
      << "another disk of that volume";
  *record.mutable_replicas(0) = Place(1, 1);
  EXPECT_EQ(LiveCopies(map, record), 1);
  const Plan plan = PlanRepair(map, is_lost, "foo", record);
  EXPECT_EQ(plan.kind, Plan::Kind::kMove);
  EXPECT_EQ(plan.move.source.volume_id(), 2u);
  Apply(plan, &record);
  ExpectSound(map, record);
  EXPECT_EQ(LiveCopies(map, record), 2);
  *record.mutable_replicas(0) = Place(1, 1);
  *record.mutable_replicas(1) = Place(9, 0);  // Of no volume.
  const Plan lost = PlanRepair(map, is_lost, "foo", record);
  EXPECT_EQ(lost.kind, Plan::Kind::kMove);
  EXPECT_EQ(lost.move.source.volume_id(), 0u) << "no copy is left";
}

TEST_F(PlacementPlanTest, ARepairAddsTheCopyThatIsMissing) {
  const v1::ClusterMap map = TestMap(3);
  const auto none = [](const v1::SubvolumeId&) { return false; };
  v1::Record record;
  *record.add_replicas() = Place(2, 0);
  const Plan plan = PlanRepair(map, none, "foo", record);
  EXPECT_EQ(plan.kind, Plan::Kind::kMove);
  Apply(plan, &record);
  ExpectSound(map, record);
  v1::Record tombstone;
  tombstone.set_tombstone(true);
  EXPECT_EQ(PlanRepair(map, none, "foo", tombstone).kind, Plan::Kind::kNothing);
}

TEST_F(PlacementPlanTest, ACopyGoesToAZoneOfItsOwnIfThereIsOne) {
  v1::ClusterMap map = TestMap(6);
  for (int i = 0; i < 6; ++i) {
    map.mutable_volumes(i)->set_zone(i < 3 ? "east" : "west");
  }
  map.mutable_volumes(0)->set_draining(true);
  v1::Record record;
  *record.add_replicas() = Place(1, 0);
  *record.add_replicas() = Place(4, 0);
  for (int i = 0; i < 50; ++i) {
    const Plan plan = PlanDrain(map, 1, Key(i), record);
    EXPECT_GE(plan.move.target.volume_id(), 2u);
    EXPECT_LE(plan.move.target.volume_id(), 3u);
  }
}

}  // namespace
}  // namespace cairn::master
