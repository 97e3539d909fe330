#include "admin/text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace cairn::admin {
namespace {

v1::Record SampleRecord() {
  v1::Record record;
  record.mutable_version()->set_time_ms(1'700'000'000'123);
  record.mutable_version()->set_writer_id(7);
  record.set_size_bytes(5);
  record.mutable_digest()->set_md5("0123456789abcdef");
  record.mutable_metadata()->set_content_type("text/plain");
  (*record.mutable_metadata()->mutable_user())["b"] = "2";
  (*record.mutable_metadata()->mutable_user())["a"] = "\xff";
  for (const uint32_t id : {1, 2}) {
    record.add_replicas()->set_volume_id(id);
  }
  return record;
}

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

TEST(TextTest, BytesReadAsPeopleReadThem) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1024), "1.0 KiB");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes((1 << 20) - 1), "1.0 MiB");
  EXPECT_EQ(HumanBytes(int64_t{5} << 40), "5.0 TiB");
  EXPECT_EQ(HumanBytes(INT64_MAX), "8.0 EiB");
}

TEST(TextTest, StatShowsWhereTheReplicasAre) {
  EXPECT_EQ(StatText("a b", SampleRecord(), SampleStatus().map()),
            "key       a%20b\n"
            "size      5\n"
            "etag      30313233343536373839616263646566\n"
            "modified  2023-11-14T22:13:20Z\n"
            "version   018bcfe5687b000000000007\n"
            "type      text/plain\n"
            "meta      a=\xff\n"
            "meta      b=2\n"
            "replica   00000001/0  127.0.0.1:3301  up\n"
            "replica   00000002/0  (not in the cluster map)\n");
}

TEST(TextTest, JsonParsesWhateverTheMetadata) {
  const auto json = nlohmann::json::parse(
      StatJson("\xff/a", SampleRecord(), SampleStatus().map()));
  EXPECT_EQ(json["key"], "%FF/a");
  EXPECT_EQ(json["size_bytes"], 5);
  EXPECT_EQ(json["metadata"]["b"], "2");
  EXPECT_EQ(json["replicas"][0]["volume_id"], "00000001");
  EXPECT_EQ(json["replicas"][1]["state"], "unknown");
}

TEST(TextTest, StatusShowsVolumesAndWhyItIsNotReady) {
  v1::GetStatusResponse status = SampleStatus();
  const std::string ready = StatusText(status);
  EXPECT_EQ(ready,
            "ready     yes\n"
            "cluster   c0ffee, epoch 4, replicas 2, 2 subvolumes a volume\n"
            "durable   fsync\n"
            "index     rocksdb:/data/index\n"
            "keys      12\n"
            "removals  3 waiting, 1 deleted keys remembered\n"
            "master    cairn-master 0.1.0\n"
            "volumes   1\n"
            "  00000001  up        75% of 2.0 TiB    agent 127.0.0.1:3201  "
            "nginx 127.0.0.1:3301  1 disks full\n");
  status.set_ready(false);
  status.set_not_ready_reason("the index is lost: run `cairn rebuild`");
  EXPECT_EQ(StatusText(status).rfind(
                "ready     no: the index is lost: run `cairn rebuild`\n", 0),
            0u);
}

TEST(TextTest, StatusAsJsonSaysTheSame) {
  const auto json = nlohmann::json::parse(StatusJson(SampleStatus()));
  EXPECT_EQ(json["ready"], true);
  EXPECT_EQ(json["keys_count"], 12);
  EXPECT_EQ(json["durability"], "fsync");
  EXPECT_EQ(json["volumes"][0]["state"], "up");
  EXPECT_EQ(json["volumes"][0]["subvolumes_full_count"], 1);
}

}  // namespace
}  // namespace cairn::admin
