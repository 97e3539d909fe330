#include "index/redis/sentinel.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/status.h"
#include "index/redis/redis_connection.h"

namespace cairn::index {
namespace {

// For each step with one Sentinel: it has nothing else to do.
constexpr absl::Duration kSentinelTimeout = absl::Seconds(1);

struct Answer {
  RedisAddress master;
  int64_t epoch = -1;  // Higher with each failover.
};

absl::StatusOr<Answer> ParseAnswer(const RedisReply& reply, const RedisUri& uri,
                                   const RedisAddress& sentinel) {
  if (reply.IsError("ERR No such master")) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the Sentinel at ", sentinel.Text(), " knows no master \"", uri.service,
        "\": give the name that stands in its sentinel.conf"));
  }
  if (absl::StrContains(reply.text, "unknown command")) {
    return absl::FailedPreconditionError(
        absl::StrCat("the Redis at ", sentinel.Text(),
                     " is no Sentinel: give redis://", sentinel.Text()));
  }
  // Names and values in turn.
  Answer answer;
  for (size_t i = 0; i + 1 < reply.list.size(); i += 2) {
    const std::string& value = reply.list[i + 1].text;
    if (reply.list[i].text == "ip") answer.master.host = value;
    if (reply.list[i].text == "port") {
      (void)absl::SimpleAtoi(value, &answer.master.port);
    }
    if (reply.list[i].text == "config-epoch") {
      (void)absl::SimpleAtoi(value, &answer.epoch);
    }
  }
  if (answer.master.host.empty() || answer.master.port == 0) {
    return absl::UnavailableError(absl::StrCat(
        "the Sentinel at ", sentinel.Text(), " says: ", reply.text));
  }
  return answer;
}

absl::StatusOr<Answer> AskOne(const RedisUri& uri,
                              const RedisAddress& sentinel) {
  RedisUri at;  // Without the password, which is the server's.
  at.host = sentinel.host;
  at.port = sentinel.port;
  ASSIGN_OR_RETURN(auto connection,
                   RedisConnection::Connect(at, kSentinelTimeout));
  ASSIGN_OR_RETURN(const auto replies,
                   connection->Run({{"SENTINEL", "MASTER", uri.service}}));
  return ParseAnswer(replies[0], uri, sentinel);
}

}  // namespace

absl::StatusOr<RedisAddress> FindMaster(const RedisUri& uri) {
  Answer newest;
  absl::Status failed;
  for (const RedisAddress& sentinel : uri.nodes) {
    auto answer = AskOne(uri, sentinel);
    if (!answer.ok()) {
      // "That is wrong" tells more than "it is away".
      if (failed.ok() || absl::IsUnavailable(failed)) failed = answer.status();
      continue;
    }
    if (answer->epoch > newest.epoch) newest = *std::move(answer);
  }
  if (newest.epoch >= 0) return newest.master;
  return failed;
}

}  // namespace cairn::index
