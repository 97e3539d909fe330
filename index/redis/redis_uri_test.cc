#include "index/redis/redis_uri.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"

namespace cairn::index {
namespace {

TEST(RedisUriTest, HostPortAndDatabase) {
  const auto uri = ParseRedisUri("redis://me:p%40ss:w@redis.example:7000/3");
  ASSERT_TRUE(uri.ok()) << uri.status();
  EXPECT_EQ(uri->host, "redis.example");
  EXPECT_EQ(uri->port, 7000);
  EXPECT_EQ(uri->db, 3);
  EXPECT_EQ(uri->user, "me");
  EXPECT_EQ(uri->password, "p@ss:w");
  EXPECT_EQ(uri->Text(), "redis://redis.example:7000/3");
}

TEST(RedisUriTest, WhatIsLeftOutHasADefault) {
  const auto uri = ParseRedisUri("redis://:secret@localhost");
  ASSERT_TRUE(uri.ok()) << uri.status();
  EXPECT_EQ(uri->user, "");
  EXPECT_EQ(uri->password, "secret");
  EXPECT_EQ(uri->Text(), "redis://localhost:6379");
  EXPECT_EQ(ParseRedisUri("http://h:6380/")->Text(), "redis://h:6380");
  EXPECT_EQ(ParseRedisUri("redis://[::1]:7")->host, "::1");
  EXPECT_EQ(ParseRedisUri("redis://[::1]")->Text(), "redis://[::1]:6379");
}

TEST(RedisUriTest, UnixSockets) {
  const auto uri = ParseRedisUri("redis+unix://u:p@/run/redis.sock?db=2");
  ASSERT_TRUE(uri.ok()) << uri.status();
  EXPECT_EQ(uri->path, "/run/redis.sock");
  EXPECT_EQ(uri->password, "p");
  EXPECT_EQ(uri->Text(), "redis+unix:///run/redis.sock?db=2");
}

TEST(RedisUriTest, NodesOfACluster) {
  const auto uri = ParseRedisUri("redis+cluster://u:p@a:7000,[::1]:7001,b");
  ASSERT_TRUE(uri.ok()) << uri.status();
  EXPECT_EQ(uri->kind, RedisUri::Kind::kCluster);
  EXPECT_EQ(uri->Text(), "redis+cluster://a:7000,[::1]:7001,b:6379");
  const RedisUri node = uri->At({"c", 7002});
  EXPECT_EQ(node.kind, RedisUri::Kind::kServer);
  EXPECT_EQ(node.Text(), "redis://c:7002");
  EXPECT_EQ(node.user, "u");
  EXPECT_EQ(node.password, "p");
}

TEST(RedisUriTest, SentinelsAndTheNameOfTheMaster) {
  const auto uri = ParseRedisUri("redis+sentinel://:p@a:7000,b/cairn/2");
  ASSERT_TRUE(uri.ok()) << uri.status();
  EXPECT_EQ(uri->kind, RedisUri::Kind::kSentinel);
  EXPECT_EQ(uri->service, "cairn");
  EXPECT_EQ(uri->db, 2);
  EXPECT_EQ(uri->Text(), "redis+sentinel://a:7000,b:26379/cairn/2");
  EXPECT_EQ(uri->At({"c", 1}).Text(), "redis://c:1/2");
}

TEST(RedisUriTest, WhatIsMalformedIsRefusedWithoutThePassword) {
  for (const char* text : {"redis://",
                           "redis://u:secret@",
                           "redis://u:secret@h:0",
                           "redis://u:secret@h:x",
                           "redis://u:secret@h:1/x",
                           "redis://secret@h",
                           "redis://u:secret%4@h",
                           "redis+unix://u:secret@relative",
                           "redis+unix:///",
                           "redis+unix://u:secret@/p?db=-1",
                           "redis+tls://secret@h",
                           "redis+cluster://",
                           "redis+cluster://a:1,",
                           "redis+cluster://u:secret@a:1/1",
                           "redis+cluster://a:0",
                           "redis+sentinel://u:secret@a:1",
                           "redis+sentinel://a:1/",
                           "redis+sentinel://a:1/name/x",
                           "redis+sentinel:///name",
                           "redis+sentinel://a:1/name/1/2"}) {
    const auto uri = ParseRedisUri(text);
    EXPECT_EQ(uri.status().code(), absl::StatusCode::kInvalidArgument) << text;
    EXPECT_FALSE(absl::StrContains(uri.status().message(), "secret")) << text;
  }
}

}  // namespace
}  // namespace cairn::index
