#include "index/redis/commit_group.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/monotonic.h"
#include "base/status.h"
#include "index/record_encoding.h"
#include "index/redis/scripts.h"
#include "index/redis/shard_encoding.h"

namespace cairn::index {
namespace {

const int64_t kAgeMaxMs = absl::ToInt64Milliseconds(base::kVersionAgeMax);
// How far Redis' clock may be from what it was just now, either way: the way
// to Redis. Small beside what kTombstoneAgeMin leaves.
constexpr int64_t kWindowSlackMs = 1000;
// Keys of one script: each adds about 13 us, so that it holds Redis up for less
// than a millisecond, and has a small part of what a script costs by itself.
constexpr size_t kScriptKeysMax = 64;

absl::StatusOr<int64_t> ParseTime(const RedisReply& time) {
  int64_t seconds = 0;
  int64_t micros = 0;
  if (time.list.size() != 2 || !absl::SimpleAtoi(time.list[0].text, &seconds) ||
      !absl::SimpleAtoi(time.list[1].text, &micros)) {
    return absl::UnavailableError("Redis does not tell its time");
  }
  return seconds * 1000 + micros / 1000;
}

std::string TombstoneOf(const std::string& key, const v1::Record& record) {
  return EncodeTombstone(record.version().time_ms(), key);
}

}  // namespace

CommitGroup::CommitGroup(IndexSession* session,
                         absl::Span<const Mutation> group,
                         int64_t index_time_ms)
    : session_(session),
      group_(group),
      index_time_ms_(index_time_ms),
      start_ms_(base::MonotonicMs()),
      deadline_(IndexSession::Deadline()),
      results_(group.size()) {
  absl::flat_hash_map<absl::string_view, size_t> seen;
  for (size_t i = 0; i < group_.size(); ++i) {
    const auto [it, fresh] = seen.try_emplace(group_[i].key, pending_.size());
    if (fresh) pending_.emplace_back().key = group_[i].key;
    pending_[it->second].places.push_back(i);
  }
}

absl::StatusOr<std::vector<MutationResult>> CommitGroup::Run() {
  ASSIGN_OR_RETURN(full_, session_->IsFull(/*fresh=*/false));
  while (!pending_.empty()) {
    RETURN_IF_ERROR(Read());
    RETURN_IF_ERROR(ReadQueue());
    RETURN_IF_ERROR(Write());
    if (!pending_.empty() && absl::Now() > deadline_) {
      return absl::UnavailableError(
          "other writers of the index were always first: try again");
    }
  }
  RETURN_IF_ERROR(session_->Confirm(unconfirmed_));
  return std::move(results_);
}

absl::Status CommitGroup::Read() {
  // Behind each key the time of its server; of one server once, at the end.
  const bool clocks = session_->clustered();
  const size_t step = clocks ? 2 : 1;
  std::vector<RedisCommand> commands;
  commands.reserve(step * pending_.size() + 1);
  for (const Key& key : pending_) {
    commands.push_back({"ZRANGEBYLEX", NamesOf(ShardOf(key.key)).records,
                        MemberMin(key.key), MemberMax(key.key)});
    if (clocks) commands.push_back({"TIME"});
  }
  if (!clocks) commands.push_back({"TIME"});
  ASSIGN_OR_RETURN(auto replies,
                   session_->Read(std::move(commands), deadline_));
  read_ms_ = base::MonotonicMs();
  for (size_t i = 0; i < pending_.size(); ++i) {
    Key& key = pending_[i];
    RedisReply& members = replies[i * step];
    if (!members.is(RedisReply::Type::kList)) {
      return absl::UnavailableError(
          absl::StrCat("reading the index: ", members.text));
    }
    ASSIGN_OR_RETURN(key.redis_ms, ParseTime(clocks ? replies[i * step + 1]
                                                    : replies.back()));
    key.member.clear();
    key.record.reset();
    if (members.list.empty()) continue;
    key.member = std::move(members.list[0].text);
    RETURN_IF_ERROR(DecodeMember(key.member, nullptr, &key.record.emplace()));
  }
  return absl::OkStatus();
}

absl::Status CommitGroup::ReadQueue() {
  std::vector<RedisCommand> commands;
  std::vector<std::pair<Key*, std::string>> asked;
  for (Key& key : pending_) {
    key.queued.clear();
    for (const size_t place : key.places) {
      for (const Removal& removal : group_[place].takes) {
        asked.emplace_back(&key, EncodeRemoval(removal));
        commands.push_back({"ZSCORE", NamesOf(ShardOf(key.key)).removals,
                            asked.back().second});
      }
    }
  }
  if (commands.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto replies,
                   session_->Read(std::move(commands), deadline_));
  for (size_t i = 0; i < asked.size(); ++i) {
    if (replies[i].is(RedisReply::Type::kError)) {
      return absl::UnavailableError(
          absl::StrCat("reading the index: ", replies[i].text));
    }
    if (!replies[i].is(RedisReply::Type::kText)) continue;
    asked[i].first->queued.insert(std::move(asked[i].second));
  }
  return absl::OkStatus();
}

int64_t CommitGroup::IndexTimeMs() const {
  const int64_t elapsed_ms = base::MonotonicMs() - start_ms_;
  return index_time_ms_ + (elapsed_ms <= kWindowSlackMs ? 0 : elapsed_ms);
}

Decision CommitGroup::DecideOne(const Key& key, const Change& change,
                                const v1::Record* record,
                                const Mutation& mutation, bool full) const {
  Decision decision = Decide(record, mutation, IndexTimeMs(), full);
  for (const Removal& removal : decision.takes) {
    const std::string entry = EncodeRemoval(removal);
    const bool there =
        change.removals.count(entry) > 0 ||
        (key.queued.contains(entry) && change.takes.count(entry) == 0);
    if (!there) return TargetGone(*record);
  }
  return decision;
}

std::optional<CommitGroup::Change> CommitGroup::DecideKey(Key* key) {
  if (key->unknown && key->member == key->tried_member) {
    FinishAsFound(*key, std::move(key->tried));
    return std::nullopt;
  }
  // After a script whose outcome is unknown "full" would be no definite answer.
  const bool full = key->full || (full_ && !key->unknown);
  Change change;
  std::optional<v1::Record> record = key->record;
  bool changes = false;
  for (const size_t place : key->places) {
    const Mutation& mutation = group_[place];
    Decision decision = DecideOne(
        *key, change, record.has_value() ? &*record : nullptr, mutation, full);
    if (decision.changes) {
      changes = true;
      const bool restored = mutation.kind == Mutation::Kind::kRestore;
      if (mutation.kind == Mutation::Kind::kPut ||
          mutation.kind == Mutation::Kind::kDelete || restored) {
        change.value_of = &mutation;
        if (!restored) {
          change.oldest_ms = std::min<int64_t>(
              change.oldest_ms, decision.record.version().time_ms());
        }
      }
      change.has_put |= mutation.kind == Mutation::Kind::kPut ||
                        (restored && !decision.record.tombstone());
      record = std::move(decision.record);
      for (const Removal& removal : decision.takes) {
        const std::string entry = EncodeRemoval(removal);
        change.removals.erase(entry);
        if (key->queued.contains(entry)) change.takes.insert(entry);
      }
      for (const Removal& removal : decision.removals) {
        change.removals.insert(EncodeRemoval(removal));
      }
      decision.result.removals = std::move(decision.removals);
    }
    change.results.push_back(std::move(decision.result));
  }
  if (!changes) {
    FinishAsFound(*key, std::move(change.results));
    return std::nullopt;
  }
  change.member = EncodeMember(key->key, *record);
  change.record = *std::move(record);
  return change;
}

std::vector<std::string> CommitGroup::ArgsFor(const Key& key,
                                              const Change& change) const {
  // The 60 s rule by Redis' own clock: a script that was stuck on its way finds
  // that the version is too old by now. Also if that clock was set back.
  int64_t left_ms = kAgeMaxMs;
  if (change.oldest_ms != INT64_MAX) {
    left_ms -= IndexTimeMs() - change.oldest_ms;
  }
  const int64_t now_ms = key.redis_ms + (base::MonotonicMs() - read_ms_);
  const bool had_value = key.record.has_value() && !key.record->tombstone();
  const bool had_tombstone = key.record.has_value() && key.record->tombstone();
  std::string value_op;
  std::string value;
  if (change.value_of != nullptr && KeepsValue(*change.value_of)) {
    value_op = "=";
    value = EncodeVersion(change.record.version());
    value += change.value_of->inline_value;
  } else if (change.value_of != nullptr && had_value &&
             key.record->size_bytes() <= base::kInlineBytesMax) {
    value_op = "-";
  }
  std::vector<std::string> args = {
      absl::StrCat(key.redis_ms - kWindowSlackMs),
      absl::StrCat(now_ms + left_ms + kWindowSlackMs),
      key.member,
      key.member.empty() ? MemberMin(key.key) : "",
      key.member.empty() ? MemberMax(key.key) : "",
      change.member,
      value_op.empty() ? "" : key.key,
      value_op,
      std::move(value),
      had_tombstone ? TombstoneOf(key.key, *key.record) : "",
      change.record.tombstone() ? TombstoneOf(key.key, change.record) : "",
      absl::StrCat(change.takes.size()),
      absl::StrCat(change.removals.size())};
  args.insert(args.end(), change.takes.begin(), change.takes.end());
  args.insert(args.end(), change.removals.begin(), change.removals.end());
  return args;
}

std::vector<std::vector<size_t>> CommitGroup::Grouped(
    const std::vector<Key>& keys, const std::vector<Change>& changes) const {
  std::vector<std::vector<size_t>> groups;
  // The group that still takes some, of puts or not, and of one shard where
  // shards are on several servers.
  absl::flat_hash_map<std::pair<bool, int>, size_t> open;
  for (size_t i = 0; i < keys.size(); ++i) {
    const int shard = session_->clustered() ? ShardOf(keys[i].key) : 0;
    const auto [it, fresh] =
        open.try_emplace({changes[i].has_put, shard}, groups.size());
    if (fresh || groups[it->second].size() == kScriptKeysMax) {
      it->second = groups.size();
      groups.emplace_back();
    }
    groups[it->second].push_back(i);
  }
  return groups;
}

ScriptCall CommitGroup::CallFor(const std::vector<size_t>& places,
                                const std::vector<Key>& keys,
                                std::vector<Change>* changes) {
  ScriptCall call;
  call.script =
      (*changes)[places[0]].has_put ? &CommitScript() : &CommitWhenFullScript();
  absl::flat_hash_map<int, size_t> shards;  // Where in call.keys they start.
  for (const size_t place : places) {
    const int shard = ShardOf(keys[place].key);
    const auto [it, fresh] = shards.try_emplace(shard, call.keys.size());
    if (fresh) {
      for (std::string& name : KeysOf(NamesOf(shard))) {
        call.keys.push_back(std::move(name));
      }
    }
    call.args.push_back(absl::StrCat(it->second));
    for (std::string& arg : (*changes)[place].args) {
      call.args.push_back(std::move(arg));
    }
  }
  return call;
}

absl::Status CommitGroup::Write() {
  std::vector<Key> keys;
  std::vector<Change> changes;
  for (Key& key : pending_) {
    std::optional<Change> change = DecideKey(&key);
    if (!change.has_value()) continue;
    change->args = ArgsFor(key, *change);
    keys.push_back(std::move(key));
    changes.push_back(*std::move(change));
  }
  pending_.clear();
  if (keys.empty()) return absl::OkStatus();
  const std::vector<std::vector<size_t>> groups = Grouped(keys, changes);
  std::vector<ScriptCall> calls;
  for (const std::vector<size_t>& places : groups) {
    calls.push_back(CallFor(places, keys, &changes));
  }
  bool sent = false;
  const auto replies = session_->Call(calls, deadline_, &sent);
  if (!replies.ok()) {
    if (!sent || absl::Now() > deadline_) return replies.status();
    for (size_t i = 0; i < keys.size(); ++i) {
      keys[i].unknown = true;
      keys[i].tried_member = std::move(changes[i].member);
      keys[i].tried = std::move(changes[i].results);
    }
    pending_ = std::move(keys);
    return absl::OkStatus();
  }
  for (size_t call = 0; call < groups.size(); ++call) {
    const RedisReply& reply = (*replies)[call];
    for (size_t i = 0; i < groups[call].size(); ++i) {
      Key& key = keys[groups[call][i]];
      ASSIGN_OR_RETURN(const bool done,
                       Settle(&key, std::move(changes[groups[call][i]]),
                              i < reply.list.size() ? reply.list[i] : reply));
      if (!done) pending_.push_back(std::move(key));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> CommitGroup::Settle(Key* key, Change change,
                                         const RedisReply& reply) {
  if (reply.text == kDone) {
    Finish(*key, std::move(change.results));
    return true;
  }
  if (reply.text == kMiss || reply.text == kLate) return false;
  if (reply.IsError("OOM") && !key->unknown) {
    key->full = true;  // Decided anew: puts are refused, deletes go on.
    return false;
  }
  return absl::UnavailableError(
      absl::StrCat("writing the index: ", reply.text));
}

void CommitGroup::FinishAsFound(const Key& key,
                                std::vector<MutationResult> results) {
  // A refusal stands whatever becomes of what it is for.
  const bool any_ok =
      std::any_of(results.begin(), results.end(),
                  [](const MutationResult& one) { return one.status.ok(); });
  if (any_ok) unconfirmed_.push_back(ShardOf(key.key));
  Finish(key, std::move(results));
}

void CommitGroup::Finish(const Key& key, std::vector<MutationResult> results) {
  for (size_t i = 0; i < key.places.size(); ++i) {
    results_[key.places[i]] = std::move(results[i]);
  }
}

}  // namespace cairn::index
