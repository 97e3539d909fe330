#include "index/redis/server_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn::index {
namespace {

using testing::HasSubstr;

ServerFacts Good() {
  return {"7.0.15", "noeviction", "yes", "always", "0", "master"};
}

std::string Refusal(const ServerFacts& facts) {
  const auto risk = CheckServer(facts, "redis://h:1");
  EXPECT_EQ(risk.status().code(), absl::StatusCode::kFailedPrecondition);
  return std::string(risk.status().message());
}

TEST(ServerCheckTest, NothingIsLostWithASyncedLog) {
  EXPECT_EQ(*CheckServer(Good(), "redis://h:1"), "");
}

TEST(ServerCheckTest, VersionsFromSevenOnAreTaken) {
  ServerFacts facts = Good();
  for (const char* version : {"6.2.14", "5.0.3", "", "x"}) {
    facts.version = version;
    EXPECT_THAT(Refusal(facts), HasSubstr("needs 7.0 or later"));
  }
  for (const char* version : {"7.0.0", "7.2.4", "8.0", "10.1.0"}) {
    facts.version = version;
    EXPECT_TRUE(CheckServer(facts, "h").ok()) << version;
  }
}

TEST(ServerCheckTest, WhatTheServerDoesNotTellIsARisk) {
  ServerFacts facts = Good();
  facts.appendonly = "";
  facts.appendfsync = "";
  facts.maxmemory_policy = "";
  EXPECT_THAT(*CheckServer(facts, "h"), HasSubstr("does not tell"));
}

TEST(ServerCheckTest, EachWayToSyncHasItsSentence) {
  ServerFacts facts = Good();
  facts.appendfsync = "everysec";
  EXPECT_THAT(*CheckServer(facts, "h"), HasSubstr("everysec"));
  facts.appendfsync = "no";
  EXPECT_THAT(*CheckServer(facts, "h"), HasSubstr("half minute"));
  facts.appendonly = "no";
  EXPECT_THAT(*CheckServer(facts, "h"), HasSubstr("snapshot"));
}

}  // namespace
}  // namespace cairn::index
