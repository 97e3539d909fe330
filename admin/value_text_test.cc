#include "admin/value_text.h"

#include <gtest/gtest.h>

#include <cstdint>
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

v1::ClusterMap SampleMap() {
  v1::ClusterMap map;
  v1::Volume* volume = map.add_volumes();
  volume->set_volume_id(1);
  volume->set_state(v1::VOLUME_STATE_UP);
  volume->set_http_address("127.0.0.1:3301");
  return map;
}

TEST(ValueTextTest, StatShowsWhereTheReplicasAre) {
  EXPECT_EQ(StatText("a b", SampleRecord(), SampleMap()),
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

TEST(ValueTextTest, JsonParsesWhateverTheMetadata) {
  const auto json =
      nlohmann::json::parse(StatJson("\xff/a", SampleRecord(), SampleMap()));
  EXPECT_EQ(json["key"], "%FF/a");
  EXPECT_EQ(json["size_bytes"], 5);
  EXPECT_EQ(json["metadata"]["b"], "2");
  EXPECT_EQ(json["replicas"][0]["volume_id"], "00000001");
  EXPECT_EQ(json["replicas"][1]["state"], "unknown");
}

TEST(ValueTextTest, AListingIsALineForEachKey) {
  EXPECT_EQ(KeyLine("a b", SampleRecord()),
            "              5  2023-11-14T22:13:20Z  a%20b\n");
  const std::string line = KeyJsonLine("a\n", SampleRecord());
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["key"], "a%0A");
  EXPECT_EQ(json["etag"], "30313233343536373839616263646566");
}

}  // namespace
}  // namespace cairn::admin
