#include "index/redis/redis_connection.h"

#include <hiredis/hiredis.h>
#include <sys/time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace cairn::index {
namespace {

// For a connection to come about: a packet that was lost is sent again after
// 1 s; a machine that is gone says nothing.
constexpr absl::Duration kConnectMax = absl::Seconds(2);

struct FreeContext {
  void operator()(redisContext* context) const { redisFree(context); }
};
using Context = std::unique_ptr<redisContext, FreeContext>;

RedisReply Taken(const redisReply& from) {
  RedisReply reply;
  switch (from.type) {
    case REDIS_REPLY_INTEGER:
      reply.type = RedisReply::Type::kInteger;
      reply.integer = from.integer;
      break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      reply.type = RedisReply::Type::kText;
      reply.text.assign(from.str, from.len);
      break;
    case REDIS_REPLY_ERROR:
      reply.type = RedisReply::Type::kError;
      reply.text.assign(from.str, from.len);
      break;
    case REDIS_REPLY_ARRAY:
      reply.type = RedisReply::Type::kList;
      reply.list.reserve(from.elements);
      for (size_t i = 0; i < from.elements; ++i) {
        reply.list.push_back(Taken(*from.element[i]));
      }
      break;
    default:
      break;
  }
  return reply;
}

class HiredisConnection final : public RedisConnection {
 public:
  HiredisConnection(Context context, std::string server)
      : RedisConnection(std::move(server)), context_(std::move(context)) {}

  absl::Status Send(absl::Span<const RedisCommand> commands) override {
    std::vector<const char*> words;
    std::vector<size_t> lengths;
    for (const RedisCommand& command : commands) {
      words.clear();
      lengths.clear();
      for (const std::string& word : command) {
        words.push_back(word.data());
        lengths.push_back(word.size());
      }
      if (redisAppendCommandArgv(context_.get(),
                                 static_cast<int>(command.size()), words.data(),
                                 lengths.data()) != REDIS_OK) {
        return Failed();
      }
    }
    int done = 0;
    while (done == 0) {
      if (redisBufferWrite(context_.get(), &done) != REDIS_OK) return Failed();
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<RedisReply>> Receive(size_t count) override {
    std::vector<RedisReply> replies;
    replies.reserve(count);
    for (size_t i = 0; i < count; ++i) {
      void* reply = nullptr;
      if (redisGetReply(context_.get(), &reply) != REDIS_OK) return Failed();
      replies.push_back(Taken(*static_cast<redisReply*>(reply)));
      freeReplyObject(reply);
    }
    return replies;
  }

  // The only place where an error of hiredis becomes a Status.
  absl::Status Failed() const {
    if (context_->err == REDIS_ERR_PROTOCOL) {
      return absl::FailedPreconditionError(absl::StrCat(
          server(), " does not speak Redis' protocol: is it a Redis?"));
    }
    return absl::UnavailableError(
        absl::StrCat("Redis at ", server(), ": ", context_->errstr));
  }

 private:
  const Context context_;
};

// AUTH and SELECT, and a PING that shows who is there.
absl::Status Greet(const RedisUri& uri, RedisConnection* connection) {
  std::vector<RedisCommand> commands;
  if (!uri.password.empty()) {
    commands.push_back(uri.user.empty()
                           ? RedisCommand{"AUTH", uri.password}
                           : RedisCommand{"AUTH", uri.user, uri.password});
  }
  // Sentinels know no SELECT.
  if (uri.db != 0) commands.push_back({"SELECT", absl::StrCat(uri.db)});
  commands.push_back({"PING"});
  ASSIGN_OR_RETURN(const auto replies, connection->Run(commands));
  for (const RedisReply& reply : replies) {
    if (!reply.is(RedisReply::Type::kError)) continue;
    if (reply.IsError("NOAUTH")) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the Redis at ", uri.Text(),
          " wants a password: give redis://user:password@host:port"));
    }
    if (reply.IsError("WRONGPASS") || absl::StrContains(reply.text, "AUTH")) {
      return absl::FailedPreconditionError(
          absl::StrCat("the Redis at ", uri.Text(),
                       " does not take this user and password"));
    }
    if (absl::StrContains(reply.text, "DB index")) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the Redis at ", uri.Text(), " has no database ", uri.db,
          ": give a lower number, or raise `databases` in its redis.conf"));
    }
    if (reply.IsError("LOADING")) {
      return absl::UnavailableError(
          absl::StrCat("the Redis at ", uri.Text(),
                       " is still loading its data: try again in a while"));
    }
    return absl::UnavailableError(
        absl::StrCat("Redis at ", uri.Text(), ": ", reply.text));
  }
  if (replies.back().text != "PONG") {
    return absl::FailedPreconditionError(absl::StrCat(
        uri.Text(), " does not answer as a Redis does: is it one?"));
  }
  return absl::OkStatus();
}

}  // namespace

bool RedisReply::IsError(absl::string_view word) const {
  return type == Type::kError && absl::StartsWith(text, word);
}

std::string InfoField(absl::string_view info, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(info, '\n')) {
    if (absl::ConsumePrefix(&line, name) && absl::ConsumePrefix(&line, ":")) {
      absl::ConsumeSuffix(&line, "\r");
      return std::string(line);
    }
  }
  return "";
}

absl::StatusOr<std::vector<RedisReply>> RedisConnection::Run(
    absl::Span<const RedisCommand> commands) {
  RETURN_IF_ERROR(Send(commands));
  return Receive(commands.size());
}

absl::Status RedisConnection::AskRunId() {
  ASSIGN_OR_RETURN(const auto info, Run({{"INFO", "server"}}));
  if (info[0].is(RedisReply::Type::kError)) {
    return absl::UnavailableError(
        absl::StrCat("Redis at ", server_, ": ", info[0].text));
  }
  run_id_ = InfoField(info[0].text, "run_id");
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<RedisConnection>> RedisConnection::Connect(
    const RedisUri& uri, absl::Duration timeout) {
  const timeval limit = absl::ToTimeval(timeout);
  const timeval connect = absl::ToTimeval(std::min(timeout, kConnectMax));
  Context context(
      uri.host.empty()
          ? redisConnectUnixWithTimeout(uri.path.c_str(), connect)
          : redisConnectWithTimeout(uri.host.c_str(), uri.port, connect));
  if (context == nullptr) return absl::UnavailableError("out of memory");
  if (context->err != 0) {
    return absl::UnavailableError(absl::StrCat(
        "no Redis answers at ", uri.Text(), ": ", context->errstr));
  }
  redisSetTimeout(context.get(), limit);
  if (uri.path.empty()) redisEnableKeepAlive(context.get());
  auto connection =
      std::make_unique<HiredisConnection>(std::move(context), uri.Text());
  RETURN_IF_ERROR(Greet(uri, connection.get()));
  return connection;
}

}  // namespace cairn::index
