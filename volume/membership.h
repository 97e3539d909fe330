// Membership keeps a volume in its cluster: joins at the master, sends
// heartbeats, stores what the master tells, and asks it about blobs whose
// outcome the agent never learned.

#ifndef CAIRN_VOLUME_MEMBERSHIP_H_
#define CAIRN_VOLUME_MEMBERSHIP_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "proto/cairn/v1/metadata.grpc.pb.h"
#include "volume/blob_store.h"
#include "volume/group_committer.h"
#include "volume/volume_directory.h"

namespace cairn::volume {

struct MembershipOptions {
  std::string master;        // host:port of the master's gRPC.
  std::string grpc_address;  // Announced: where others reach this agent.
  std::string http_address;  // Announced: where clients reach its nginx.
  std::string zone;
  // The last agent did not stop cleanly: ask about all unmarked blobs.
  bool unclean_start = false;
  // Set lower by tests.
  absl::Duration heartbeat_interval;
  absl::Duration check_interval;
  absl::Duration unmarked_age_max;
};
// The intervals of base/limits.h.
MembershipOptions DefaultMembershipOptions();

// Thread safety: any method from any thread.
class Membership {
 public:
  // Called once, when the master has taken the volume in.
  using OnJoined = std::function<void()>;
  // Called at most once, when the master will never take it: the process is
  // to end with this sentence. `removed`: with exit code 0.
  using OnRefused = std::function<void(absl::Status why, bool removed)>;

  // All pointers must outlive this. Starts threads that try for as long as it
  // lives; callbacks come on one of them.
  Membership(MembershipOptions options, VolumeDirectory* directory,
             BlobStore* store, GroupCommitter* committer, OnJoined on_joined,
             OnRefused on_refused);
  // Ends the threads; calls under way are cut after a heartbeat's time.
  ~Membership();

  // Asks about the unmarked blobs of `limit` or before, and acts on the
  // answers. Returns how many were marked or removed.
  absl::StatusOr<int> CheckBlobs(absl::Time limit);

 private:
  void RunSession();
  void RunChecks();
  absl::Status Join();
  absl::Status Beat();
  // Stores what heartbeats bring: the heartbeats themselves wait for no disk,
  // since one that syncs slowly is not a dead volume.
  void RunKeeper();
  // False: this is being destroyed.
  bool Pause(absl::Duration duration);
  absl::Status Store(const v1::ClusterMap& map, int64_t mark);
  int Obey(const std::vector<UnmarkedSet::Entry>& entries, size_t first,
           absl::Time limit, const v1::CheckBlobsResponse& verdicts);

  const MembershipOptions options_;
  VolumeDirectory* const directory_;
  BlobStore* const store_;
  GroupCommitter* const committer_;
  const OnJoined on_joined_;
  const OnRefused on_refused_;
  const std::unique_ptr<v1::MetadataService::Stub> stub_;
  const uint64_t session_id_;  // Drawn at each start.

  base::Mutex mu_;
  base::CondVar changed_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  bool joined_ ABSL_GUARDED_BY(mu_) = false;
  // What heartbeats brought and the keeper has not taken yet; the newest.
  std::unique_ptr<v1::HeartbeatResponse> news_ ABSL_GUARDED_BY(mu_);
  bool keeping_ ABSL_GUARDED_BY(mu_) = false;  // The keeper writes.

  std::thread keeper_;
  std::thread session_;
  std::thread checks_;
};

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_MEMBERSHIP_H_
