// A whole cluster on loopback: the real master, agents with their nginx, and
// gateway, each killed and started as a test likes.

#ifndef CAIRN_TESTS_CLUSTER_H_
#define CAIRN_TESTS_CLUSTER_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proto/cairn/v1/admin.pb.h"
#include "tests/process.h"

namespace cairn::tests {

struct ClusterOptions {
  int volumes = 3;
  int replicas = 2;
  int subvolumes = 4;
  std::vector<std::string> master_flags;
  std::vector<std::string> gateway_flags;
  // By name: "volume-1".
  std::map<std::string, std::vector<std::string>> volume_flags;
  // Where master/cairn-master and the others lie; empty: where the test runs.
  std::string programs;
  // Words before each program: {"valgrind", "--tool=callgrind"}. What they run
  // must keep its pid.
  std::vector<std::string> wrapper;
  // How long volumes and gateway may need until they are up.
  absl::Duration ready_timeout = absl::Seconds(30);
};

// Its processes are named master, volume-1 ... volume-N and gateway; their
// data and logs lie in path()/NAME. All are stopped with the object.
// Not thread-safe, but for the functions that are const.
class Cluster {
 public:
  // Starts all and waits until every volume is up and the gateway is ready;
  // aborts the test, after printing the logs, when that takes longer than
  // ready_timeout.
  explicit Cluster(ClusterOptions options = {});
  ~Cluster();

  void Start(const std::string& name);
  // SIGTERM; the exit code.
  int Stop(const std::string& name);
  // SIGKILL, of this process alone.
  void Kill(const std::string& name);
  Process& process(const std::string& name) { return *processes_.at(name); }
  // In the order in which they start.
  std::vector<std::string> names() const;

  // Starts one more, empty; its name, once it is up.
  std::string AddVolume();

  // Gives stopped volumes new ports, or each other's, for their next start.
  void MoveVolume(const std::string& name);
  void SwapAddresses(const std::string& a, const std::string& b);

  // Takes effect at the next Start() of that process.
  ClusterOptions& options() { return options_; }

  // Until all volumes are up and the gateway says that it is ready.
  void WaitReady();
  // Until the master calls `name` that: VOLUME_STATE_UP, ...
  void WaitVolume(const std::string& name, v1::VolumeState state);
  v1::GetStatusResponse GetStatus() const;

  const std::string& path() const { return directory_.path(); }
  std::string volume_path(int number) const;
  // "0a1b2c3d": of a volume that is in the cluster.
  std::string VolumeId(const std::string& name) const;
  int gateway_port() const { return ports_.at("gateway"); }
  std::string admin_address() const;
  std::string master_address() const;
  // Of the gRPC of a master or volume, by name.
  std::string address(const std::string& name) const;
  // "http://127.0.0.1:PORT" + target.
  std::string Url(const std::string& target) const;
  // The blobs of all volumes: absolute paths, in order.
  std::vector<std::string> BlobFiles() const;
  // Of all agents that run: bytes they have written to files since their
  // start, and files without a name that they hold open (uploads under way).
  int64_t BytesWrittenByAgents() const;
  int OpenUploads() const;

 private:
  std::vector<std::string> CommandOf(const std::string& name) const;
  void PrintLogs() const;

  ClusterOptions options_;
  const TemporaryDirectory directory_;
  std::map<std::string, int> ports_;
  std::map<std::string, std::unique_ptr<Process>> processes_;
};

}  // namespace cairn::tests

#endif  // CAIRN_TESTS_CLUSTER_H_
