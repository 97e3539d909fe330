#include "index/redis/redis_client.h"

#include "absl/strings/string_view.h"

namespace cairn::index {

bool IsNotNow(const RedisReply& reply) {
  for (const absl::string_view word :
       {"LOADING", "BUSY ", "MASTERDOWN", "READONLY", "NOREPLICAS"}) {
    if (reply.IsError(word)) return true;
  }
  return false;
}

}  // namespace cairn::index
