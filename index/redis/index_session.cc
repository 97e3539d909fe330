#include "index/redis/index_session.h"

#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"
#include "index/redis/cluster_client.h"
#include "index/redis/server_check.h"
#include "index/redis/server_client.h"
#include "index/redis/shard_encoding.h"

namespace cairn::index {
namespace {

constexpr char kFormat[] = "1";
constexpr char kFormatField[] = "format";
constexpr char kIndexField[] = "index";
constexpr char kStampField[] = "stamp";
constexpr char kStampNumber[] = "stamp";

std::string FactField(absl::string_view name) {
  return absl::StrCat("fact/", name);
}

std::string RandomId() {
  char bytes[16];
  CHECK(getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
  return base::ToHex(absl::string_view(bytes, sizeof(bytes)));
}

std::unique_ptr<RedisClient> NewClient(const RedisUri& uri) {
  if (uri.kind == RedisUri::Kind::kCluster) {
    return std::make_unique<ClusterClient>(uri);
  }
  return std::make_unique<ServerClient>(uri);
}

RedisCommand Command(const ScriptCall& call, absl::string_view first,
                     bool whole) {
  RedisCommand command;
  command.reserve(4 + call.keys.size() + call.args.size());
  command.push_back(whole ? "EVAL" : "EVALSHA");
  command.push_back(whole ? call.script->source : call.script->sha1);
  command.push_back(absl::StrCat(call.keys.size()));
  command.insert(command.end(), call.keys.begin(), call.keys.end());
  command.emplace_back(first);
  command.insert(command.end(), call.args.begin(), call.args.end());
  return command;
}

}  // namespace

IndexSession::IndexSession(const RedisUri& uri, const OpenOptions& options)
    : client_(NewClient(uri)),
      options_(options),
      owner_(options.owner.empty() ? RandomId() : options.owner) {}

absl::StatusOr<std::unique_ptr<IndexSession>> IndexSession::Open(
    const RedisUri& uri, const OpenOptions& options) {
  std::unique_ptr<IndexSession> session(new IndexSession(uri, options));
  RETURN_IF_ERROR(session->Prepare());
  return session;
}

IndexSession::~IndexSession() {
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    stop_.SignalAll();
  }
  if (!keeper_.joinable()) return;
  keeper_.join();
  ReleaseOwnership();
}

absl::Time IndexSession::Deadline() { return absl::Now() + base::kIndexWait; }

// --- Opening ---------------------------------------------------------------

absl::StatusOr<std::vector<RedisReply>> IndexSession::Run(
    absl::Span<const RedisCommand> commands, absl::Time deadline,
    bool changes) {
  RunOptions options;
  options.deadline = deadline;
  options.changes = changes;
  bool sent = false;
  return client_->Run(commands, options, &sent);
}

absl::Status IndexSession::Prepare() {
  RETURN_IF_ERROR(CheckServerFacts());
  RETURN_IF_ERROR(FindOrMakeIndex());
  RETURN_IF_ERROR(TakeOwnership());
  client_->set_check_server(
      [this](RedisConnection* connection, const RedisClient::Holds& holds) {
        return CheckFacts(connection, holds);
      });
  keeper_ = std::thread([this] { KeepOwnership(); });
  return AwaitWholeLog();
}

absl::Status IndexSession::AwaitWholeLog() {
  const absl::Time until = absl::Now() + base::kIndexLogWait;
  bool told = false;
  for (;;) {
    const absl::Status answer =
        Run({{"PING"}}, Deadline(), /*changes=*/true).status();
    if (!absl::IsUnavailable(answer) || absl::Now() > until) return answer;
    if (!told) base::LogInfo("the index waits: ", answer.message());
    told = true;
    // A server that has gone away meanwhile is not waited for by Run().
    absl::SleepFor(base::kIndexPauseMin);
  }
}

absl::Status IndexSession::CheckServerFacts() {
  ASSIGN_OR_RETURN(const auto servers,
                   client_->RunOnEach({{"INFO"},
                                       {"CONFIG", "GET", "appendfsync"},
                                       {"CONFIG", "GET", "appendonly"},
                                       {"CONFIG", "GET", "maxmemory-policy"}},
                                      Deadline()));
  for (const std::vector<RedisReply>& replies : servers) {
    const std::string& info = replies[0].text;
    const auto setting = [&replies](int i) {
      return replies[i].list.size() == 2 ? replies[i].list[1].text : "";
    };
    ServerFacts facts;
    facts.version = InfoField(info, "redis_version");
    facts.role = InfoField(info, "role");
    // That of a cluster is a node of it.
    if (!clustered())
      facts.cluster_enabled = InfoField(info, "cluster_enabled");
    facts.maxmemory_policy = InfoField(info, "maxmemory_policy");
    facts.appendfsync = setting(1);
    facts.appendonly = setting(2);
    if (facts.maxmemory_policy.empty()) facts.maxmemory_policy = setting(3);
    ASSIGN_OR_RETURN(const std::string risk, CheckServer(facts, uri().Text()));
    if (risk_.empty()) risk_ = risk;
  }
  if (!risk_.empty()) {
    base::LogWarning("an acknowledged write may be lost with the Redis at ",
                     uri().Text(), ": ", risk_,
                     "; appendonly yes and appendfsync always lose none");
  }
  return absl::OkStatus();
}

std::string IndexSession::risk() const {
  const std::string alone = client_->Alone();
  if (alone.empty()) return risk_;
  return absl::StrCat(risk_, risk_.empty() ? "" : "; and ",
                      "what a failover loses: no replica is connected to ",
                      alone);
}

absl::Status IndexSession::FindOrMakeIndex() {
  ASSIGN_OR_RETURN(
      const auto replies,
      Run({{"HMGET", kMetaName, kFormatField, kIndexField}}, Deadline()));
  if (replies[0].list.size() != 2) {
    return absl::FailedPreconditionError(
        absl::StrCat("the Redis at ", uri().Text(), " does not let this user ",
                     "read ", kMetaName, ": ", replies[0].text));
  }
  const RedisReply& format = replies[0].list[0];
  if (format.is(RedisReply::Type::kText)) {
    if (format.text != kFormat) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the index in the Redis at ", uri().Text(), " has format ",
          format.text, ", this program knows ", kFormat));
    }
    index_id_ = replies[0].list[1].text;
    return clustered() ? CheckShards() : absl::OkStatus();
  }
  ASSIGN_OR_RETURN(const auto sizes,
                   client_->RunOnEach({{"DBSIZE"}}, Deadline()));
  int64_t keys = 0;
  for (const auto& size : sizes) keys += size[0].integer;
  index_id_ = replies[0].list[1].text;
  return MakeIndex(keys);
}

absl::Status IndexSession::MakeIndex(int64_t keys) {
  // One that was interrupted has an id, and keys that hold nothing else.
  if (clustered() && !index_id_.empty() && keys <= 1 + 2 * kShards) {
    return MakeIndexInCluster();
  }
  if (keys != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the Redis at ", uri().Text(), " holds ", keys,
        " keys of something else: give an empty ",
        clustered() ? "Redis Cluster" : "database (/N at the end)"));
  }
  return clustered() ? MakeIndexInCluster() : MakeIndexInOneStep();
}

// All or nothing: a database that holds half of an index would be foreign.
absl::Status IndexSession::MakeIndexInOneStep() {
  index_id_ = RandomId();
  std::vector<RedisCommand> commands = {{"MULTI"}};
  commands.push_back({"HSET", kMetaName, kFormatField, kFormat, kIndexField,
                      index_id_, "shards", absl::StrCat(kShards)});
  for (int shard = 0; shard < kShards; ++shard) {
    commands.push_back({"SET", NamesOf(shard).index_id, index_id_});
  }
  commands.push_back({"EXEC"});
  ASSIGN_OR_RETURN(const auto replies,
                   Run(commands, Deadline(), /*changes=*/true));
  if (!replies.back().is(RedisReply::Type::kList)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the Redis at ", uri().Text(),
                     " takes no index: ", replies.back().text));
  }
  return absl::OkStatus();
}

// The id first, the format last: what is between can be done again, also by
// another master that begins at the same time.
absl::Status IndexSession::MakeIndexInCluster() {
  RunOptions options;
  options.deadline = Deadline();
  options.changes = true;
  bool sent = false;
  const auto run = [&](std::vector<RedisCommand> commands)
      -> absl::StatusOr<std::vector<RedisReply>> {
    ASSIGN_OR_RETURN(auto replies, client_->Run(commands, options, &sent));
    for (const RedisReply& reply : replies) {
      if (!reply.is(RedisReply::Type::kError)) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("the Redis Cluster at ", uri().Text(),
                       " takes no index: ", reply.text));
    }
    return replies;
  };
  ASSIGN_OR_RETURN(const auto made,
                   run({{"HSETNX", kMetaName, kIndexField, RandomId()},
                        {"HGET", kMetaName, kIndexField}}));
  index_id_ = made[1].text;
  std::vector<RedisCommand> commands;
  for (int shard = 0; shard < kShards; ++shard) {
    commands.push_back({"SET", NamesOf(shard).index_id, index_id_});
    commands.push_back({"SET", StampNameOf(shard), "0"});
  }
  RETURN_IF_ERROR(run(std::move(commands)).status());
  return run({{"HSET", kMetaName, kFormatField, kFormat, "shards",
               absl::StrCat(kShards)}})
      .status();
}

// At the start: no shard was emptied or came back older than the facts.
absl::Status IndexSession::CheckShards() {
  std::vector<RedisCommand> commands = {{"HGET", kMetaName, kStampField}};
  for (int shard = 0; shard < kShards; ++shard) {
    commands.push_back({"GET", NamesOf(shard).index_id});
    commands.push_back({"GET", StampNameOf(shard)});
  }
  ASSIGN_OR_RETURN(const auto replies, Run(commands, Deadline()));
  int64_t stamp = 0;  // Until the first fact there is none.
  (void)absl::SimpleAtoi(replies[0].text, &stamp);
  const absl::Status shards =
      JudgeShards(absl::MakeSpan(replies).subspan(1), stamp);
  base::MutexLock lock(&mu_);
  stamp_ = stamp;
  if (lost_.ok()) return shards;
  return absl::FailedPreconditionError(absl::StrCat(
      lost_.message(), ": bring back what the Redis Cluster at ", uri().Text(),
      " held, or empty all its nodes (FLUSHALL) to make the index again"));
}

absl::StatusOr<std::string> IndexSession::RenewOwnership(absl::Time deadline) {
  const ScriptCall call = {
      &TakeOwnershipScript(),
      {kOwnerName},
      {absl::StrCat(absl::ToInt64Milliseconds(base::kIndexOwnerTerm))}};
  const absl::Time asked = absl::Now();
  ASSIGN_OR_RETURN(const auto replies,
                   Run({Command(call, owner_, /*whole=*/true)}, deadline));
  if (replies[0].is(RedisReply::Type::kError)) {
    return absl::UnavailableError(replies[0].text);
  }
  if (replies[0].text == kDone || replies[0].text == kFree) {
    base::MutexLock lock(&mu_);
    owned_until_ = asked + base::kIndexOwnerTerm;
  }
  return replies[0].text;
}

absl::Status IndexSession::TakeOwnership() {
  // The term of one that was killed may have to run out first.
  const absl::Time until =
      absl::Now() + base::kIndexOwnerTerm + base::kIndexOwnerRenewal;
  bool told = false;
  for (;;) {
    ASSIGN_OR_RETURN(const std::string answer, RenewOwnership(Deadline()));
    if (answer == kDone || answer == kFree) return absl::OkStatus();
    if (absl::Now() > until) {
      return absl::FailedPreconditionError(
          absl::StrCat("the index in the Redis at ", uri().Text(),
                       " is in use by another master (", answer,
                       "): stop that one, or give ",
                       clustered() ? "another Redis Cluster"
                                   : "another database (/N at the end)"));
    }
    if (!told) {
      base::LogInfo("the index in the Redis at ", uri().Text(),
                    " was in use a moment ago: waiting for the end of that");
      told = true;
    }
    absl::SleepFor(absl::Milliseconds(200));
  }
}

void IndexSession::ReleaseOwnership() {
  const ScriptCall call = {&DropOwnershipScript(), {kOwnerName}, {}};
  // If it cannot be said, the term runs out by itself.
  Run({Command(call, owner_, /*whole=*/true)}, absl::Now())
      .status()
      .IgnoreError();
}

// --- While it runs ---------------------------------------------------------

void IndexSession::KeepOwnership() {
  for (;;) {
    {
      base::MutexLock lock(&mu_);
      if (!stopping_) stop_.WaitFor(&mu_, base::kIndexOwnerRenewal);
      if (stopping_) return;
    }
    // Whoever asks for something is told what is wrong.
    Renew(absl::Now()).IgnoreError();
  }
}

absl::Status IndexSession::Renew(absl::Time deadline) {
  ASSIGN_OR_RETURN(const std::string answer, RenewOwnership(deadline));
  if (answer == kDone) return absl::OkStatus();
  if (answer != kFree) {
    return SetLost(
        absl::StrCat("another master (", answer, ") has taken it meanwhile"));
  }
  // Nobody's for a while: somebody may have had it and gone.
  ASSIGN_OR_RETURN(const auto replies, Run({FactsCommand()}, deadline));
  return JudgeFacts(replies[0]);
}

absl::Status IndexSession::CheckFacts(RedisConnection* connection,
                                      const RedisClient::Holds& holds) {
  if (holds(kMetaName)) {
    ASSIGN_OR_RETURN(const auto replies, connection->Run({FactsCommand()}));
    RETURN_IF_ERROR(JudgeFacts(replies[0]));
  }
  if (!clustered()) return absl::OkStatus();
  int64_t stamp = 0;
  {
    base::MutexLock lock(&mu_);
    stamp = stamp_;
  }
  std::vector<RedisCommand> commands;
  for (int shard = 0; shard < kShards; ++shard) {
    if (!holds(NamesOf(shard).index_id)) continue;
    commands.push_back({"GET", NamesOf(shard).index_id});
    commands.push_back({"GET", StampNameOf(shard)});
  }
  ASSIGN_OR_RETURN(const auto replies, connection->Run(commands));
  return JudgeShards(replies, stamp);
}

absl::Status IndexSession::JudgeShards(absl::Span<const RedisReply> replies,
                                       int64_t stamp_min) {
  int emptied = 0;
  int older = 0;
  for (size_t i = 0; i + 1 < replies.size(); i += 2) {
    // Shards that move are there or on their way: their slots' nodes tell.
    const auto moves = [](const RedisReply& reply) {
      return reply.IsError("ASK") || reply.IsError("MOVED") ||
             reply.IsError("TRYAGAIN");
    };
    if (moves(replies[i]) || moves(replies[i + 1])) continue;
    if (replies[i].is(RedisReply::Type::kError)) {
      return absl::UnavailableError(absl::StrCat(
          "Redis Cluster at ", uri().Text(), ": ", replies[i].text));
    }
    int64_t stamp = 0;
    if (replies[i].text != index_id_) {
      ++emptied;
    } else if (!absl::SimpleAtoi(replies[i + 1].text, &stamp) ||
               stamp < stamp_min) {
      ++older;
    }
  }
  if (emptied == 0 && older == 0) return absl::OkStatus();
  return SetLost(absl::StrCat(emptied, " shards were emptied and ", older,
                              " came back with an older state"));
}

RedisCommand IndexSession::FactsCommand() {
  base::MutexLock lock(&mu_);
  RedisCommand command = {"HMGET", kMetaName, kIndexField};
  for (const auto& [name, values] : facts_) command.push_back(FactField(name));
  return command;
}

absl::Status IndexSession::JudgeFacts(const RedisReply& reply) {
  if (!reply.is(RedisReply::Type::kList)) {
    return absl::UnavailableError(
        absl::StrCat("Redis at ", uri().Text(), ": ", reply.text));
  }
  if (reply.list[0].text != index_id_) {
    return SetLost("Redis was emptied or holds another index");
  }
  std::string older;
  {
    base::MutexLock lock(&mu_);
    // One that was first set after the question is not among the answers.
    if (reply.list.size() != facts_.size() + 1) {
      return absl::UnavailableError("the index's facts change: try again");
    }
    size_t i = 1;
    for (const auto& [name, values] : facts_) {
      const std::string& now = reply.list[i++].text;
      if (std::find(values.begin(), values.end(), now) == values.end()) {
        older = name;
      }
    }
  }
  if (older.empty()) return absl::OkStatus();
  return SetLost(absl::StrCat("Redis came back with an older state (", older,
                              " is not what was written last)"));
}

absl::Status IndexSession::SetLost(absl::string_view why) {
  base::MutexLock lock(&mu_);
  if (lost_.ok()) {
    lost_ = absl::UnavailableError(absl::StrCat("the index is lost: ", why));
    base::LogError("the index in the Redis at ", uri().Text(),
                   " is lost: ", why,
                   "; nothing is served until this master is started "
                   "again, which finds out what is left");
  }
  return lost_;
}

absl::Status IndexSession::Usable(absl::Time deadline) {
  {
    base::MutexLock lock(&mu_);
    if (!lost_.ok()) return lost_;
    if (absl::Now() < owned_until_) return absl::OkStatus();
  }
  return Renew(deadline);
}

std::vector<RedisCommand> IndexSession::ChecksOf(
    absl::Span<const RedisCommand> commands) const {
  if (!clustered()) return {{"HGET", kMetaName, kIndexField}};
  std::vector<RedisCommand> checks;
  absl::flat_hash_set<std::string> names;
  for (const RedisCommand& command : commands) {
    if (command.size() < 2) continue;
    std::string name = IdNameBeside(command[1]);
    if (!names.insert(name).second) continue;
    checks.push_back(name == kMetaName
                         ? RedisCommand{"HGET", kMetaName, kIndexField}
                         : RedisCommand{"GET", std::move(name)});
  }
  return checks;
}

absl::StatusOr<std::vector<RedisReply>> IndexSession::Read(
    std::vector<RedisCommand> commands, absl::Time deadline) {
  const size_t count = commands.size();
  // Last in the same round trip: if Redis was emptied before any of the others,
  // this shows it.
  for (RedisCommand& check : ChecksOf(commands)) {
    commands.push_back(std::move(check));
  }
  RunOptions options;
  options.deadline = deadline;
  for (;;) {
    bool sent = false;
    auto replies = client_->Run(commands, options, &sent);
    if (!replies.ok()) {
      if (sent && absl::IsUnavailable(replies.status()) &&
          absl::Now() < deadline) {
        continue;
      }
      return replies;
    }
    for (size_t i = count; i < replies->size(); ++i) {
      const RedisReply& id = (*replies)[i];
      if (id.is(RedisReply::Type::kError)) {
        return absl::UnavailableError(
            absl::StrCat("Redis at ", uri().Text(), ": ", id.text));
      }
      if (id.text != index_id_) {
        return SetLost("Redis was emptied or holds another index");
      }
    }
    replies->resize(count);
    // After the round trip: a term that ended before it is known by now.
    RETURN_IF_ERROR(Usable(deadline));
    return replies;
  }
}

absl::StatusOr<std::vector<RedisReply>> IndexSession::Call(
    const std::vector<ScriptCall>& calls, absl::Time deadline, bool* sent) {
  *sent = false;
  RETURN_IF_ERROR(Usable(deadline));
  RunOptions options;
  options.deadline = deadline;
  options.changes = true;
  std::vector<RedisCommand> commands;
  commands.reserve(calls.size());
  for (const ScriptCall& call : calls) {
    commands.push_back(Command(call, index_id_, /*whole=*/false));
  }
  ASSIGN_OR_RETURN(auto replies, client_->Run(commands, options, sent));
  // A server that was started anew does not know the scripts.
  std::vector<size_t> unknown;
  commands.clear();
  for (size_t i = 0; i < calls.size(); ++i) {
    if (!replies[i].IsError("NOSCRIPT")) continue;
    unknown.push_back(i);
    commands.push_back(Command(calls[i], index_id_, /*whole=*/true));
  }
  if (!unknown.empty()) {
    bool again = false;  // Some of the others may be done: stays `sent`.
    ASSIGN_OR_RETURN(auto more, client_->Run(commands, options, &again));
    for (size_t i = 0; i < unknown.size(); ++i) {
      replies[unknown[i]] = std::move(more[i]);
    }
  }
  for (const RedisReply& reply : replies) {
    if (reply.text == kLost) {
      return SetLost("Redis was emptied or holds another index");
    }
  }
  return replies;
}

absl::Status IndexSession::Confirm(const std::vector<int>& shards) {
  if (!client_->fails_over()) return absl::OkStatus();
  std::vector<ScriptCall> calls;
  for (const int shard : shards) {
    calls.push_back(
        {&StampScript(), {NamesOf(shard).index_id, StampNameOf(shard)}, {"0"}});
  }
  if (calls.empty()) return absl::OkStatus();
  return CallAgain(calls).status();
}

absl::StatusOr<std::vector<RedisReply>> IndexSession::CallAgain(
    const std::vector<ScriptCall>& calls) {
  const absl::Time deadline = Deadline();
  for (;;) {
    bool sent = false;
    auto replies = Call(calls, deadline, &sent);
    if (!replies.ok() && sent && absl::IsUnavailable(replies.status()) &&
        absl::Now() < deadline) {
      continue;
    }
    RETURN_IF_ERROR(replies.status());
    for (const RedisReply& reply : *replies) {
      if (reply.is(RedisReply::Type::kError)) {
        return absl::UnavailableError(absl::StrCat(
            "writing the index at ", uri().Text(), ": ", reply.text));
      }
    }
    return replies;
  }
}

// --- Facts and numbers -----------------------------------------------------

absl::StatusOr<std::string> IndexSession::GetFact(absl::string_view name) {
  ASSIGN_OR_RETURN(const auto replies,
                   Read({{"HGET", kMetaName, FactField(name)}}, Deadline()));
  if (replies[0].is(RedisReply::Type::kNil)) {
    base::MutexLock lock(&mu_);
    facts_.try_emplace(std::string(name), std::vector<std::string>{""});
    return absl::NotFoundError(absl::StrCat(name, " was never set"));
  }
  if (!replies[0].is(RedisReply::Type::kText)) {
    return absl::UnavailableError(replies[0].text);
  }
  base::MutexLock lock(&mu_);
  facts_.try_emplace(std::string(name),
                     std::vector<std::string>{replies[0].text});
  return replies[0].text;
}

absl::Status IndexSession::SetFact(absl::string_view name,
                                   absl::string_view value) {
  base::MutexLock write_lock(&write_mu_);
  bool known = false;
  {
    base::MutexLock lock(&mu_);
    known = facts_.count(std::string(name)) > 0;
  }
  if (!known) {
    // What it may still be while the outcome of this is unknown.
    const absl::Status before = GetFact(name).status();
    if (!before.ok() && !absl::IsNotFound(before)) return before;
  }
  {
    base::MutexLock lock(&mu_);
    facts_[std::string(name)].emplace_back(value);
  }
  ScriptCall call = {
      &SetMetaScript(), {kMetaName}, {FactField(name), std::string(value)}};
  int64_t stamp = 0;
  if (clustered()) {
    ASSIGN_OR_RETURN(stamp, StampShards());
    call.args.push_back(kStampField);
    call.args.push_back(absl::StrCat(stamp));
  }
  RETURN_IF_ERROR(CallAgain({std::move(call)}).status());
  base::MutexLock lock(&mu_);
  stamp_ = stamp;
  facts_[std::string(name)] = {std::string(value)};
  return absl::OkStatus();
}

absl::StatusOr<int64_t> IndexSession::StampShards() {
  ASSIGN_OR_RETURN(const int64_t stamp, NextNumber(kStampNumber));
  std::vector<ScriptCall> calls;
  for (int shard = 0; shard < kShards; ++shard) {
    calls.push_back({&StampScript(),
                     {NamesOf(shard).index_id, StampNameOf(shard)},
                     {absl::StrCat(stamp)}});
  }
  RETURN_IF_ERROR(CallAgain(calls).status());
  return stamp;
}

absl::StatusOr<int64_t> IndexSession::NextNumber(absl::string_view name) {
  // Repeated after a failure it may skip a number, which does no harm.
  ASSIGN_OR_RETURN(const auto replies,
                   CallAgain({{&NextNumberScript(),
                               {kMetaName},
                               {absl::StrCat("number/", name)}}}));
  return replies[0].integer;
}

absl::StatusOr<bool> IndexSession::IsFull(bool fresh) {
  {
    base::MutexLock lock(&mu_);
    if (!fresh && absl::Now() < full_known_ + base::kIndexMemoryAge) {
      return full_;
    }
  }
  // Of many servers one may be away: that is no matter of those that are not.
  const auto servers = client_->RunOnEach(
      {{"INFO", "memory"}}, clustered() ? absl::Now() : Deadline());
  if (!servers.ok() && clustered()) {
    base::MutexLock lock(&mu_);
    full_known_ = absl::Now();
    return full_;
  }
  RETURN_IF_ERROR(servers.status());
  bool full = false;
  for (const auto& replies : *servers) {
    const auto number = [&](absl::string_view name) {
      int64_t value = 0;
      // 0 if it does not say.
      (void)absl::SimpleAtoi(InfoField(replies[0].text, name), &value);
      return value;
    };
    int64_t limit = number("maxmemory");
    if (limit == 0) limit = number("total_system_memory");
    full |=
        limit != 0 && limit - number("used_memory") < options_.free_bytes_min;
  }
  base::MutexLock lock(&mu_);
  full_ = full;
  full_known_ = absl::Now();
  return full;
}

}  // namespace cairn::index
