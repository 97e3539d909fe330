// What a Redis must be before an index is kept in it, and what happens when it
// goes away, comes back, comes back as another, or is full.

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/limits.h"
#include "index/redis/redis_index_store.h"
#include "index/redis/redis_server.h"

namespace cairn::index {
namespace {

namespace fs = std::filesystem;
using Code = absl::StatusCode;
using testing::HasSubstr;
using Store = std::unique_ptr<IndexStore>;

constexpr int64_t kNow = 1'700'000'000'000;

Mutation PutAt(const std::string& key, int64_t time_ms,
               const std::string& value = "") {
  Mutation mutation;
  mutation.key = key;
  mutation.record.mutable_version()->set_time_ms(kNow + time_ms);
  mutation.record.set_size_bytes(value.empty() ? 1 << 20 : value.size());
  mutation.record.add_replicas()->set_volume_id(1);
  mutation.inline_value = value;
  return mutation;
}

Mutation DeleteAt(const std::string& key, int64_t time_ms) {
  Mutation mutation;
  mutation.kind = Mutation::Kind::kDelete;
  mutation.key = key;
  mutation.record.mutable_version()->set_time_ms(kNow + time_ms);
  return mutation;
}

absl::Status Commit(IndexStore* store, const Mutation& mutation) {
  const auto results = store->Commit({mutation}, kNow);
  return results.ok() ? (*results)[0].status : results.status();
}

absl::Status Lookup(IndexStore* store, const std::string& key) {
  const std::vector<std::string> keys = {key};
  const auto found = store->Lookup(keys, /*with_values=*/true);
  return found.ok() ? (*found)[0].status() : found.status();
}

Store MustOpen(const std::string& uri, const OpenOptions& options = {}) {
  auto store = OpenRedisIndexStore(uri, options);
  if (!store.ok()) {
    ADD_FAILURE() << store.status();
    std::abort();
  }
  return *std::move(store);
}

// Its refusal to open, which must be one of "set that".
std::string Refusal(const std::string& uri) {
  const auto store = OpenRedisIndexStore(uri, {});
  EXPECT_EQ(store.status().code(), Code::kFailedPrecondition) << store.status();
  EXPECT_FALSE(absl::StrContains(store.status().message(), "secret"));
  return std::string(store.status().message());
}

// --- At the start ----------------------------------------------------------

TEST(RedisStartTest, AWrongPasswordAndNoneAreTold) {
  RedisServer server({"--requirepass", "right"});
  const std::string at = absl::StrCat("@127.0.0.1:", server.port());
  EXPECT_THAT(Refusal("redis://:secret" + at),
              HasSubstr("does not take this user and password"));
  EXPECT_THAT(Refusal("redis://nobody:secret" + at),
              HasSubstr("does not take this user and password"));
  EXPECT_THAT(Refusal(server.tcp_uri()), HasSubstr("wants a password"));
  EXPECT_EQ(MustOpen("redis://:right" + at)->uri(), server.tcp_uri());
  MustOpen("redis://default:right" + at);
}

TEST(RedisStartTest, ADatabaseThatIsNotThereIsTold) {
  RedisServer server;
  EXPECT_THAT(Refusal(server.tcp_uri() + "/16"),
              HasSubstr("has no database 16"));
  MustOpen(server.tcp_uri() + "/15");
}

TEST(RedisStartTest, APolicyThatForgetsKeysIsRefusedSayingWhatToSet) {
  RedisServer server({"--maxmemory-policy", "allkeys-lru"});
  EXPECT_THAT(Refusal(server.tcp_uri()),
              HasSubstr("set maxmemory-policy to noeviction"));
  server.Cli("CONFIG SET maxmemory-policy noeviction");
  MustOpen(server.tcp_uri());
}

TEST(RedisStartTest, AReplicaAndANodeOfAClusterAreRefused) {
  RedisServer server;
  const RedisServer replica(
      {"--replicaof", absl::StrCat("127.0.0.1 ", server.port())});
  EXPECT_THAT(Refusal(replica.tcp_uri()), HasSubstr("give its master"));
  const RedisServer node({"--cluster-enabled", "yes"});
  EXPECT_THAT(Refusal(node.tcp_uri()), HasSubstr("Redis Cluster"));
}

TEST(RedisStartTest, ADatabaseWithOtherKeysIsLeftAlone) {
  RedisServer server;
  server.Cli("SET letter dear");
  EXPECT_THAT(Refusal(server.tcp_uri()), HasSubstr("1 keys of something else"));
  EXPECT_EQ(server.Cli("DBSIZE"), "1");
  MustOpen(server.tcp_uri() + "/1");
}

TEST(RedisStartTest, AnIndexOfAnotherFormatIsRefused) {
  RedisServer server;
  MustOpen(server.tcp_uri());
  server.Cli("HSET 'cairn:{meta}' format 2");
  EXPECT_THAT(Refusal(server.tcp_uri()), HasSubstr("has format 2"));
}

TEST(RedisStartTest, WhatAnAcknowledgedWriteMayLoseIsTold) {
  RedisServer server;
  EXPECT_EQ(MustOpen(server.tcp_uri())->risk(), "");
  server.Cli("CONFIG SET appendfsync everysec");
  EXPECT_THAT(MustOpen(server.tcp_uri())->risk(), HasSubstr("second"));
  server.Cli("CONFIG SET appendonly no");
  EXPECT_THAT(MustOpen(server.tcp_uri())->risk(), HasSubstr("snapshot"));
}

TEST(RedisStartTest, NobodyAtTheAddressIsUnavailable) {
  const auto store =
      OpenRedisIndexStore("redis+unix:///tmp/no-such-socket", {});
  EXPECT_EQ(store.status().code(), Code::kUnavailable);
  EXPECT_THAT(std::string(store.status().message()),
              HasSubstr("no Redis answers at redis+unix:///tmp/no-such"));
}

// Answers whatever comes as a web server would.
TEST(RedisStartTest, AServerThatIsNoRedisIsTold) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size),
            0);
  ASSERT_EQ(listen(listener, 8), 0);
  std::thread web([&] {
    const int client = accept(listener, nullptr, nullptr);
    const absl::string_view answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
    EXPECT_GT(write(client, answer.data(), answer.size()), 0);
    char byte = 0;
    while (read(client, &byte, 1) > 0) {
    }
    close(client);
  });
  EXPECT_THAT(
      Refusal(absl::StrCat("redis://127.0.0.1:", ntohs(address.sin_port))),
      HasSubstr("is it a Redis?"));
  web.join();
  close(listener);
}

TEST(RedisStartTest, OneThatLoadsItsDataIsWaitedForAndThenTold) {
  RedisServer server({"--enable-debug-command", "yes", "--appendonly", "no"});
  server.Cli("DEBUG POPULATE 20000");
  server.Cli("SAVE");
  server.Kill();
  server.settings().insert(server.settings().end(),
                           {"--key-load-delay", "500",
                            "--loading-process-events-interval-bytes", "1024"});
  server.Start();
  const auto store = OpenRedisIndexStore(server.tcp_uri(), {});
  EXPECT_EQ(store.status().code(), Code::kUnavailable) << store.status();
  EXPECT_THAT(std::string(store.status().message()),
              HasSubstr("still loading"));
}

TEST(RedisStartTest, AnotherMasterIsToldAndTheSameOneComesBackAtOnce) {
  RedisServer server;
  OpenOptions mine;
  mine.owner = "first";
  Store store = MustOpen(server.tcp_uri(), mine);
  const absl::Time start = absl::Now();
  // Killed and started again: the same data directory, hence the same owner.
  Store again = MustOpen(server.tcp_uri(), mine);
  EXPECT_LT(absl::Now() - start, absl::Seconds(2));
  OpenOptions other;
  other.owner = "second";
  const auto refused = OpenRedisIndexStore(server.tcp_uri(), other);
  EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("in use by another master (first)"));
  // A clean end leaves no term to wait for.
  store.reset();
  again.reset();
  const absl::Time free = absl::Now();
  MustOpen(server.tcp_uri(), other);
  EXPECT_LT(absl::Now() - free, absl::Seconds(2));
}

TEST(RedisStartTest, WithoutTheRightToRewriteItsLogItIsTakenAsItIs) {
  RedisServer server;
  server.Cli("ACL SETUSER cairn on '>pw' '~*' +@all -bgrewriteaof");
  const Store store =
      MustOpen(absl::StrCat("redis://cairn:pw@127.0.0.1:", server.port()));
  EXPECT_TRUE(Commit(store.get(), PutAt("foo", 1)).ok());
}

// --- While it runs ---------------------------------------------------------

class RedisFaultTest : public testing::Test {
 protected:
  void Restart() {
    server_.Kill();
    server_.Start();
  }

  // Cuts the log two letters into the last `word`.
  void TearLogIn(const std::string& word) {
    int torn = 0;
    for (const auto& entry :
         fs::directory_iterator(server_.directory() + "/appendonlydir")) {
      if (!absl::EndsWith(entry.path().string(), ".incr.aof")) continue;
      std::ifstream in(entry.path());
      const std::string log((std::istreambuf_iterator<char>(in)), {});
      const size_t place = log.rfind(word);
      if (place == std::string::npos) continue;
      fs::resize_file(entry.path(), place + 2);
      ++torn;
    }
    EXPECT_EQ(torn, 1);
  }

  RedisServer server_;
  Store store_ = MustOpen(server_.unix_uri());
};

TEST_F(RedisFaultTest, CallsWaitForARedisThatIsStartedAgain) {
  ASSERT_TRUE(Commit(store_.get(), PutAt("foo", 1, "value")).ok());
  server_.Kill();
  server_.StartIn(absl::Seconds(1));
  EXPECT_TRUE(Lookup(store_.get(), "foo").ok());
  server_.Kill();
  server_.StartIn(absl::Seconds(1));
  EXPECT_TRUE(Commit(store_.get(), PutAt("foo", 2)).ok());
  server_.Kill();
  server_.StartIn(absl::Seconds(1));
  EXPECT_TRUE(store_->SetMeta("mark", "1").ok());
  Restart();
  EXPECT_EQ(store_->Scan({})->keys.size(), 1u);
  EXPECT_EQ(store_->Stats().keys_count, 1);
}

TEST_F(RedisFaultTest, ARedisThatStaysAwayIsUnavailableAndNeverNotFound) {
  ASSERT_TRUE(Commit(store_.get(), PutAt("foo", 1)).ok());
  server_.Kill();
  const absl::Time start = absl::Now();
  EXPECT_EQ(Lookup(store_.get(), "foo").code(), Code::kUnavailable);
  EXPECT_GE(absl::Now() - start, base::kIndexWait / 2);
  EXPECT_LE(absl::Now() - start, 2 * base::kIndexWait);
  // Those that come later do not wait as long once more.
  const absl::Time later = absl::Now();
  EXPECT_EQ(Lookup(store_.get(), "none").code(), Code::kUnavailable);
  EXPECT_EQ(Commit(store_.get(), PutAt("foo", 2)).code(), Code::kUnavailable);
  EXPECT_EQ(store_->Scan({}).status().code(), Code::kUnavailable);
  EXPECT_EQ(store_->Stats().keys_count, 0) << "never asked for before";
  EXPECT_LE(absl::Now() - later, base::kIndexWait / 2);
  server_.Start();
  // With back-off: at most a second later.
  const absl::Time deadline = absl::Now() + absl::Seconds(5);
  while (!Lookup(store_.get(), "foo").ok() && absl::Now() < deadline) {
    absl::SleepFor(absl::Milliseconds(10));
  }
  EXPECT_TRUE(Lookup(store_.get(), "foo").ok());
  EXPECT_EQ(Lookup(store_.get(), "none").code(), Code::kNotFound);
}

TEST_F(RedisFaultTest, AcknowledgedCommitsSurviveKillsUnderLoad) {
  std::atomic<bool> stop{false};
  std::vector<std::map<std::string, int64_t>> acknowledged(3);
  std::vector<std::thread> writers;
  for (int t = 0; t < 3; ++t) {
    writers.emplace_back([&, t] {
      for (int64_t time = 1; !stop; ++time) {
        std::vector<Mutation> group;
        for (int i = 0; i < 16; ++i) {
          group.push_back(
              PutAt(absl::StrCat(t, "/", (time * 7 + i) % 100), time, "value"));
        }
        const auto results = store_->Commit(group, kNow);
        for (int i = 0; i < 16 && results.ok(); ++i) {
          EXPECT_TRUE((*results)[i].status.ok()) << (*results)[i].status;
          acknowledged[t][group[i].key] = time;
        }
      }
    });
  }
  for (int round = 0; round < 5; ++round) {
    absl::SleepFor(absl::Milliseconds(300));
    Restart();
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
  Restart();
  for (const auto& mine : acknowledged) {
    EXPECT_GE(mine.size(), 16u);  // One group, however slow the machine is.
    for (const auto& [key, time] : mine) {
      const std::vector<std::string> keys = {key};
      const auto found = store_->Lookup(keys, true);
      ASSERT_TRUE(found.ok() && (*found)[0].ok()) << key;
      EXPECT_GE((*found)[0]->record.version().time_ms(), kNow + time);
      EXPECT_EQ((*found)[0]->value, "value");
    }
  }
}

// Killed while it wrote a transaction to its log, Redis starts with the first
// half of it at the log's end, and goes on writing behind that.
TEST_F(RedisFaultTest, WhatFollowsATornTransactionIsNotLost) {
  ASSERT_TRUE(Commit(store_.get(), PutAt("foo", 1, "bar")).ok());
  ASSERT_TRUE(Commit(store_.get(), PutAt("foo", 2, "baz")).ok());
  server_.Kill();
  TearLogIn("HSET");
  server_.Start();
  // One change alone is no transaction, and two are one.
  ASSERT_TRUE(Commit(store_.get(), PutAt("one", 3)).ok());
  Restart();
  EXPECT_TRUE(Lookup(store_.get(), "one").ok());
  ASSERT_TRUE(Commit(store_.get(), PutAt("two", 4, "value")).ok());
  Restart();
  EXPECT_TRUE(Lookup(store_.get(), "one").ok());
  EXPECT_TRUE(Lookup(store_.get(), "two").ok());
  const std::vector<std::string> keys = {"foo"};
  const auto foo = store_->Lookup(keys, /*with_values=*/true);
  ASSERT_TRUE(foo.ok() && (*foo)[0].ok());
  EXPECT_EQ((*foo)[0]->value, "bar");
}

// Who reads does not wait for it.
TEST_F(RedisFaultTest, ChangesWaitForALogThatCannotBeWrittenAnew) {
  ASSERT_TRUE(Commit(store_.get(), PutAt("foo", 1)).ok());
  server_.Kill();
  // Where it would put what it has written.
  std::vector<std::string> taken;
  for (int i = 1; i < 10; ++i) {
    taken.push_back(absl::StrCat(
        server_.directory(), "/appendonlydir/appendonly.aof.", i, ".base.rdb"));
    if (fs::exists(taken.back())) {
      taken.pop_back();
    } else {
      fs::create_directory(taken.back());
    }
  }
  server_.Start();
  EXPECT_TRUE(Lookup(store_.get(), "foo").ok());
  const auto results = store_->Commit({PutAt("foo", 2)}, kNow);
  EXPECT_EQ(results.status().code(), Code::kUnavailable);
  EXPECT_THAT(std::string(results.status().message()),
              HasSubstr("cannot write its log anew"));
  EXPECT_TRUE(Lookup(store_.get(), "foo").ok());
  for (const std::string& path : taken) fs::remove(path);
  EXPECT_TRUE(Commit(store_.get(), PutAt("foo", 2)).ok());
}

TEST_F(RedisFaultTest, OneScriptTakes64KeysAndNoMore) {
  const auto scripts_for = [this](int64_t time, int keys) {
    server_.Cli("CONFIG RESETSTAT");
    std::vector<Mutation> group;
    for (int i = 0; i < keys; ++i) {
      group.push_back(PutAt(absl::StrCat("k", i), time));
    }
    const auto results = store_->Commit(group, kNow);
    for (int i = 0; i < keys; ++i) {
      EXPECT_TRUE(results.ok() && (*results)[i].status.ok()) << i;
    }
    return server_.Cli("INFO commandstats | grep -o 'evalsha:calls=[0-9]*'");
  };
  EXPECT_TRUE(Commit(store_.get(), PutAt("warm", 1)).ok());
  EXPECT_EQ(scripts_for(1, 64), "evalsha:calls=1");
  EXPECT_EQ(scripts_for(2, 65), "evalsha:calls=2");
  EXPECT_EQ(scripts_for(3, 129), "evalsha:calls=3");
}

// The script was on its way while the version grew too old.
TEST_F(RedisFaultTest, ACommitThatWasStuckForTooLongChangesNothing) {
  const int64_t age = absl::ToInt64Milliseconds(base::kVersionAgeMax);
  ASSERT_TRUE(Commit(store_.get(), PutAt("warm", 1)).ok());
  std::thread thaw([this] {
    absl::SleepFor(absl::Seconds(3));
    server_.Signal(SIGCONT);
  });
  server_.Signal(SIGSTOP);
  EXPECT_EQ(Commit(store_.get(), PutAt("foo", 500 - age)).code(),
            Code::kOutOfRange);
  thaw.join();
  EXPECT_EQ(Lookup(store_.get(), "foo").code(), Code::kNotFound);
}

TEST_F(RedisFaultTest, AnEmptiedRedisIsLostAndNothingIsNotFound) {
  ASSERT_TRUE(Commit(store_.get(), PutAt("foo", 1)).ok());
  server_.Cli("FLUSHALL");
  const absl::Status lookup = Lookup(store_.get(), "foo");
  EXPECT_EQ(lookup.code(), Code::kUnavailable);
  EXPECT_THAT(std::string(lookup.message()), HasSubstr("the index is lost"));
  EXPECT_EQ(store_->Scan({}).status().code(), Code::kUnavailable);
  EXPECT_EQ(Commit(store_.get(), PutAt("foo", 2)).code(), Code::kUnavailable);
  EXPECT_FALSE(store_->SetMeta("mark", "1").ok());
  EXPECT_EQ(server_.Cli("DBSIZE"), "0");
}

TEST_F(RedisFaultTest, ACommitDoesNotGoIntoAnEmptiedRedis) {
  ASSERT_TRUE(Commit(store_.get(), PutAt("foo", 1)).ok());
  server_.Cli("FLUSHALL");
  EXPECT_EQ(Commit(store_.get(), PutAt("foo", 2)).code(), Code::kUnavailable);
  EXPECT_EQ(server_.Cli("EXISTS 'cairn:{8a}:records'"), "0");
}

TEST_F(RedisFaultTest, AnotherIndexInItsPlaceIsLost) {
  ASSERT_TRUE(Commit(store_.get(), PutAt("foo", 1)).ok());
  server_.Cli("FLUSHALL");
  Store other = MustOpen(server_.tcp_uri());
  EXPECT_EQ(Lookup(store_.get(), "foo").code(), Code::kUnavailable);
  EXPECT_EQ(Lookup(other.get(), "foo").code(), Code::kNotFound);
}

TEST_F(RedisFaultTest, ARedisThatComesBackWithAnOlderStateIsLost) {
  ASSERT_TRUE(Commit(store_.get(), PutAt("foo", 1)).ok());
  ASSERT_TRUE(store_->SetMeta("mark", "1").ok());
  const std::string saved = server_.directory() + "-saved";
  fs::copy(server_.directory() + "/appendonlydir", saved,
           fs::copy_options::recursive);
  ASSERT_TRUE(Commit(store_.get(), PutAt("bar", 2)).ok());
  ASSERT_TRUE(store_->SetMeta("mark", "2").ok());
  server_.Kill();
  fs::remove_all(server_.directory() + "/appendonlydir");
  fs::rename(saved, server_.directory() + "/appendonlydir");
  server_.Start();
  const absl::Status lookup = Lookup(store_.get(), "bar");
  EXPECT_EQ(lookup.code(), Code::kUnavailable);
  EXPECT_THAT(std::string(lookup.message()), HasSubstr("older state (mark"));
  EXPECT_EQ(Lookup(store_.get(), "bar").code(), Code::kUnavailable);
}

TEST(RedisFullTest, AtMaxmemoryPutsAreRefusedAndTheRestGoesOn) {
  RedisServer server({"--maxmemory", "12mb"});
  OpenOptions options;
  options.free_bytes_min = 0;  // Redis itself says when.
  const Store store = MustOpen(server.unix_uri(), options);
  const std::string value(32 << 10, 'x');
  absl::Status put;
  int count = 0;
  while (put.ok() && count < 1000) {
    put = Commit(store.get(), PutAt(absl::StrCat("k", count++), 1, value));
  }
  EXPECT_EQ(put.code(), Code::kResourceExhausted) << put;
  // Firmly beyond it: used memory goes up and down a little by itself.
  server.Cli("CONFIG SET maxmemory 6mb");
  EXPECT_TRUE(Lookup(store.get(), "k0").ok());
  EXPECT_TRUE(store->SetMeta("mark", "1").ok());
  EXPECT_EQ(*store->NextNumber("writer_id"), 1);
  Removal disowned;
  disowned.volume_id = 1;
  disowned.blob.set_key("k0");
  EXPECT_TRUE(store->AddRemovals({disowned}).ok());
  // A put and a delete in one group: the delete goes on.
  const auto both = store->Commit(
      {PutAt("k0", 2, value), DeleteAt("k0", 3), DeleteAt("k1", 3)}, kNow);
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ((*both)[0].status.code(), Code::kResourceExhausted);
  EXPECT_TRUE((*both)[1].status.ok()) << (*both)[1].status;
  EXPECT_TRUE((*both)[2].status.ok()) << (*both)[2].status;
  for (int i = 2; i < 10; ++i) {
    EXPECT_TRUE(Commit(store.get(), DeleteAt(absl::StrCat("k", i), 3)).ok());
  }
  server.Cli("CONFIG SET maxmemory 24mb");
  // Buffers of Redis' own count too until it has given them back.
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  do {
    put = Commit(store.get(), PutAt("new", 4, value));
  } while (absl::IsResourceExhausted(put) && absl::Now() < deadline);
  EXPECT_TRUE(put.ok()) << put;
}

TEST(RedisFullTest, TheWatermarkIsBelowMaxmemory) {
  RedisServer server({"--maxmemory", "60mb"});
  const Store store = MustOpen(server.unix_uri());
  EXPECT_TRUE(store->Stats().full) << "64 MiB are to stay free";
  EXPECT_EQ(Commit(store.get(), PutAt("foo", 1)).code(),
            Code::kResourceExhausted);
}

}  // namespace
}  // namespace cairn::index
