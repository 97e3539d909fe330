#include "index/redis/cluster_client.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/status.h"

namespace cairn::index {
namespace {

// The longest pause between two rounds: names that move are there soon, and a
// failover takes as long as it takes.
constexpr absl::Duration kRoundPauseMax = absl::Milliseconds(200);
// How long the word of other nodes is good that a node has its slots.
constexpr absl::Duration kStillOwnerAge = absl::Seconds(1);

// "": the command has none.
absl::string_view NameIn(const RedisCommand& command) {
  const bool script = command[0] == "EVALSHA" || command[0] == "EVAL";
  const size_t place = script ? 3 : 1;
  return command.size() > place ? command[place] : absl::string_view();
}

std::vector<int> SlotsOf(absl::Span<const RedisCommand> commands) {
  std::vector<int> slots;
  int slot = 0;
  for (const RedisCommand& command : commands) {
    const absl::string_view name = NameIn(command);
    if (!name.empty()) slot = SlotOf(name);
    slots.push_back(slot);
  }
  return slots;
}

// "MOVED 3999 127.0.0.1:6381", and ASK: the address.
std::optional<RedisAddress> TargetOf(const RedisReply& reply,
                                     const RedisAddress& asked) {
  const std::vector<absl::string_view> words = absl::StrSplit(reply.text, ' ');
  if (words.size() < 3) return std::nullopt;
  const auto address = ParseNodeAddress(words[2], asked);
  if (!address.ok()) return std::nullopt;
  return *address;
}

}  // namespace

// --- Rounds ----------------------------------------------------------------

absl::StatusOr<std::vector<RedisReply>> ClusterClient::Run(
    absl::Span<const RedisCommand> commands, const RunOptions& options,
    bool* sent) {
  Batch batch;
  batch.commands = commands;
  batch.options = options;
  batch.slots = SlotsOf(commands);
  batch.replies.resize(commands.size());
  for (size_t i = 0; i < commands.size(); ++i) batch.pending.push_back(i);
  batch.deadline = options.deadline;
  absl::Duration pause = base::kIndexPauseMin;
  for (;;) {
    batch.pause = false;
    const absl::Status known = Refresh();
    if (known.ok()) {
      const absl::Status round = RunRound(&batch);
      *sent = batch.executed;
      RETURN_IF_ERROR(round);
      if (batch.pending.empty()) return std::move(batch.replies);
    } else {
      *sent = batch.executed;
      if (!absl::IsUnavailable(known)) return known;
      batch.why = known;
      batch.pause = true;
    }
    const absl::Time next = batch.pause ? absl::Now() + pause : absl::Now();
    if (next > batch.deadline) return batch.why;
    if (!batch.pause) continue;
    absl::SleepFor(pause);
    pause = std::min(2 * pause, kRoundPauseMax);
  }
}

absl::Status ClusterClient::RunRound(Batch* batch) {
  std::vector<Lane> lanes = Plan(batch);
  batch->pending.clear();
  batch->asks.clear();
  std::vector<Lane*> sent;
  for (Lane& lane : lanes) {
    if (Send(&lane, batch)) sent.push_back(&lane);
  }
  absl::Status failed;
  for (Lane* lane : sent) {
    if (lane->failed.ok()) Receive(lane, batch);
    if (lane->failed.ok()) continue;
    batch->executed = true;
    failed.Update(lane->failed);
    lane->node->NoteFailure();
    MarkStale();
  }
  std::sort(batch->pending.begin(), batch->pending.end());
  return failed;
}

std::vector<ClusterClient::Lane> ClusterClient::Plan(Batch* batch) {
  std::map<std::pair<RedisAddress, bool>, std::vector<size_t>> places;
  {
    base::MutexLock lock(&mu_);
    for (const size_t place : batch->pending) {
      const auto ask = batch->asks.find(place);
      const RedisAddress* const owner = map_.OwnerOf(batch->slots[place]);
      if (ask != batch->asks.end()) {
        places[{ask->second, true}].push_back(place);
      } else {
        places[{owner == nullptr ? RedisAddress() : *owner, false}].push_back(
            place);
      }
    }
  }
  std::vector<Lane> lanes;
  for (auto& [to, some] : places) {
    Lane& lane = lanes.emplace_back();
    if (!to.first.host.empty()) lane.node = NodeAt(to.first);
    lane.asking = to.second;
    lane.places = std::move(some);
  }
  return lanes;
}

bool ClusterClient::Send(Lane* lane, Batch* batch) {
  const auto wait = [&](const absl::Status& why, bool map_is_right = false) {
    batch->pending.insert(batch->pending.end(), lane->places.begin(),
                          lane->places.end());
    batch->pause = true;
    batch->why = why;
    if (!map_is_right) MarkStale();
    return false;
  };
  if (lane->node == nullptr) {
    return wait(absl::UnavailableError(absl::StrCat(
        "the Redis Cluster at ", uri().Text(), " has slots without a node")));
  }
  auto connection = Acquire(lane->node);
  if (connection.ok() && batch->options.changes) {
    const auto why_not_yet = lane->node->log_rewrite().WhyNotYet(
        connection->get(), lane->node->address().Text());
    if (why_not_yet.ok() && !why_not_yet->empty()) {
      lane->node->Release(*std::move(connection));
      return wait(absl::UnavailableError(*why_not_yet), /*map_is_right=*/true);
    }
    if (!why_not_yet.ok()) {
      lane->node->NoteFailure();
      connection = why_not_yet.status();
    }
  }
  if (!connection.ok()) {
    // Who comes while it has long been away does not wait as well.
    batch->deadline =
        std::min(batch->deadline, lane->node->away_since() + base::kIndexWait);
    // Not "wait": what is wrong does not pass.
    if (!absl::IsUnavailable(connection.status())) {
      batch->deadline = absl::InfinitePast();
    }
    return wait(connection.status());
  }
  lane->connection = *std::move(connection);
  std::vector<RedisCommand> commands;
  for (const size_t place : lane->places) {
    if (lane->asking) commands.push_back({"ASKING"});
    commands.push_back(batch->commands[place]);
  }
  if (batch->options.changes) {
    commands.push_back(lane->node->replicas().Question());
  }
  lane->failed = lane->connection->Send(commands);
  return true;
}

void ClusterClient::Receive(Lane* lane, Batch* batch) {
  const size_t step = lane->asking ? 2 : 1;
  const size_t count = lane->places.size() * step;
  auto replies =
      lane->connection->Receive(count + (batch->options.changes ? 1 : 0));
  if (!replies.ok()) {
    lane->failed = replies.status();
    return;
  }
  const size_t before = batch->pending.size();
  for (size_t i = 0; i < lane->places.size(); ++i) {
    Take(lane->places[i], std::move((*replies)[i * step + step - 1]), *lane,
         batch);
  }
  const bool some = batch->pending.size() - before < lane->places.size();
  batch->executed |= some;
  if (some && batch->options.changes) {
    lane->failed = SettleChanges(replies->back(), lane, *batch);
    if (!lane->failed.ok()) return;
  }
  lane->node->Release(std::move(lane->connection));
}

void ClusterClient::Take(size_t place, RedisReply reply, const Lane& lane,
                         Batch* batch) {
  const bool moved = reply.IsError("MOVED");
  const bool ask = reply.IsError("ASK");
  const bool down = reply.IsError("CLUSTERDOWN");
  if (!moved && !ask && !down && !reply.IsError("TRYAGAIN") &&
      !IsNotNow(reply)) {
    batch->replies[place] = std::move(reply);
    return;
  }
  batch->pending.push_back(place);
  batch->why = absl::UnavailableError(
      absl::StrCat("Redis at ", lane.node->address().Text(), ": ", reply.text));
  const auto target = moved || ask ? TargetOf(reply, lane.node->address())
                                   : std::optional<RedisAddress>();
  if (ask && target.has_value() && !lane.asking) {
    batch->asks[place] = *target;
    return;
  }
  if (moved) Doubt(batch->slots[place], lane.node->address());
  if (moved || down) MarkStale(target);
  batch->pause = true;
}

absl::Status ClusterClient::SettleChanges(const RedisReply& answer, Lane* lane,
                                          const Batch& batch) {
  ReplicaWait& replicas = lane->node->replicas();
  ASSIGN_OR_RETURN(
      const bool on_replica,
      replicas.Settle(answer, lane->connection.get(),
                      lane->node->address().Text(), batch.options.deadline));
  if (on_replica || lane->asking) return absl::OkStatus();
  return CheckStillOwner(lane->node, batch.slots[lane->places[0]]);
}

// A master that was cut off from the others takes changes for a while.
absl::Status ClusterClient::CheckStillOwner(ClusterNode* node, int slot) {
  const RedisAddress address = node->address();
  {
    base::MutexLock lock(&mu_);
    absl::Time& asked = still_owner_[address];
    if (absl::Now() < asked + kStillOwnerAge) return absl::OkStatus();
    if (map_.nodes().size() < 2) return absl::OkStatus();
  }
  MarkStale();
  RETURN_IF_ERROR(Refresh(&address));
  base::MutexLock lock(&mu_);
  const RedisAddress* const owner = map_.OwnerOf(slot);
  if (owner == nullptr || !(*owner == address)) {
    return absl::UnavailableError(
        absl::StrCat("Redis at ", address.Text(), " is replaced by another"));
  }
  still_owner_[address] = absl::Now();
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::vector<RedisReply>>> ClusterClient::RunOnEach(
    absl::Span<const RedisCommand> commands, absl::Time deadline) {
  for (;;) {
    absl::Status why = Refresh();
    std::vector<std::vector<RedisReply>> replies;
    std::vector<RedisAddress> owners;
    {
      base::MutexLock lock(&mu_);
      owners = map_.Owners();
      if (why.ok() && !map_.complete()) {
        why = absl::UnavailableError(
            absl::StrCat("the Redis Cluster at ", uri().Text(),
                         " has slots without a node: redis-cli --cluster "
                         "check tells more"));
      }
    }
    for (size_t i = 0; i < owners.size() && why.ok(); ++i) {
      ClusterNode* const node = NodeAt(owners[i]);
      auto connection = Acquire(node);
      why.Update(connection.status());
      if (!why.ok()) break;
      auto some = (*connection)->Run(commands);
      why.Update(some.status());
      if (!why.ok()) {
        node->NoteFailure();
        break;
      }
      replies.push_back(*std::move(some));
      node->Release(*std::move(connection));
    }
    if (why.ok()) return replies;
    MarkStale();
    if (!absl::IsUnavailable(why) ||
        absl::Now() + base::kIndexPauseMin > deadline) {
      return why;
    }
    absl::SleepFor(base::kIndexPauseMin);
  }
}

std::string ClusterClient::Alone() {
  std::vector<std::string> alone;
  base::MutexLock lock(&mu_);
  for (const auto& [address, node] : nodes_) {
    if (node->replicas().alone() && map_.HasSlots(address)) {
      alone.push_back(address.Text());
    }
  }
  return absl::StrJoin(alone, ", ");
}

// --- Nodes and the map -----------------------------------------------------

ClusterNode* ClusterClient::NodeAt(const RedisAddress& address) {
  base::MutexLock lock(&mu_);
  std::unique_ptr<ClusterNode>& node = nodes_[address];
  if (node == nullptr) node = std::make_unique<ClusterNode>(uri().At(address));
  return node.get();
}

absl::StatusOr<ClusterNode::Connection> ClusterClient::Acquire(
    ClusterNode* node) {
  const RedisAddress address = node->address();
  return node->Acquire([this, address](RedisConnection* connection) {
    if (!check()) return absl::OkStatus();
    return check()(connection, [this, address](absl::string_view name) {
      return Holds(address, name);
    });
  });
}

bool ClusterClient::Holds(const RedisAddress& node, absl::string_view name) {
  base::MutexLock lock(&mu_);
  const RedisAddress* const owner = map_.OwnerOf(SlotOf(name));
  return owner != nullptr && *owner == node;
}

void ClusterClient::Doubt(int slot, const RedisAddress& node) {
  base::MutexLock lock(&mu_);
  const RedisAddress* const owner = map_.OwnerOf(slot);
  if (owner != nullptr && *owner == node) map_.Doubt(slot);
}

void ClusterClient::MarkStale(std::optional<RedisAddress> hint) {
  base::MutexLock lock(&mu_);
  stale_ = true;
  if (hint.has_value()) hint_ = std::move(hint);
}

absl::Status ClusterClient::Refresh(const RedisAddress* not_from) {
  base::MutexLock refreshing(&refresh_mu_);
  {
    base::MutexLock lock(&mu_);
    if (!stale_) return absl::OkStatus();
  }
  absl::Status why =
      absl::UnavailableError("there is no other node to ask for the map");
  for (const RedisAddress& address : Candidates(not_from)) {
    const auto map = AskForMap(address);
    if (map.ok()) {
      Adopt(*map);
      return absl::OkStatus();
    }
    why = map.status();
    if (!absl::IsUnavailable(why)) return why;
  }
  return why;
}

std::vector<RedisAddress> ClusterClient::Candidates(
    const RedisAddress* not_from) {
  base::MutexLock lock(&mu_);
  std::vector<RedisAddress> all = map_.nodes();
  for (const RedisAddress& address : uri().nodes) {
    if (std::find(all.begin(), all.end(), address) == all.end()) {
      all.push_back(address);
    }
  }
  // One that is cut off answers, and knows nothing new: not always the same.
  std::rotate(all.begin(), all.begin() + asked_++ % all.size(), all.end());
  const auto rank =
      [&](const RedisAddress& address) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        if (hint_.has_value() && *hint_ == address) return 0;
        const auto node = nodes_.find(address);
        const bool away = node != nodes_.end() &&
                          node->second->away_since() != absl::InfiniteFuture();
        return away ? 2 : 1;
      };
  std::vector<RedisAddress> ranked;
  for (const int wanted : {0, 1, 2}) {
    for (const RedisAddress& address : all) {
      if (not_from != nullptr && address == *not_from) continue;
      if (rank(address) == wanted) ranked.push_back(address);
    }
  }
  // A node of which only MOVED has told yet.
  if (hint_.has_value() &&
      std::find(all.begin(), all.end(), *hint_) == all.end()) {
    ranked.insert(ranked.begin(), *hint_);
  }
  hint_.reset();
  return ranked;
}

absl::StatusOr<ClusterMap> ClusterClient::AskForMap(
    const RedisAddress& address) {
  ASSIGN_OR_RETURN(
      auto connection,
      RedisConnection::Connect(uri().At(address), base::kIndexCommandDeadline));
  ASSIGN_OR_RETURN(const auto replies, connection->Run({{"CLUSTER", "NODES"}}));
  if (absl::StrContains(replies[0].text, "cluster support disabled")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the Redis at ", address.Text(),
        " is no node of a Redis Cluster: give redis://", address.Text()));
  }
  if (!replies[0].is(RedisReply::Type::kText)) {
    return absl::UnavailableError(
        absl::StrCat("Redis at ", address.Text(), ": ", replies[0].text));
  }
  return ClusterMap::Parse(replies[0].text, address);
}

void ClusterClient::Adopt(const ClusterMap& map) {
  std::vector<ClusterNode*> without;
  {
    base::MutexLock lock(&mu_);
    map_.Adopt(map);
    stale_ = false;
    for (const auto& [address, node] : nodes_) {
      if (!map_.HasSlots(address)) without.push_back(node.get());
    }
  }
  for (ClusterNode* node : without) node->Forget();
}

}  // namespace cairn::index
