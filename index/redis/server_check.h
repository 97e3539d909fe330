// What must be true of a Redis before an index is kept in it.

#ifndef CAIRN_INDEX_REDIS_SERVER_CHECK_H_
#define CAIRN_INDEX_REDIS_SERVER_CHECK_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cairn::index {

// What INFO and CONFIG GET say. Empty: the server does not say (a hosted Redis
// may forbid CONFIG).
struct ServerFacts {
  std::string version;           // "7.0.15"
  std::string maxmemory_policy;  // "noeviction"
  std::string appendonly;        // "yes"
  std::string appendfsync;       // "always"
  std::string cluster_enabled;   // "1"
  std::string role;              // "master"
};

// Pure. kFailedPrecondition: nothing can be kept there; the message says what
// to set. Else what an acknowledged write may lose, "" for nothing.
absl::StatusOr<std::string> CheckServer(const ServerFacts& facts,
                                        absl::string_view name);

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_SERVER_CHECK_H_
