#include "index/redis/redis_index_store.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/status.h"
#include "index/commit_rules.h"
#include "index/page_builder.h"
#include "index/record_encoding.h"
#include "index/redis/commit_group.h"
#include "index/redis/index_session.h"
#include "index/redis/redis_uri.h"
#include "index/redis/scripts.h"
#include "index/redis/shard_encoding.h"
#include "index/redis/shard_merge.h"

namespace cairn::index {
namespace {

// Tries to read a record and its value of one version: a writer comes between
// two reads of one round trip now and then, not three times.
constexpr int kValueTriesMax = 3;
// Records between two visits of a walk's reader to Redis.
constexpr int64_t kWalkGroup = 1000;

class RedisIndexStore final : public IndexStore {
 public:
  explicit RedisIndexStore(std::unique_ptr<IndexSession> session)
      : session_(std::move(session)) {}

  absl::StatusOr<std::vector<absl::StatusOr<Found>>> Lookup(
      absl::Span<const std::string> keys, bool with_values) override;
  absl::StatusOr<std::vector<MutationResult>> Commit(
      absl::Span<const Mutation> group, int64_t index_time_ms) override;
  absl::StatusOr<Page> Scan(const ScanOptions& options) override;
  absl::StatusOr<std::vector<Removal>> Removals(uint32_t volume_id,
                                                int64_t limit,
                                                std::string* cursor) override;
  absl::Status FinishRemovals(absl::Span<const Removal> done) override {
    return ChangeQueue("ZREM", done);
  }
  absl::Status AddRemovals(absl::Span<const Removal> removals) override {
    return ChangeQueue("ZADD", removals);
  }
  absl::StatusOr<bool> HasRemoval(const Removal& removal) override;
  absl::StatusOr<int64_t> ForgetTombstones(int64_t before_ms,
                                           int64_t limit) override;
  absl::Status Clear() override;
  absl::StatusOr<std::string> GetMeta(absl::string_view name) override {
    return session_->GetFact(name);
  }
  absl::Status SetMeta(absl::string_view name,
                       absl::string_view value) override {
    return session_->SetFact(name, value);
  }
  absl::StatusOr<int64_t> NextNumber(absl::string_view name) override {
    return session_->NextNumber(name);
  }
  IndexStats Stats() override;
  absl::Status Walk(
      bool with_values,
      const std::function<absl::Status(absl::string_view key,
                                       const Found& found)>& visit) override;
  std::string uri() const override { return session_->uri().Text(); }
  std::string risk() const override { return session_->risk(); }

 private:
  using FoundList = std::vector<absl::StatusOr<Found>>;
  ShardMerge MergeOf(std::string ShardNames::*set, std::string first,
                     std::string end, int64_t wanted);
  // Looks up keys[i] for each i of `places` into (*found)[i]; returns the
  // places whose value was of another version than the record.
  absl::StatusOr<std::vector<size_t>> LookupSome(
      absl::Span<const std::string> keys, const std::vector<size_t>& places,
      bool with_values, absl::Time deadline, FoundList* found);
  absl::Status ChangeQueue(const char* command,
                           absl::Span<const Removal> removals);
  // Fills in what is queued of the deleted keys.
  absl::Status AddRemovalsOfDeletes(absl::Span<const Mutation> group,
                                    std::vector<MutationResult>* results);

  struct OldTombstone {
    int shard = 0;
    TombstoneEntry entry;
  };
  absl::StatusOr<std::vector<OldTombstone>> FindOldTombstones(int64_t before_ms,
                                                              int64_t limit);
  // How many of these could be forgotten.
  absl::StatusOr<int64_t> Forget(const std::vector<OldTombstone>& old);

  const std::unique_ptr<IndexSession> session_;

  // Guards copies in memory; nothing slow.
  base::Mutex mu_;
  IndexStats stats_ ABSL_GUARDED_BY(mu_);  // As last read.
  // Where the next search for forgettable tombstones goes on, for each shard.
  std::array<std::string, kShards> forget_from_ ABSL_GUARDED_BY(mu_);
};

// --- Lookup and commit -----------------------------------------------------

absl::StatusOr<std::vector<absl::StatusOr<Found>>> RedisIndexStore::Lookup(
    absl::Span<const std::string> keys, bool with_values) {
  FoundList found(keys.size(), absl::NotFoundError("the key does not exist"));
  if (keys.empty()) return found;
  const absl::Time deadline = IndexSession::Deadline();
  std::vector<size_t> places(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) places[i] = i;
  for (int i = 0; i < kValueTriesMax && !places.empty(); ++i) {
    ASSIGN_OR_RETURN(places,
                     LookupSome(keys, places, with_values, deadline, &found));
  }
  return found;
}

absl::StatusOr<std::vector<size_t>> RedisIndexStore::LookupSome(
    absl::Span<const std::string> keys, const std::vector<size_t>& places,
    bool with_values, absl::Time deadline, FoundList* found) {
  std::vector<RedisCommand> commands;
  commands.reserve(places.size() * 2 + 1);
  for (const size_t place : places) {
    const std::string& key = keys[place];
    const ShardNames& names = NamesOf(ShardOf(key));
    commands.push_back(
        {"ZRANGEBYLEX", names.records, MemberMin(key), MemberMax(key)});
    if (with_values) commands.push_back({"HGET", names.values, key});
  }
  ASSIGN_OR_RETURN(auto replies, session_->Read(std::move(commands), deadline));
  std::vector<size_t> again;
  const size_t step = with_values ? 2 : 1;
  for (size_t i = 0; i < places.size(); ++i) {
    absl::StatusOr<Found>& one = (*found)[places[i]];
    const RedisReply& members = replies[i * step];
    if (!members.is(RedisReply::Type::kList)) {
      one = absl::UnavailableError(
          absl::StrCat("reading the index: ", members.text));
      continue;
    }
    if (members.list.empty()) {
      one = absl::NotFoundError("the key does not exist");
      continue;
    }
    Found read;
    const absl::Status decoded =
        DecodeMember(members.list[0].text, nullptr, &read.record);
    if (!decoded.ok()) {
      one = decoded;
      continue;
    }
    if (with_values && replies[i * 2 + 1].is(RedisReply::Type::kText)) {
      absl::string_view bytes = replies[i * 2 + 1].text;
      if (absl::ConsumePrefix(&bytes, EncodeVersion(read.record.version())) &&
          !read.record.tombstone()) {
        read.has_value = true;
        read.value = std::string(bytes);
      } else {
        again.push_back(places[i]);
      }
    }
    one = std::move(read);
  }
  return again;
}

absl::StatusOr<std::vector<MutationResult>> RedisIndexStore::Commit(
    absl::Span<const Mutation> group, int64_t index_time_ms) {
  if (group.empty()) return std::vector<MutationResult>();
  ASSIGN_OR_RETURN(auto results,
                   CommitGroup(session_.get(), group, index_time_ms).Run());
  RETURN_IF_ERROR(AddRemovalsOfDeletes(group, &results));
  return results;
}

absl::Status RedisIndexStore::AddRemovalsOfDeletes(
    absl::Span<const Mutation> group, std::vector<MutationResult>* results) {
  std::vector<size_t> places;
  std::vector<RedisCommand> commands;
  for (size_t i = 0; i < group.size(); ++i) {
    if (group[i].kind != Mutation::Kind::kDelete ||
        !(*results)[i].status.ok()) {
      continue;
    }
    (*results)[i].removals.clear();
    places.push_back(i);
    commands.push_back({"HKEYS", NamesOf(ShardOf(group[i].key)).volumes});
  }
  if (places.empty()) return absl::OkStatus();
  const absl::Time deadline = IndexSession::Deadline();
  ASSIGN_OR_RETURN(const auto volumes,
                   session_->Read(std::move(commands), deadline));
  commands.clear();
  std::vector<MutationResult*> takers;
  for (size_t i = 0; i < places.size(); ++i) {
    const Mutation& mutation = group[places[i]];
    // Behind the volume's 4 bytes.
    const std::string tail = RemovalPrefix(0, mutation.key).substr(4);
    for (const RedisReply& volume : volumes[i].list) {
      const std::string prefix = absl::StrCat(volume.text, tail);
      const std::optional<std::string> end = AfterPrefix(prefix);
      commands.push_back({"ZRANGEBYLEX",
                          NamesOf(ShardOf(mutation.key)).removals,
                          absl::StrCat("[", prefix),
                          end.has_value() ? absl::StrCat("(", *end) : "+"});
      takers.push_back(&(*results)[places[i]]);
    }
  }
  if (commands.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto entries,
                   session_->Read(std::move(commands), deadline));
  for (size_t i = 0; i < takers.size(); ++i) {
    for (const RedisReply& entry : entries[i].list) {
      ASSIGN_OR_RETURN(Removal removal, DecodeRemoval(entry.text));
      takers[i]->removals.push_back(std::move(removal));
    }
  }
  // HKEYS has no order.
  for (const size_t place : places) {
    std::sort((*results)[place].removals.begin(),
              (*results)[place].removals.end(),
              [](const Removal& a, const Removal& b) {
                return EncodeRemoval(a) < EncodeRemoval(b);
              });
  }
  return absl::OkStatus();
}

// --- Listing ---------------------------------------------------------------

ShardMerge RedisIndexStore::MergeOf(std::string ShardNames::*set,
                                    std::string first, std::string end,
                                    int64_t wanted) {
  ShardMerge::Options options;
  options.sets.reserve(kShards);
  for (int shard = 0; shard < kShards; ++shard) {
    options.sets.push_back(NamesOf(shard).*set);
  }
  options.first = std::move(first);
  options.end = std::move(end);
  options.wanted = wanted;
  options.run = [this](std::vector<RedisCommand> commands) {
    return session_->Read(std::move(commands), IndexSession::Deadline());
  };
  return ShardMerge(std::move(options));
}

absl::StatusOr<IndexStore::Page> RedisIndexStore::Scan(
    const ScanOptions& options) {
  if (options.limit < 1) {
    return absl::InvalidArgumentError("the limit of a listing is at least 1");
  }
  PageBuilder builder(options);
  const std::optional<std::string> end = builder.End();
  ShardMerge merge =
      MergeOf(&ShardNames::records, EscapeKey(builder.First()),
              end.has_value() ? EscapeKey(*end) : "", options.limit + 1);
  absl::Status damaged;
  for (;;) {
    ASSIGN_OR_RETURN(const std::string* member, merge.Next());
    if (member == nullptr) break;
    if (IsTombstoneMember(*member) && !options.with_tombstones) continue;
    const auto then = builder.Add(KeyOfMember(*member), [&] {
      v1::Record record;
      damaged.Update(DecodeMember(*member, nullptr, &record));
      return record;
    });
    if (then == PageBuilder::Then::kDone) break;
    if (then == PageBuilder::Then::kSkip) {
      merge.SkipTo(EscapeKey(builder.skip_to()));
    }
  }
  RETURN_IF_ERROR(damaged);
  return builder.Take();
}

absl::Status RedisIndexStore::Walk(
    bool with_values,
    const std::function<absl::Status(absl::string_view key,
                                     const Found& found)>& visit) {
  ShardMerge merge = MergeOf(&ShardNames::records, "", "", kWalkGroup);
  bool more = true;
  while (more) {
    std::vector<std::string> keys;
    std::vector<absl::StatusOr<Found>> found;
    while (more && static_cast<int64_t>(keys.size()) < kWalkGroup) {
      ASSIGN_OR_RETURN(const std::string* member, merge.Next());
      more = member != nullptr;
      if (!more) break;
      Found one;
      RETURN_IF_ERROR(DecodeMember(*member, &keys.emplace_back(), &one.record));
      found.emplace_back(std::move(one));
    }
    if (with_values) {
      // Read again, so that record and value are of one version.
      ASSIGN_OR_RETURN(found, Lookup(keys, /*with_values=*/true));
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      if (absl::IsNotFound(found[i].status())) continue;
      RETURN_IF_ERROR(found[i].status());
      RETURN_IF_ERROR(visit(keys[i], *found[i]));
    }
  }
  return absl::OkStatus();
}

// --- The removal queue -----------------------------------------------------

absl::StatusOr<std::vector<Removal>> RedisIndexStore::Removals(
    uint32_t volume_id, int64_t limit, std::string* cursor) {
  std::vector<Removal> removals;
  if (limit < 1) return removals;
  const std::string prefix = RemovalPrefix(volume_id);
  // The smallest entry after the cursor has one NUL more.
  const std::string first =
      cursor->empty() ? prefix
                      : absl::StrCat(*cursor, absl::string_view("\0", 1));
  ShardMerge merge = MergeOf(&ShardNames::removals, first,
                             AfterPrefix(prefix).value_or(""), limit);
  while (static_cast<int64_t>(removals.size()) < limit) {
    ASSIGN_OR_RETURN(const std::string* entry, merge.Next());
    if (entry == nullptr) break;
    ASSIGN_OR_RETURN(Removal removal, DecodeRemoval(*entry));
    removals.push_back(std::move(removal));
    *cursor = *entry;
  }
  return removals;
}

absl::Status RedisIndexStore::ChangeQueue(const char* command,
                                          absl::Span<const Removal> removals) {
  std::vector<std::vector<std::string>> entries(kShards);
  for (const Removal& removal : removals) {
    entries[ShardOf(removal.blob.key())].push_back(EncodeRemoval(removal));
  }
  std::vector<ScriptCall> calls;
  for (int shard = 0; shard < kShards; ++shard) {
    for (size_t i = 0; i < entries[shard].size();
         i += base::kIndexQueueGroupMax) {
      const size_t end = std::min(entries[shard].size(),
                                  i + size_t{base::kIndexQueueGroupMax});
      ScriptCall& call = calls.emplace_back();
      call.script = &QueueScript();
      call.keys = KeysOf(NamesOf(shard));
      call.args.push_back(command);
      call.args.insert(call.args.end(), entries[shard].begin() + i,
                       entries[shard].begin() + end);
    }
  }
  if (calls.empty()) return absl::OkStatus();
  return session_->CallAgain(calls).status();
}

absl::StatusOr<bool> RedisIndexStore::HasRemoval(const Removal& removal) {
  ASSIGN_OR_RETURN(
      const auto replies,
      session_->Read({{"ZSCORE", NamesOf(ShardOf(removal.blob.key())).removals,
                       EncodeRemoval(removal)}},
                     IndexSession::Deadline()));
  if (replies[0].is(RedisReply::Type::kError)) {
    return absl::UnavailableError(replies[0].text);
  }
  return replies[0].is(RedisReply::Type::kText);
}

absl::StatusOr<int64_t> RedisIndexStore::ForgetTombstones(int64_t before_ms,
                                                          int64_t limit) {
  ASSIGN_OR_RETURN(const auto old, FindOldTombstones(before_ms, limit));
  int64_t forgotten = 0;
  for (size_t i = 0; i < old.size() && forgotten < limit;) {
    const size_t end =
        std::min(old.size(), i + static_cast<size_t>(limit - forgotten));
    ASSIGN_OR_RETURN(const int64_t some,
                     Forget({old.begin() + i, old.begin() + end}));
    forgotten += some;
    i = end;
  }
  return forgotten;
}

absl::StatusOr<std::vector<RedisIndexStore::OldTombstone>>
RedisIndexStore::FindOldTombstones(int64_t before_ms, int64_t limit) {
  const int64_t piece =
      std::clamp<int64_t>(limit, 1, base::kForgetScanMax / kShards);
  const std::string end =
      absl::StrCat("(", EncodeNumber(std::max<int64_t>(before_ms, 0)));
  std::vector<RedisCommand> commands;
  {
    base::MutexLock lock(&mu_);
    for (int shard = 0; shard < kShards; ++shard) {
      const std::string& from = forget_from_[shard];
      commands.push_back({"ZRANGEBYLEX", NamesOf(shard).tombstones,
                          from.empty() ? "-" : absl::StrCat("(", from), end,
                          "LIMIT", "0", absl::StrCat(piece)});
    }
  }
  ASSIGN_OR_RETURN(
      const auto replies,
      session_->Read(std::move(commands), IndexSession::Deadline()));
  std::vector<OldTombstone> old;
  for (int shard = 0; shard < kShards; ++shard) {
    const std::vector<RedisReply>& entries = replies[shard].list;
    for (const RedisReply& entry : entries) {
      OldTombstone& one = old.emplace_back();
      one.shard = shard;
      ASSIGN_OR_RETURN(one.entry, DecodeTombstone(entry.text));
    }
    // Those that must wait do not keep the others from their turn.
    base::MutexLock lock(&mu_);
    forget_from_[shard] =
        static_cast<int64_t>(entries.size()) < piece ? "" : entries.back().text;
  }
  return old;
}

absl::StatusOr<int64_t> RedisIndexStore::Forget(
    const std::vector<OldTombstone>& old) {
  std::vector<RedisCommand> commands;
  for (const OldTombstone& one : old) {
    commands.push_back({"ZRANGEBYLEX", NamesOf(one.shard).records,
                        MemberMin(one.entry.key), MemberMax(one.entry.key)});
  }
  ASSIGN_OR_RETURN(
      const auto members,
      session_->Read(std::move(commands), IndexSession::Deadline()));
  std::vector<ScriptCall> calls;
  for (size_t i = 0; i < old.size(); ++i) {
    if (members[i].list.empty()) continue;
    const std::string& member = members[i].list[0].text;
    const TombstoneEntry& entry = old[i].entry;
    v1::Record record;
    RETURN_IF_ERROR(DecodeMember(member, nullptr, &record));
    if (!record.tombstone() || record.version().time_ms() != entry.time_ms) {
      continue;
    }
    ScriptCall& call = calls.emplace_back();
    call.script = &ForgetScript();
    call.keys = KeysOf(NamesOf(old[i].shard));
    call.args = {member, EncodeTombstone(entry.time_ms, entry.key),
                 RemovalPrefix(0, entry.key).substr(4)};
    for (const Removal& removal : BlobsOf(entry.key, record)) {
      call.args.push_back(EncodeRemoval(removal));
    }
  }
  if (calls.empty()) return 0;
  ASSIGN_OR_RETURN(const auto replies, session_->CallAgain(calls));
  return std::count_if(
      replies.begin(), replies.end(),
      [](const RedisReply& reply) { return reply.text == kDone; });
}

absl::Status RedisIndexStore::Clear() {
  std::vector<ScriptCall> calls;
  for (int shard = 0; shard < kShards; ++shard) {
    ScriptCall& call = calls.emplace_back();
    call.script = &ClearScript();
    call.keys = KeysOf(NamesOf(shard));
  }
  RETURN_IF_ERROR(session_->CallAgain(calls).status());
  base::MutexLock lock(&mu_);
  forget_from_.fill("");
  return absl::OkStatus();
}

// --- Counts ----------------------------------------------------------------

IndexStats RedisIndexStore::Stats() {
  std::vector<RedisCommand> commands;
  commands.reserve(3 * kShards + 1);
  for (int shard = 0; shard < kShards; ++shard) {
    const ShardNames& names = NamesOf(shard);
    commands.push_back({"ZCARD", names.records});
    commands.push_back({"ZCARD", names.tombstones});
    commands.push_back({"ZCARD", names.removals});
  }
  // Without waiting: status pages are for when something is wrong, too.
  const auto replies = session_->Read(std::move(commands), absl::Now());
  const auto full = session_->IsFull(/*fresh=*/false);
  base::MutexLock lock(&mu_);
  if (full.ok()) stats_.full = *full;
  if (!replies.ok()) return stats_;
  const bool was_full = stats_.full;
  stats_ = IndexStats();
  stats_.full = was_full;
  for (int shard = 0; shard < kShards; ++shard) {
    const int64_t tombstones = (*replies)[3 * shard + 1].integer;
    stats_.keys_count += (*replies)[3 * shard].integer - tombstones;
    stats_.tombstones_count += tombstones;
    stats_.removals_count += (*replies)[3 * shard + 2].integer;
  }
  return stats_;
}

}  // namespace

absl::StatusOr<std::unique_ptr<IndexStore>> OpenRedisIndexStore(
    absl::string_view uri, const OpenOptions& options) {
  ASSIGN_OR_RETURN(const RedisUri parsed, ParseRedisUri(uri));
  ASSIGN_OR_RETURN(auto session, IndexSession::Open(parsed, options));
  return std::make_unique<RedisIndexStore>(std::move(session));
}

}  // namespace cairn::index
