// One connection to a Redis server: the only place that includes hiredis.

#ifndef CAIRN_INDEX_REDIS_REDIS_CONNECTION_H_
#define CAIRN_INDEX_REDIS_REDIS_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/redis/redis_uri.h"

namespace cairn::index {

// What Redis answers to one command.
struct RedisReply {
  enum class Type { kNil, kInteger, kText, kError, kList };
  Type type = Type::kNil;
  int64_t integer = 0;
  std::string text;  // Of kText and kError.
  std::vector<RedisReply> list;

  bool is(Type wanted) const { return type == wanted; }
  // An error that begins with this word: "NOSCRIPT", "OOM".
  bool IsError(absl::string_view word) const;
};

// "a:b\r\nc:d" as INFO answers it: the value of `name`, "" if it is not there.
std::string InfoField(absl::string_view info, absl::string_view name);

// A command and its arguments; any bytes.
using RedisCommand = std::vector<std::string>;

// One thread at a time. The program must ignore SIGPIPE.
class RedisConnection {
 public:
  // Connects to one server, gives the password, chooses the database.
  // `timeout` holds for that and for each command. REQUIRES: kind kServer.
  // * kUnavailable: nobody answers there (yet).
  // * kFailedPrecondition: the password or the database number is wrong, or it
  //   is not a Redis; the message says which.
  static absl::StatusOr<std::unique_ptr<RedisConnection>> Connect(
      const RedisUri& uri, absl::Duration timeout);
  virtual ~RedisConnection() = default;
  // The URI of the server at the other end, without its password.
  const std::string& server() const { return server_; }

  // Sends all in one piece. kUnavailable: the connection has failed, what
  // became of the commands is unknown, and it must not be used again.
  virtual absl::Status Send(absl::Span<const RedisCommand> commands) = 0;
  // Waits for `count` answers, in order. An error that Redis answers is a
  // reply. Errors as those of Send().
  virtual absl::StatusOr<std::vector<RedisReply>> Receive(size_t count) = 0;
  // Both: one round trip.
  absl::StatusOr<std::vector<RedisReply>> Run(
      absl::Span<const RedisCommand> commands);

  // Which start of which server is at the other end, as INFO names it; "" until
  // it was asked for.
  const std::string& run_id() const { return run_id_; }
  // Asks for it. Errors as those of Send(), also if Redis does not tell.
  absl::Status AskRunId();

 protected:
  explicit RedisConnection(std::string server) : server_(std::move(server)) {}

 private:
  const std::string server_;
  std::string run_id_;
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_REDIS_CONNECTION_H_
