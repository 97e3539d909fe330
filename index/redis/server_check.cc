#include "index/redis/server_check.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace cairn::index {
namespace {

// Flags of scripts (allow-oom) came with 7.0.
constexpr int kMajorMin = 7;

absl::Status Refused(absl::string_view name, absl::string_view why) {
  return absl::FailedPreconditionError(
      absl::StrCat("the Redis at ", name, " ", why));
}

}  // namespace

absl::StatusOr<std::string> CheckServer(const ServerFacts& facts,
                                        absl::string_view name) {
  int major = 0;
  if (!absl::SimpleAtoi(facts.version.substr(0, facts.version.find('.')),
                        &major) ||
      major < kMajorMin) {
    return Refused(name, absl::StrCat("is version ", facts.version,
                                      ": Cairn needs 7.0 or later"));
  }
  if (facts.role == "slave") {
    return Refused(name,
                   "is a replica, which takes no writes: give its master");
  }
  if (facts.cluster_enabled == "1") {
    return Refused(
        name,
        "is a node of a Redis Cluster: give redis+cluster:// and some "
        "of its nodes as host:port,host:port");
  }
  if (!facts.maxmemory_policy.empty() &&
      facts.maxmemory_policy != "noeviction") {
    return Refused(name,
                   absl::StrCat("would forget keys when memory is full: set "
                                "maxmemory-policy to noeviction (it is ",
                                facts.maxmemory_policy, ")"));
  }
  if (facts.appendonly == "no") {
    return std::string(
        "all since Redis' last snapshot, if Redis ends (appendonly is no)");
  }
  if (facts.appendfsync == "everysec") {
    return std::string(
        "the last second or two, if the power fails (appendfsync is "
        "everysec)");
  }
  if (facts.appendfsync == "no") {
    return std::string(
        "the last half minute, if the power fails (appendfsync is no)");
  }
  if (facts.appendfsync != "always") {
    return std::string(
        "what Redis loses: it does not tell its appendonly and appendfsync");
  }
  return std::string();
}

}  // namespace cairn::index
