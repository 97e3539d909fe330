#include "admin/cluster_text.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>

namespace cairn::admin {
namespace {

v1::GetStatusResponse SampleStatus() {
  v1::GetStatusResponse status;
  status.set_ready(true);
  status.set_index_uri("rocksdb:/data/index");
  status.set_keys_count(12);
  status.set_removals_waiting_count(3);
  status.set_tombstones_count(1);
  status.set_program_version("0.1.0");
  v1::ClusterMap* map = status.mutable_map();
  map->set_cluster_id("c0ffee");
  map->set_epoch(4);
  map->set_replicas(2);
  map->set_subvolumes_per_volume(2);
  map->set_durability(v1::DURABILITY_FSYNC);
  v1::Volume* volume = map->add_volumes();
  volume->set_volume_id(1);
  volume->set_state(v1::VOLUME_STATE_UP);
  volume->set_weight(2048);
  volume->set_grpc_address("127.0.0.1:3201");
  volume->set_http_address("127.0.0.1:3301");
  for (const bool full : {false, true}) {
    v1::Subvolume* subvolume = volume->add_subvolumes();
    subvolume->set_capacity_bytes(int64_t{1} << 40);
    subvolume->set_free_bytes(full ? 0 : int64_t{1} << 39);
    subvolume->set_full(full);
  }
  return status;
}

TEST(ClusterTextTest, StatusShowsVolumesAndWhyItIsNotReady) {
  v1::GetStatusResponse status = SampleStatus();
  const std::string ready = StatusText(status, {});
  EXPECT_EQ(
      ready,
      "ready     yes\n"
      "cluster   c0ffee, epoch 4, replicas 2, 2 subvolumes a volume\n"
      "durable   fsync\n"
      "index     rocksdb:/data/index\n"
      "keys      12\n"
      "removals  3 waiting, 1 deleted keys remembered\n"
      "verified  not yet\n"
      "jobs      none\n"
      "master    cairn-master 0.1.0\n"
      "volumes   1: 1 up\n"
      "disks     2: 1 full\n"
      "used      75% of 2.0 TiB\n"
      "\n"
      "ID        STATE  FILL     USED  CAPACITY  DISKS      WEIGHT  ZONE  "
      "ADDRESS         NGINX\n"
      "00000001  up      75%  1.5 TiB   2.0 TiB  2: 1 full    2048  -     "
      "127.0.0.1:3201  127.0.0.1:3301\n");
  status.set_ready(false);
  status.set_not_ready_reason("the index is lost: run `cairn rebuild`");
  EXPECT_EQ(
      StatusText(status, {})
          .rfind("ready     no: the index is lost: run `cairn rebuild`\n", 0),
      0u);
}

TEST(ClusterTextTest, StatusAsJsonSaysTheSame) {
  const auto json = nlohmann::json::parse(StatusJson(SampleStatus(), {}));
  EXPECT_EQ(json["ready"], true);
  EXPECT_EQ(json["keys_count"], 12);
  EXPECT_EQ(json["durability"], "fsync");
  EXPECT_EQ(json["volumes"][0]["state"], "up");
  EXPECT_EQ(json["volumes"][0]["subvolumes_full_count"], 1);
  EXPECT_EQ(json["volumes"][0]["subvolumes"][1]["full"], true);
}

TEST(ClusterTextTest, StatusTellsOfTheBackgroundVerify) {
  v1::GetStatusResponse status = SampleStatus();
  v1::VerifySummary* last = status.mutable_last_verify();
  last->set_ended_time_ms(1'795'931'154'367);
  last->set_summary("58 copies were read");
  EXPECT_NE(StatusText(status, {})
                .find("\nverified  2026-11-29 05:45 UTC, all good\n"),
            std::string::npos)
      << StatusText(status, {});
  last->set_problems_count(3);
  EXPECT_NE(
      StatusText(status, {}).find("UTC, 3 problems: run `cairn verify`\n"),
      std::string::npos);
  const auto json = nlohmann::json::parse(StatusJson(status, {}));
  EXPECT_EQ(json["last_verify"]["problems_count"], 3);
  EXPECT_EQ(json["last_verify"]["summary"], "58 copies were read");
}

TEST(ClusterTextTest, VolumesAreCountedByState) {
  v1::GetStatusResponse status = SampleStatus();
  *status.mutable_map()->add_volumes() = status.map().volumes(0);
  status.mutable_map()->mutable_volumes(1)->set_state(v1::VOLUME_STATE_DOWN);
  EXPECT_NE(StatusText(status, {}).find("\nvolumes   2: 1 up, 1 down\n"),
            std::string::npos);
  EXPECT_NE(StatusText(status, {}).find("\ndisks     4: 2 full\n"),
            std::string::npos);
}

TEST(ClusterTextTest, DrainingVolumesAndMissingCopiesAreShown) {
  v1::GetStatusResponse status = SampleStatus();
  status.set_under_replicated_keys_count(-1);
  EXPECT_NE(StatusText(status, {}).find("\nkeys      12\n"), std::string::npos);
  status.set_under_replicated_keys_count(3);
  status.mutable_map()->mutable_volumes(0)->set_draining(true);
  const std::string text = StatusText(status, {});
  EXPECT_NE(text.find("\nkeys      12, 3 with fewer than 2 live copies\n"),
            std::string::npos);
  EXPECT_NE(text.find("\nvolumes   1: 1 up, 1 draining\n"), std::string::npos);
  EXPECT_NE(text.find("00000001  up, draining"), std::string::npos);
  const auto json = nlohmann::json::parse(StatusJson(status, {}));
  EXPECT_EQ(json["under_replicated_keys_count"], 3);
  EXPECT_EQ(json["volumes"][0]["draining"], true);
}

TEST(ClusterTextTest, VolumesAsJsonAreAnArrayOfObjects) {
  v1::ListVolumesResponse volumes;
  EXPECT_EQ(VolumesJson(volumes), "[]\n");
  EXPECT_EQ(VolumesText(volumes), "no volume has joined yet\n");
  *volumes.add_volumes() = SampleStatus().map().volumes(0);
  volumes.mutable_volumes(0)->set_zone("east");
  const auto json = nlohmann::json::parse(VolumesJson(volumes));
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(json[0]["id"], "00000001");
  EXPECT_EQ(json[0]["state"], "up");
  EXPECT_EQ(json[0]["address"], "127.0.0.1:3201");
  EXPECT_EQ(json[0]["zone"], "east");
  EXPECT_EQ(json[0]["capacity_bytes"], int64_t{2} << 40);
  EXPECT_EQ(json[0]["used_bytes"], int64_t{3} << 39);
}

}  // namespace
}  // namespace cairn::admin
