#include "index/redis/redis_cluster.h"

#include <cstdio>
#include <cstdlib>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "index/redis/cluster_map.h"

namespace cairn::index {
namespace {

void MustCome(absl::string_view what, const std::function<bool()>& here) {
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (!here()) {
    if (absl::Now() > deadline) {
      std::fprintf(stderr, "redis cluster: %s\n", std::string(what).c_str());
      std::abort();
    }
    absl::SleepFor(absl::Milliseconds(50));
  }
}

}  // namespace

RedisCluster::RedisCluster(const std::vector<std::string>& settings) {
  std::string create = "--cluster create";
  for (int i = 0; i < kNodes; ++i) {
    std::vector<std::string> all = {"--cluster-enabled", "yes",
                                    "--cluster-node-timeout", "1000"};
    all.insert(all.end(), settings.begin(), settings.end());
    nodes_.push_back(std::make_unique<RedisServer>(all));
    absl::StrAppend(&create, " 127.0.0.1:", nodes_.back()->port());
  }
  const std::string out = nodes_[0]->Cli(
      absl::StrCat(create, " --cluster-replicas 1 --cluster-yes 2>&1"));
  if (!absl::StrContains(out, "All 16384 slots covered")) {
    std::fprintf(stderr, "%s\n", out.c_str());
    std::abort();
  }
  WaitUntilWhole();
}

std::string RedisCluster::uri() const {
  return absl::StrCat("redis+cluster://127.0.0.1:", nodes_[0]->port(),
                      ",127.0.0.1:", nodes_[4]->port());
}

std::vector<std::string> RedisCluster::Lines(int but) const {
  for (int i = 0; i < kNodes; ++i) {
    if (i == but || !nodes_[i]->running()) continue;
    return absl::StrSplit(nodes_[i]->Cli("CLUSTER NODES"), '\n',
                          absl::SkipEmpty());
  }
  return {};
}

int RedisCluster::NodeWithPort(absl::string_view line) const {
  for (int i = 0; i < kNodes; ++i) {
    if (absl::StrContains(line, absl::StrCat(":", nodes_[i]->port(), "@"))) {
      return i;
    }
  }
  return -1;
}

int RedisCluster::MasterOf(absl::string_view name) const {
  const int slot = SlotOf(name);
  for (const std::string& line : Lines()) {
    const auto alone =
        ClusterMap::Parse(absl::StrCat(line, "\n"), {"127.0.0.1", 1});
    if (alone.ok() && alone->OwnerOf(slot) != nullptr) {
      return NodeWithPort(line);
    }
  }
  return -1;
}

std::string RedisCluster::IdOf(int i) const {
  for (const std::string& line : Lines()) {
    if (NodeWithPort(line) == i) return line.substr(0, line.find(' '));
  }
  return "";
}

int RedisCluster::ReplicaOf(int master) const {
  const std::string id = IdOf(master);
  for (const std::string& line : Lines(master)) {
    const std::vector<std::string> words = absl::StrSplit(line, ' ');
    if (words.size() > 3 && words[3] == id) return NodeWithPort(line);
  }
  return -1;
}

void RedisCluster::WaitUntilWhole() const {
  MustCome("the nodes do not come together", [this] {
    int replicas = 0;
    for (const auto& node : nodes_) {
      if (!absl::StrContains(node->Cli("CLUSTER INFO"), "cluster_state:ok")) {
        return false;
      }
      if (absl::StrContains(node->Cli("INFO replication"), "state=online")) {
        ++replicas;
      }
    }
    return replicas == kNodes / 2;
  });
}

void RedisCluster::WaitUntilReplaced(absl::string_view name, int old) const {
  MustCome("no replica takes over", [&] {
    const int now = MasterOf(name);
    return now >= 0 && now != old && nodes_[now]->running();
  });
}

void RedisCluster::FlushAll() {
  // Replicas refuse it.
  for (const auto& node : nodes_) node->Cli("FLUSHALL 2>&1");
}

}  // namespace cairn::index
