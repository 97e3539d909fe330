// ClusterClient is a RedisClient for a Redis Cluster. It asks the nodes who has
// which slots, sends each command to the node that has its name, and follows
// names that move, by a failover or from node to node.

#ifndef CAIRN_INDEX_REDIS_CLUSTER_CLIENT_H_
#define CAIRN_INDEX_REDIS_CLUSTER_CLIENT_H_

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "index/redis/cluster_map.h"
#include "index/redis/cluster_node.h"
#include "index/redis/redis_client.h"
#include "index/redis/redis_connection.h"
#include "index/redis/redis_uri.h"

namespace cairn::index {

class ClusterClient final : public RedisClient {
 public:
  explicit ClusterClient(RedisUri uri) : RedisClient(std::move(uri)) {}

  absl::StatusOr<std::vector<RedisReply>> Run(
      absl::Span<const RedisCommand> commands, const RunOptions& options,
      bool* sent) override;
  absl::StatusOr<std::vector<std::vector<RedisReply>>> RunOnEach(
      absl::Span<const RedisCommand> commands, absl::Time deadline) override;
  std::string Alone() override;

 private:
  // The commands of one Run().
  struct Batch {
    absl::Span<const RedisCommand> commands;
    RunOptions options;
    std::vector<int> slots;               // Of each command.
    std::vector<RedisReply> replies;      // Of each command that is done.
    std::vector<size_t> pending;          // Places of the others, in order.
    std::map<size_t, RedisAddress> asks;  // Where one of them goes just once.
    bool executed = false;                // Some have been, or it is not known.
    bool pause = false;  // The same again at once would be no use.
    absl::Time deadline;
    absl::Status why;  // Some are pending.
  };
  // What of it goes to one node in one piece.
  struct Lane {
    ClusterNode* node = nullptr;
    bool asking = false;
    std::vector<size_t> places;
    ClusterNode::Connection connection;
    absl::Status failed;
  };

  // Sends all that is pending once, and leaves what has to be sent again. Not
  // OK: what became of some is unknown.
  absl::Status RunRound(Batch* batch);
  std::vector<Lane> Plan(Batch* batch);
  bool Send(Lane* lane, Batch* batch);
  void Receive(Lane* lane, Batch* batch);
  // Sorts out an answer: it is one, or the command stays pending.
  void Take(size_t place, RedisReply reply, const Lane& lane, Batch* batch);
  // The changes of the lane are to be on a replica too.
  absl::Status SettleChanges(const RedisReply& answer, Lane* lane,
                             const Batch& batch);
  // Whether other nodes agree that a node without a replica has this slot.
  absl::Status CheckStillOwner(ClusterNode* node, int slot);

  ClusterNode* NodeAt(const RedisAddress& address);
  absl::StatusOr<ClusterNode::Connection> Acquire(ClusterNode* node);
  bool Holds(const RedisAddress& node, absl::string_view name);
  // `node` says that another has the slot.
  void Doubt(int slot, const RedisAddress& node);
  // The map has to be asked for; first at `hint`, if there is one.
  void MarkStale(std::optional<RedisAddress> hint = std::nullopt);
  // Asks for it if it is stale. `not_from`: that node may be cut off.
  absl::Status Refresh(const RedisAddress* not_from = nullptr);
  std::vector<RedisAddress> Candidates(const RedisAddress* not_from);
  absl::StatusOr<ClusterMap> AskForMap(const RedisAddress& address);
  void Adopt(const ClusterMap& map);

  // One asks for the map at a time. Held across that.
  base::Mutex refresh_mu_;

  // Guards copies in memory; nothing slow.
  base::Mutex mu_;
  ClusterMap map_ ABSL_GUARDED_BY(mu_);
  bool stale_ ABSL_GUARDED_BY(mu_) = true;
  std::optional<RedisAddress> hint_ ABSL_GUARDED_BY(mu_);
  size_t asked_ ABSL_GUARDED_BY(mu_) = 0;  // How often: another one each time.
  // Each node that was ever used, for good.
  std::map<RedisAddress, std::unique_ptr<ClusterNode>> nodes_
      ABSL_GUARDED_BY(mu_);
  std::map<RedisAddress, absl::Time> still_owner_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_CLUSTER_CLIENT_H_
