#include "index/redis/index_session.h"

#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"
#include "index/redis/server_check.h"
#include "index/redis/shard_encoding.h"

namespace cairn::index {
namespace {

constexpr char kFormat[] = "1";
constexpr char kFormatField[] = "format";
constexpr char kIndexField[] = "index";

std::string FactField(absl::string_view name) {
  return absl::StrCat("fact/", name);
}

std::string RandomId() {
  char bytes[16];
  CHECK(getrandom(bytes, sizeof(bytes), 0) == sizeof(bytes));
  return base::ToHex(absl::string_view(bytes, sizeof(bytes)));
}

// Deletes our ownership, and nobody else's.
const RedisScript& DropOwnershipScript() {
  static const auto& script = *new RedisScript([] {
    RedisScript made;
    made.source =
        "#!lua flags=allow-oom\n"
        "if redis.call('GET', KEYS[1]) == ARGV[1] then "
        "redis.call('DEL', KEYS[1]) end return 'DONE'";
    made.sha1 = base::Sha1Hex(made.source);
    return made;
  }());
  return script;
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
    : client_(uri),
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

absl::Status IndexSession::Prepare() {
  RETURN_IF_ERROR(CheckServerFacts());
  RETURN_IF_ERROR(FindOrMakeIndex());
  RETURN_IF_ERROR(TakeOwnership());
  client_.set_check_server(
      [this](RedisConnection* connection) { return CheckFacts(connection); });
  keeper_ = std::thread([this] { KeepOwnership(); });
  return absl::OkStatus();
}

absl::Status IndexSession::CheckServerFacts() {
  bool sent = false;
  ASSIGN_OR_RETURN(const auto replies,
                   client_.Run({{"INFO"},
                                {"CONFIG", "GET", "appendfsync"},
                                {"CONFIG", "GET", "appendonly"},
                                {"CONFIG", "GET", "maxmemory-policy"}},
                               Deadline(), &sent));
  const std::string& info = replies[0].text;
  const auto setting = [&replies](int i) {
    return replies[i].list.size() == 2 ? replies[i].list[1].text : "";
  };
  ServerFacts facts;
  facts.version = InfoField(info, "redis_version");
  facts.role = InfoField(info, "role");
  facts.cluster_enabled = InfoField(info, "cluster_enabled");
  facts.maxmemory_policy = InfoField(info, "maxmemory_policy");
  facts.appendfsync = setting(1);
  facts.appendonly = setting(2);
  if (facts.maxmemory_policy.empty()) facts.maxmemory_policy = setting(3);
  ASSIGN_OR_RETURN(risk_, CheckServer(facts, uri().Text()));
  if (!risk_.empty()) {
    base::LogWarning("an acknowledged write may be lost with the Redis at ",
                     uri().Text(), ": ", risk_,
                     "; appendonly yes and appendfsync always lose none");
  }
  return absl::OkStatus();
}

absl::Status IndexSession::FindOrMakeIndex() {
  bool sent = false;
  ASSIGN_OR_RETURN(
      const auto replies,
      client_.Run({{"HMGET", kMetaName, kFormatField, kIndexField}, {"DBSIZE"}},
                  Deadline(), &sent));
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
    return absl::OkStatus();
  }
  if (replies[1].integer != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the Redis at ", uri().Text(), " holds ", replies[1].integer,
        " keys of something else: give an empty database (/N at the end)"));
  }
  return MakeIndex();
}

// All or nothing: a database that holds half of an index would be foreign.
absl::Status IndexSession::MakeIndex() {
  index_id_ = RandomId();
  std::vector<RedisCommand> commands = {{"MULTI"}};
  commands.push_back({"HSET", kMetaName, kFormatField, kFormat, kIndexField,
                      index_id_, "shards", absl::StrCat(kShards)});
  for (int shard = 0; shard < kShards; ++shard) {
    commands.push_back({"SET", NamesOf(shard).index_id, index_id_});
  }
  commands.push_back({"EXEC"});
  bool sent = false;
  ASSIGN_OR_RETURN(const auto replies,
                   client_.Run(commands, Deadline(), &sent));
  if (!replies.back().is(RedisReply::Type::kList)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the Redis at ", uri().Text(),
                     " takes no index: ", replies.back().text));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> IndexSession::RenewOwnership(absl::Time deadline) {
  const ScriptCall call = {
      &TakeOwnershipScript(),
      {kOwnerName},
      {absl::StrCat(absl::ToInt64Milliseconds(base::kIndexOwnerTerm))}};
  const absl::Time asked = absl::Now();
  bool sent = false;
  ASSIGN_OR_RETURN(
      const auto replies,
      client_.Run({Command(call, owner_, /*whole=*/true)}, deadline, &sent));
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
      return absl::FailedPreconditionError(absl::StrCat(
          "the index in the Redis at ", uri().Text(),
          " is in use by another master (", answer,
          "): stop that one, or give another database (/N at the end)"));
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
  bool sent = false;
  // If it cannot be said, the term runs out by itself.
  client_.Run({Command(call, owner_, /*whole=*/true)}, absl::Now(), &sent)
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
  bool sent = false;
  ASSIGN_OR_RETURN(const auto replies,
                   client_.Run({FactsCommand()}, deadline, &sent));
  return JudgeFacts(replies[0]);
}

absl::Status IndexSession::CheckFacts(RedisConnection* connection) {
  ASSIGN_OR_RETURN(const auto replies, connection->Run({FactsCommand()}));
  return JudgeFacts(replies[0]);
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

absl::StatusOr<std::vector<RedisReply>> IndexSession::Read(
    std::vector<RedisCommand> commands, absl::Time deadline) {
  // Last in the same round trip: if Redis was emptied before any of the others,
  // this shows it.
  commands.push_back({"HGET", kMetaName, kIndexField});
  for (;;) {
    bool sent = false;
    auto replies = client_.Run(commands, deadline, &sent);
    if (!replies.ok()) {
      if (sent && absl::IsUnavailable(replies.status()) &&
          absl::Now() < deadline) {
        continue;
      }
      return replies;
    }
    if (replies->back().is(RedisReply::Type::kError)) {
      return absl::UnavailableError(
          absl::StrCat("Redis at ", uri().Text(), ": ", replies->back().text));
    }
    if (replies->back().text != index_id_) {
      return SetLost("Redis was emptied or holds another index");
    }
    replies->pop_back();
    // After the round trip: a term that ended before it is known by now.
    RETURN_IF_ERROR(Usable(deadline));
    return replies;
  }
}

absl::StatusOr<std::vector<RedisReply>> IndexSession::Call(
    const std::vector<ScriptCall>& calls, absl::Time deadline, bool* sent) {
  *sent = false;
  RETURN_IF_ERROR(Usable(deadline));
  std::vector<RedisCommand> commands;
  commands.reserve(calls.size());
  for (const ScriptCall& call : calls) {
    commands.push_back(Command(call, index_id_, /*whole=*/false));
  }
  ASSIGN_OR_RETURN(auto replies, client_.Run(commands, deadline, sent));
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
    ASSIGN_OR_RETURN(auto more, client_.Run(commands, deadline, &again));
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
  RETURN_IF_ERROR(CallAgain({{&SetMetaScript(),
                              {kMetaName},
                              {FactField(name), std::string(value)}}})
                      .status());
  base::MutexLock lock(&mu_);
  facts_[std::string(name)] = {std::string(value)};
  return absl::OkStatus();
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
  ASSIGN_OR_RETURN(const auto replies, Read({{"INFO", "memory"}}, Deadline()));
  const auto number = [&](absl::string_view name) {
    int64_t value = 0;
    // 0 if it does not say.
    (void)absl::SimpleAtoi(InfoField(replies[0].text, name), &value);
    return value;
  };
  int64_t limit = number("maxmemory");
  if (limit == 0) limit = number("total_system_memory");
  const bool full =
      limit != 0 && limit - number("used_memory") < options_.free_bytes_min;
  base::MutexLock lock(&mu_);
  full_ = full;
  full_known_ = absl::Now();
  return full;
}

}  // namespace cairn::index
