#include "index/redis/cluster_map.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace cairn::index {
namespace {

const RedisAddress kAsked = {"10.0.0.1", 7000};

// As redis-server 7.0 answers: three masters, one replica, a slot that moves.
constexpr char kNodes[] =
    "07c3 10.0.0.4:7003@17003 slave 67ed 0 1426238317239 4 connected\n"
    "67ed 10.0.0.2:7001@17001,host2 master - 0 1426238316232 2 connected "
    "5461-10922 16383\n"
    "292f :7002@17002,,shard-id=ab master - 0 1426238318243 3 connected "
    "10923-16382 [93-<-67ed]\n"
    "6ec2 10.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460 "
    "[5460->-292f]\n"
    "aaaa :0@0 master,noaddr - 0 0 9 disconnected 0-16383\n";

TEST(ClusterMapTest, SlotsAreThoseOfRedis) {
  EXPECT_EQ(SlotOf("123456789"), 0x31C3);  // The check value of the CRC.
  EXPECT_EQ(SlotOf("foo"), 12182);
  EXPECT_EQ(SlotOf("{user1000}.following"), SlotOf("user1000"));
  EXPECT_EQ(SlotOf("foo{}{bar}"), SlotOf("foo{}{bar}"));
  EXPECT_NE(SlotOf("foo{}{bar}"), SlotOf("bar"));
  EXPECT_EQ(SlotOf("foo{{bar}}"), SlotOf("{bar"));
  EXPECT_EQ(SlotOf("cairn:{8a}:records"), SlotOf("8a"));
}

TEST(ClusterMapTest, ReadsWhatANodeAnswers) {
  const auto map = ClusterMap::Parse(kNodes, kAsked);
  ASSERT_TRUE(map.ok()) << map.status();
  EXPECT_TRUE(map->complete());
  EXPECT_EQ(map->OwnerOf(0)->Text(), "10.0.0.1:7000");
  EXPECT_EQ(map->OwnerOf(93)->Text(), "10.0.0.1:7000");
  EXPECT_EQ(map->OwnerOf(5461)->Text(), "10.0.0.2:7001");
  EXPECT_EQ(map->OwnerOf(16383)->Text(), "10.0.0.2:7001");
  EXPECT_EQ(map->OwnerOf(16382)->Text(), "10.0.0.1:7002") << "the asked host";
  EXPECT_EQ(map->Owners().size(), 3u);
  EXPECT_EQ(map->nodes().size(), 4u);
  EXPECT_FALSE(map->HasSlots({"10.0.0.4", 7003}));
}

TEST(ClusterMapTest, WhatIsNoAnswerIsUnavailable) {
  for (const char* text : {"", "ERR", "a b c d e f g h i"}) {
    EXPECT_EQ(ClusterMap::Parse(text, kAsked).status().code(),
              absl::StatusCode::kUnavailable)
        << text;
  }
}

TEST(ClusterMapTest, ASlotWithoutAnOwnerIsSeen) {
  const auto map = ClusterMap::Parse(
      "6ec2 h:1@2 myself,master - 0 0 1 connected 0-16382\n", kAsked);
  EXPECT_FALSE(map->complete());
  EXPECT_EQ(map->OwnerOf(16383), nullptr);
  EXPECT_FALSE(ClusterMap().complete());
}

TEST(ClusterMapTest, AnOlderOwnerIsNotTakenBack) {
  const auto at = [](const char* owner, int epoch) {
    return *ClusterMap::Parse(absl::StrCat("1 ", owner, ":1@2 master - 0 0 ",
                                           epoch, " connected 0-16383\n"),
                              kAsked);
  };
  ClusterMap map = at("old", 4);
  map.Adopt(at("new", 7));
  EXPECT_EQ(map.OwnerOf(0)->host, "new");
  map.Adopt(at("old", 4));
  EXPECT_EQ(map.OwnerOf(0)->host, "new");
  map.Adopt(at("third", 7));
  EXPECT_EQ(map.OwnerOf(0)->host, "third");
  map.Adopt(ClusterMap());
  EXPECT_EQ(map.OwnerOf(0)->host, "third");
  // Unless that owner itself says so.
  map.Doubt(0);
  map.Adopt(at("old", 4));
  EXPECT_EQ(map.OwnerOf(0)->host, "old");
  EXPECT_EQ(map.OwnerOf(1)->host, "third");
}

TEST(ClusterMapTest, AddressesOfRedirections) {
  EXPECT_EQ(ParseNodeAddress("127.0.0.1:6381", kAsked)->Text(),
            "127.0.0.1:6381");
  EXPECT_EQ(ParseNodeAddress(":6381", kAsked)->Text(), "10.0.0.1:6381");
  EXPECT_EQ(ParseNodeAddress("?:6381", kAsked)->Text(), "10.0.0.1:6381");
  EXPECT_EQ(ParseNodeAddress("fe80::1:6381", kAsked)->Text(), "[fe80::1]:6381");
  EXPECT_FALSE(ParseNodeAddress("127.0.0.1", kAsked).ok());
}

}  // namespace
}  // namespace cairn::index
