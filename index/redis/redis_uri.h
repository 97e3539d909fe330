// What --index=redis... says: where the Redis is and how to get in.

#ifndef CAIRN_INDEX_REDIS_REDIS_URI_H_
#define CAIRN_INDEX_REDIS_REDIS_URI_H_

#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cairn::index {

struct RedisAddress {
  std::string host;
  int port = 0;

  // "host:port"; an IPv6 address in brackets.
  std::string Text() const;
  friend bool operator==(const RedisAddress& a, const RedisAddress& b) {
    return a.host == b.host && a.port == b.port;
  }
  friend bool operator<(const RedisAddress& a, const RedisAddress& b) {
    return std::tie(a.host, a.port) < std::tie(b.host, b.port);
  }
};

struct RedisUri {
  enum class Kind {
    kServer,    // At `host` and `port`, or `path`.
    kCluster,   // `nodes` are some nodes of a Redis Cluster.
    kSentinel,  // `nodes` are Sentinels, who know the master `service`.
  };
  Kind kind = Kind::kServer;
  std::string host;  // Empty: `path` is a unix socket.
  int port = 6379;
  std::string path;
  std::vector<RedisAddress> nodes;
  std::string service;
  std::string user;      // Empty: Redis' default user.
  std::string password;  // Empty: none. Sentinels are not given one.
  int db = 0;

  // As it was given, without user and password: for people.
  std::string Text() const;
  // One server of a cluster, or the one that Sentinel names.
  RedisUri At(const RedisAddress& address) const;
};

// Whether ParseRedisUri() knows the scheme.
bool IsRedisUri(absl::string_view uri);

// redis://[user:pass@]host[:port][/db], redis+unix://[user:pass@]/path[?db=N],
// redis+cluster://[user:pass@]host:port,host:port,
// redis+sentinel://[user:pass@]host:port,host:port/name[/db],
// and http://host:port, which is understood as redis://. User and password may
// be percent-encoded. kInvalidArgument: not that; no message holds a password.
absl::StatusOr<RedisUri> ParseRedisUri(absl::string_view uri);

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_REDIS_URI_H_
