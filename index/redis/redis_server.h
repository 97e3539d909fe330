// A real redis-server for tests: on loopback and a unix socket, killed and
// started as a test likes.

#ifndef CAIRN_INDEX_REDIS_REDIS_SERVER_H_
#define CAIRN_INDEX_REDIS_REDIS_SERVER_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace cairn::index {

// A port of loopback that is free, as is the one kBusPortOffset above it, on
// which the node of a cluster listens too. Below the range from which the
// kernel takes ports for connections, so that it stays free.
inline constexpr int kBusPortOffset = 10000;
int FreeRedisPort();
// A new directory. Not below TEST_TMPDIR: the path of a socket has at most 107
// bytes.
std::string MakeRedisDirectory();
// Ends with its parent. `pause`: it starts after that, by itself.
pid_t StartProcess(std::vector<std::string> words, absl::Duration pause);

// Its data lies in a directory of its own, removed with the object, and
// survives Kill(). appendonly, fsync always, noeviction, unless `settings`
// ("--maxmemory", "50mb", ...) say otherwise. Not thread-safe.
class RedisServer {
 public:
  // Starts it and waits until it answers; aborts the test if it does not.
  explicit RedisServer(std::vector<std::string> settings = {});
  ~RedisServer();
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  void Start();
  // Returns at once; it starts after `pause`, by itself.
  void StartIn(absl::Duration pause);
  void Kill();  // SIGKILL, and waits for the end.
  void Signal(int number);

  std::string tcp_uri() const;   // redis://127.0.0.1:PORT
  std::string unix_uri() const;  // redis+unix:///...
  const std::string& directory() const { return directory_; }
  int port() const { return port_; }
  bool running() const { return pid_ >= 0; }
  std::vector<std::string>& settings() { return settings_; }

  // Runs redis-cli with these words; what it prints, without the last newline.
  std::string Cli(const std::string& words) const;

 private:
  // Killed while it wrote its torn log anew, Redis mends the log, ends, and
  // starts the next time.
  bool RefusedOnce() const;

  std::vector<std::string> settings_;
  std::string directory_;
  int port_ = 0;
  pid_t pid_ = -1;
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_REDIS_SERVER_H_
