// ClusterMap knows which node of a Redis Cluster has which slots. Pure: no I/O.

#ifndef CAIRN_INDEX_REDIS_CLUSTER_MAP_H_
#define CAIRN_INDEX_REDIS_CLUSTER_MAP_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/redis/redis_uri.h"

namespace cairn::index {

// Redis' own number.
inline constexpr int kSlots = 16384;

// The slot of a name: CRC16 of what is between its first { and the next }, or,
// if that is nothing, of all of it.
int SlotOf(absl::string_view name);

// "host:port" as MOVED and ASK have it; the last colon parts the two. No host:
// it is `asked`'s. kUnavailable: it is none.
absl::StatusOr<RedisAddress> ParseNodeAddress(absl::string_view text,
                                              const RedisAddress& asked);

// Thread-compatible.
class ClusterMap {
 public:
  // Nobody has any slot.
  ClusterMap() : owners_(kSlots, -1), epochs_(kSlots, -1) {}

  // What the node at `asked` answers to CLUSTER NODES. kUnavailable: it is not
  // that; the message says what it is.
  static absl::StatusOr<ClusterMap> Parse(absl::string_view text,
                                          const RedisAddress& asked);

  // Takes what `newer` says, but for slots of which it knows an older owner: a
  // node that was cut off for a while tells what was. Redis gives each change
  // of an owner a higher epoch.
  void Adopt(const ClusterMap& newer);

  // Its owner says that another has it: whatever is heard next is newer. (The
  // epoch is the owner's, not the slot's: a node that did not hear of the move
  // may know the old owner with an epoch above that of the new one.)
  void Doubt(int slot) { epochs_[slot] = -1; }

  // Null: nobody has it.
  const RedisAddress* OwnerOf(int slot) const;
  bool HasSlots(const RedisAddress& node) const;
  // Those that have slots, in an order that stays.
  std::vector<RedisAddress> Owners() const;
  // All, replicas included.
  const std::vector<RedisAddress>& nodes() const { return nodes_; }
  // Whether each slot has an owner.
  bool complete() const;

 private:
  // Into nodes_, once each.
  int Place(const RedisAddress& node);

  std::vector<RedisAddress> nodes_;
  std::vector<int> owners_;      // For each slot, its owner's place in nodes_.
  std::vector<int64_t> epochs_;  // Its owner's.
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_CLUSTER_MAP_H_
