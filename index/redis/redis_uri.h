// What --index=redis... says: where the Redis is and how to get in.

#ifndef CAIRN_INDEX_REDIS_REDIS_URI_H_
#define CAIRN_INDEX_REDIS_REDIS_URI_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cairn::index {

struct RedisUri {
  std::string host;  // Empty: `path` is a unix socket.
  int port = 6379;
  std::string path;
  std::string user;      // Empty: Redis' default user.
  std::string password;  // Empty: none.
  int db = 0;

  // As it was given, without user and password: for people.
  std::string Text() const;
};

// Whether ParseRedisUri() knows the scheme.
bool IsRedisUri(absl::string_view uri);

// redis://[user:pass@]host[:port][/db], redis+unix://[user:pass@]/path[?db=N],
// and http://host:port, which is understood as redis://. User and password may
// be percent-encoded. kInvalidArgument: not that; no message holds a password.
absl::StatusOr<RedisUri> ParseRedisUri(absl::string_view uri);

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_REDIS_URI_H_
