// What happens to an index in a Redis Cluster when a master is lost, slots
// move, a node is emptied, or a replica that lacks changes takes over.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "index/redis/redis_cluster.h"
#include "index/redis/redis_index_store.h"
#include "index/redis/redis_load.h"
#include "index/redis/redis_server.h"

namespace cairn::index {
namespace {

using Code = absl::StatusCode;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr char kMeta[] = "cairn:{meta}";

class RedisClusterFaultTest : public testing::Test {
 protected:
  void Open() {
    store_.reset();
    auto store = OpenRedisIndexStore(cluster_.uri(), {});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void SetUp() override { Open(); }
  RedisServer& ReplicaOf(int master) {
    return cluster_.node(cluster_.ReplicaOf(master));
  }

  // Any replica may take over, however long it was away.
  RedisCluster cluster_{{"--cluster-replica-validity-factor", "0"}};
  std::unique_ptr<IndexStore> store_;
};

TEST_F(RedisClusterFaultTest, AFailoverUnderLoadCostsWaitingAndNothingElse) {
  RedisLoad load(store_.get());
  load.AwaitProgress();
  for (int round = 0; round < 2; ++round) {
    // That of some shards, and that of the facts too.
    const std::string name = round == 0 ? "cairn:{8a}:records" : kMeta;
    const int master = cluster_.MasterOf(name);
    cluster_.node(master).Kill();
    cluster_.WaitUntilReplaced(name, master);
    load.AwaitProgress();
    cluster_.node(master).Start();
    cluster_.WaitUntilWhole();
    load.AwaitProgress();
  }
  EXPECT_THAT(load.Stop(), IsEmpty());
}

TEST_F(RedisClusterFaultTest, AMasterThatHangsIsReplacedAndNotMissed) {
  RedisLoad load(store_.get());
  load.AwaitProgress();
  const std::string name = "cairn:{8a}:records";
  const int master = cluster_.MasterOf(name);
  cluster_.node(master).Signal(SIGSTOP);
  // It would not answer the question who is the master, either.
  const int witness = (master + 1) % RedisCluster::kNodes;
  const std::string still =
      absl::StrCat(":", cluster_.node(master).port(), "@",
                   cluster_.node(master).port() + kBusPortOffset, " master -");
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (
      absl::StrContains(cluster_.node(witness).Cli("CLUSTER NODES"), still)) {
    ASSERT_LT(absl::Now(), deadline) << "it is not given up";
    absl::SleepFor(absl::Milliseconds(50));
  }
  load.AwaitProgress();
  cluster_.node(master).Signal(SIGCONT);
  cluster_.WaitUntilWhole();
  load.AwaitProgress();
  EXPECT_THAT(load.Stop(), IsEmpty());
}

TEST_F(RedisClusterFaultTest, SlotsThatMoveUnderLoadCostNoFailure) {
  RedisLoad load(store_.get());
  load.AwaitProgress();
  const std::string names[] = {"cairn:{8a}:records", kMeta};
  for (const std::string& name : names) {
    const int from = cluster_.MasterOf(name);
    const int to = cluster_.MasterOf(name == kMeta ? names[0] : names[1]);
    ASSERT_NE(cluster_.IdOf(from), "");
    const std::string out = cluster_.node(0).Cli(absl::StrCat(
        "--cluster reshard 127.0.0.1:", cluster_.node(0).port(),
        " --cluster-from ", cluster_.IdOf(from), " --cluster-to ",
        cluster_.IdOf(from == to ? cluster_.MasterOf("cairn:{03}:records")
                                 : to),
        " --cluster-slots 1500 --cluster-yes 2>&1"));
    EXPECT_THAT(out, Not(HasSubstr("[ERR]")));
    load.AwaitProgress();
  }
  EXPECT_THAT(load.Stop(), IsEmpty());
  EXPECT_EQ(load.unavailable(), 0);
  std::string errors;
  for (int i = 0; i < RedisCluster::kNodes; ++i) {
    absl::StrAppend(&errors, cluster_.node(i).Cli("INFO errorstats"), "\n");
  }
  EXPECT_THAT(errors, HasSubstr("errorstat_MOVED:")) << "nothing moved";
  EXPECT_THAT(errors, AnyOf(HasSubstr("errorstat_ASK:"),
                            HasSubstr("errorstat_TRYAGAIN:")))
      << "nothing was on its way";
  RecordProperty("errors", errors);
}

TEST_F(RedisClusterFaultTest, AChangeThatNoReplicaTakesIsNotAcknowledged) {
  RedisLoad load(store_.get());
  load.AwaitProgress();
  EXPECT_THAT(load.Stop(), IsEmpty());
  RedisServer& replica = ReplicaOf(cluster_.MasterOf(RecordsNameOf("stuck")));
  replica.Signal(SIGSTOP);
  EXPECT_EQ(CommitPut(store_.get(), "stuck", 1).code(), Code::kUnavailable);
  // It was written, so that the same commit finds it; still no replica has it.
  EXPECT_EQ(CommitPut(store_.get(), "stuck", 1).code(), Code::kUnavailable);
  replica.Signal(SIGCONT);
  EXPECT_TRUE(CommitPut(store_.get(), "stuck", 1).ok());
  EXPECT_EQ(store_->risk(), "");
}

TEST_F(RedisClusterFaultTest, WithoutAReplicaItGoesOnAndSaysSo) {
  ASSERT_TRUE(CommitPut(store_.get(), "foo", 1).ok());
  EXPECT_EQ(store_->risk(), "");
  const int master = cluster_.MasterOf(RecordsNameOf("foo"));
  ReplicaOf(master).Kill();
  ASSERT_TRUE(CommitPut(store_.get(), "foo", 2).ok());
  EXPECT_THAT(store_->risk(),
              HasSubstr(absl::StrCat("no replica is connected to 127.0.0.1:",
                                     cluster_.node(master).port())));
}

TEST_F(RedisClusterFaultTest, AReplicaThatLackedChangesAndTookOverIsLost) {
  ASSERT_TRUE(CommitPut(store_.get(), "foo", 1).ok());
  ASSERT_TRUE(store_->SetMeta("mark", "1").ok());
  const std::string name = RecordsNameOf("foo");
  const int master = cluster_.MasterOf(name);
  RedisServer& replica = ReplicaOf(master);
  replica.Kill();
  ASSERT_TRUE(CommitPut(store_.get(), "foo", 2).ok());
  ASSERT_TRUE(store_->SetMeta("mark", "2").ok());
  cluster_.node(master).Kill();
  replica.Start();
  cluster_.WaitUntilReplaced(name, master);
  // Waits for the failover; what it brings is not what was there.
  absl::Status lookup;
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  do {
    lookup = LookupOf(store_.get(), "foo").status();
  } while (!lookup.ok() && absl::Now() < deadline &&
           !absl::StrContains(lookup.message(), "the index is lost"));
  EXPECT_EQ(lookup.code(), Code::kUnavailable) << lookup;
  EXPECT_EQ(LookupOf(store_.get(), "none").status().code(), Code::kUnavailable);
  store_.reset();
  const auto again = OpenRedisIndexStore(cluster_.uri(), {});
  EXPECT_EQ(again.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(again.status().message()),
              HasSubstr("came back with an older state"));
}

TEST_F(RedisClusterFaultTest, ANodeThatWasEmptiedIsLost) {
  ASSERT_TRUE(CommitPut(store_.get(), "foo", 1).ok());
  const std::string name = RecordsNameOf("foo");
  cluster_.node(cluster_.MasterOf(name)).Cli("FLUSHALL");
  const absl::Status lookup = LookupOf(store_.get(), "foo").status();
  EXPECT_EQ(lookup.code(), Code::kUnavailable);
  EXPECT_THAT(std::string(lookup.message()), HasSubstr("the index is lost"));
  EXPECT_EQ(CommitPut(store_.get(), "foo", 2).code(), Code::kUnavailable);
  store_.reset();
  EXPECT_THAT(
      std::string(OpenRedisIndexStore(cluster_.uri(), {}).status().message()),
      HasSubstr("empty all its nodes (FLUSHALL)"));
}

TEST_F(RedisClusterFaultTest, AnIndexThatWasBegunIsMadeToItsEnd) {
  store_.reset();
  cluster_.FlushAll();
  const auto cli = [this](absl::string_view name, absl::string_view words) {
    return cluster_.node(cluster_.MasterOf(name)).Cli(std::string(words));
  };
  cli(kMeta, "HSET 'cairn:{meta}' index 0123456789abcdef0123456789abcdef");
  cli("{8a}", "SET 'cairn:{8a}:index' 0123456789abcdef0123456789abcdef");
  Open();
  ASSERT_TRUE(CommitPut(store_.get(), "foo", 1).ok());
  EXPECT_EQ(cli("{00}", "GET 'cairn:{00}:index'"),
            "0123456789abcdef0123456789abcdef");
  store_.reset();
  Open();
  EXPECT_TRUE(LookupOf(store_.get(), "foo").ok());
}

TEST_F(RedisClusterFaultTest, OtherKeysAndOtherServersAreRefused) {
  store_.reset();
  cluster_.FlushAll();
  cluster_.node(cluster_.MasterOf("letter")).Cli("SET letter dear");
  const auto other = OpenRedisIndexStore(cluster_.uri(), {});
  EXPECT_EQ(other.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(other.status().message()),
              HasSubstr("1 keys of something else: give an empty Redis"));
  RedisServer server;
  const auto plain = OpenRedisIndexStore(
      absl::StrCat("redis+cluster://127.0.0.1:", server.port()), {});
  EXPECT_EQ(plain.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(plain.status().message()),
              HasSubstr("is no node of a Redis Cluster: give redis://"));
}

}  // namespace
}  // namespace cairn::index
