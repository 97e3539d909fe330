// An index in a Redis whose master three Sentinels watch and replace.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "index/redis/redis_index_store.h"
#include "index/redis/redis_load.h"
#include "index/redis/redis_server.h"

namespace cairn::index {
namespace {

using Code = absl::StatusCode;
using testing::HasSubstr;
using testing::IsEmpty;

// Watches one master under the name "cairn". Its directory goes with it.
class Sentinel {
 public:
  explicit Sentinel(int master_port)
      : port_(FreeRedisPort()), directory_(MakeRedisDirectory()) {
    std::ofstream(directory_ + "/sentinel.conf")
        << "port " << port_ << "\nbind 127.0.0.1\ndir " << directory_
        << "\nlogfile " << directory_ << "/log\n"
        << "sentinel monitor cairn 127.0.0.1 " << master_port << " 2\n"
        << "sentinel down-after-milliseconds cairn 1000\n"
        << "sentinel failover-timeout cairn 4000\n";
    pid_ = StartProcess(
        {"redis-server", directory_ + "/sentinel.conf", "--sentinel"},
        absl::ZeroDuration());
  }
  ~Sentinel() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  Sentinel(const Sentinel&) = delete;
  Sentinel& operator=(const Sentinel&) = delete;
  int port() const { return port_; }

 private:
  const int port_;
  const std::string directory_;
  pid_t pid_ = -1;
};

class RedisSentinelTest : public testing::Test {
 protected:
  RedisSentinelTest() {
    AwaitReplica(first_);
    for (int i = 0; i < 3; ++i) {
      sentinels_.push_back(std::make_unique<Sentinel>(first_.port()));
    }
    // They find the replica and each other by themselves.
    for (const auto& sentinel : sentinels_) {
      Await([&] {
        const std::string known = first_.Cli(absl::StrCat(
            "-p ", sentinel->port(), " SENTINEL MASTER cairn 2>&1"));
        return absl::StrContains(known, "num-slaves\n1") &&
               absl::StrContains(known, "num-other-sentinels\n2");
      });
    }
  }

  static void Await(const std::function<bool()>& here) {
    const absl::Time deadline = absl::Now() + absl::Seconds(60);
    while (!here()) {
      if (absl::Now() > deadline) {
        ADD_FAILURE() << "it does not come";
        std::abort();
      }
      absl::SleepFor(absl::Milliseconds(50));
    }
  }
  static void AwaitReplica(const RedisServer& master) {
    Await([&] {
      return absl::StrContains(master.Cli("INFO replication"), "state=online");
    });
  }

  std::string Uri(absl::string_view name = "cairn") const {
    return absl::StrCat("redis+sentinel://127.0.0.1:", sentinels_[0]->port(),
                        ",127.0.0.1:", sentinels_[1]->port(),
                        ",127.0.0.1:", sentinels_[2]->port(), "/", name);
  }
  std::unique_ptr<IndexStore> Open() const {
    auto store = OpenRedisIndexStore(Uri(), {});
    if (!store.ok()) {
      ADD_FAILURE() << store.status();
      std::abort();
    }
    return *std::move(store);
  }

  RedisServer first_;
  RedisServer second_{
      {"--replicaof", absl::StrCat("127.0.0.1 ", first_.port())}};
  std::vector<std::unique_ptr<Sentinel>> sentinels_;
};

TEST_F(RedisSentinelTest, AFailoverUnderLoadCostsWaitingAndNothingElse) {
  const auto store = Open();
  RedisLoad load(store.get());
  load.AwaitProgress();
  RedisServer* master = &first_;
  RedisServer* replica = &second_;
  for (int round = 0; round < 2; ++round) {
    master->Kill();
    load.AwaitProgress();
    EXPECT_THAT(replica->Cli("ROLE"), HasSubstr("master"));
    master->Start();
    AwaitReplica(*replica);
    std::swap(master, replica);
    load.AwaitProgress();
  }
  EXPECT_THAT(load.Stop(), IsEmpty());
  EXPECT_EQ(store->uri(), Uri());
}

TEST_F(RedisSentinelTest, AMasterThatHangsIsReplacedAndNotMissed) {
  const auto store = Open();
  RedisLoad load(store.get());
  load.AwaitProgress();
  first_.Signal(SIGSTOP);
  load.AwaitProgress();
  EXPECT_THAT(second_.Cli("ROLE"), HasSubstr("master"));
  first_.Signal(SIGCONT);
  AwaitReplica(second_);
  load.AwaitProgress();
  EXPECT_THAT(load.Stop(), IsEmpty());
}

TEST_F(RedisSentinelTest, ChangesWaitForTheReplicaIfThereIsOne) {
  const auto store = Open();
  ASSERT_TRUE(CommitPut(store.get(), "foo", 1).ok());
  second_.Signal(SIGSTOP);
  EXPECT_EQ(CommitPut(store.get(), "foo", 2).code(), Code::kUnavailable);
  second_.Signal(SIGCONT);
  EXPECT_TRUE(CommitPut(store.get(), "foo", 2).ok());
  EXPECT_EQ(store->risk(), "");
  second_.Kill();
  EXPECT_TRUE(CommitPut(store.get(), "foo", 3).ok());
  EXPECT_THAT(store->risk(), HasSubstr("no replica is connected to 127.0.0.1"));
  EXPECT_EQ(*LookupOf(store.get(), "foo"), 3);
}

TEST_F(RedisSentinelTest, WhatIsWrongWithTheAddressIsTold) {
  const auto refusal = [](const std::string& uri) {
    return OpenRedisIndexStore(uri, {}).status();
  };
  const absl::Status name = refusal(Uri("other"));
  EXPECT_EQ(name.code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(name.message()),
              HasSubstr("knows no master \"other\""));
  const absl::Status plain = refusal(
      absl::StrCat("redis+sentinel://127.0.0.1:", first_.port(), "/cairn"));
  EXPECT_EQ(plain.code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(plain.message()), HasSubstr("is no Sentinel"));
  EXPECT_EQ(refusal("redis+sentinel://127.0.0.1:1/cairn").code(),
            Code::kUnavailable);
}

}  // namespace
}  // namespace cairn::index
