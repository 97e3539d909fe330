#include "index/redis/redis_client.h"

#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace cairn::index {

std::string InfoField(absl::string_view info, absl::string_view name) {
  for (absl::string_view line : absl::StrSplit(info, '\n')) {
    if (absl::ConsumePrefix(&line, name) && absl::ConsumePrefix(&line, ":")) {
      absl::ConsumeSuffix(&line, "\r");
      return std::string(line);
    }
  }
  return "";
}

bool IsNotNow(const RedisReply& reply) {
  for (const absl::string_view word :
       {"LOADING", "BUSY ", "MASTERDOWN", "READONLY", "NOREPLICAS"}) {
    if (reply.IsError(word)) return true;
  }
  return false;
}

}  // namespace cairn::index
