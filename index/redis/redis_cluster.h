// A real Redis Cluster for tests, on loopback.

#ifndef CAIRN_INDEX_REDIS_REDIS_CLUSTER_H_
#define CAIRN_INDEX_REDIS_REDIS_CLUSTER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "index/redis/redis_server.h"

namespace cairn::index {

// Three masters with a replica each. A master that does not answer is replaced
// within about 2 s. Not thread-safe.
class RedisCluster {
 public:
  static constexpr int kNodes = 6;

  // Starts the nodes, joins them, and waits until they serve; aborts the test
  // if they do not. `settings`: as RedisServer's, for each node.
  explicit RedisCluster(const std::vector<std::string>& settings = {});

  std::string uri() const;  // Names two of the nodes.
  RedisServer& node(int i) { return *nodes_[i]; }

  // Nodes as the others see them now. -1: there is none.
  int MasterOf(absl::string_view name) const;
  int ReplicaOf(int master) const;
  std::string IdOf(int i) const;

  // Waits until all slots have a master and each master has its replica, in
  // step. REQUIRES: all nodes run.
  void WaitUntilWhole() const;
  // Waits until another node than `old` is the master of `name`.
  void WaitUntilReplaced(absl::string_view name, int old) const;
  // Empties it.
  void FlushAll();

 private:
  // What a node that runs, `but` not, answers to CLUSTER NODES.
  std::vector<std::string> Lines(int but = -1) const;
  int NodeWithPort(absl::string_view line) const;

  std::vector<std::unique_ptr<RedisServer>> nodes_;
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_REDIS_CLUSTER_H_
