// Who belongs to the cluster, who of them is alive, and whether the index may
// be believed. Owns the cluster map.
//
// The index is believed when volumes of its cluster bear it out: none of them
// has a higher mark, and R of them have joined once. While it is not, nothing
// is served (`unavailable_reason` says why), and nothing is written to the
// index or to volumes' disks that would hide the loss.

#ifndef CAIRN_MASTER_MEMBERSHIP_H_
#define CAIRN_MASTER_MEMBERSHIP_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "client/metadata_client.h"
#include "index/index_store.h"
#include "master/index_mark.h"
#include "master/volume_marks.h"
#include "proto/cairn/v1/common.pb.h"
#include "proto/cairn/v1/metadata.pb.h"

namespace cairn::master {

inline constexpr char kLostReason[] = "the index is lost: run `cairn rebuild`";

// Thread safety: any method from any thread.
class Membership {
 public:
  using View = std::shared_ptr<const client::ClusterView>;
  // Time that only goes forward; a test gives its own.
  using Now = std::function<absl::Time()>;

  struct Options {
    index::IndexStore* index = nullptr;  // Outlives this object, as does mark.
    IndexMark* mark = nullptr;
    VolumeMarks* volume_marks = nullptr;  // Likewise. nullptr: not asked.
    v1::ClusterMap map;                   // From OpenCluster().
    int64_t fencing_number = 0;           // Handed to agents.
    bool lost = false;                    // A rebuild of the index has begun.
    Now now;                              // Empty: the monotonic clock.
    // Milliseconds since 1970, also over restarts: the index's clock. Empty:
    // the wall clock.
    std::function<int64_t()> now_ms;
  };
  explicit Membership(Options options);

  // See MetadataService.Join for the errors. While the index is lost the
  // volume is let in as a guest, so that its process runs: the response then
  // has neither map nor mark, and the volume keeps its own. Blocks: a change
  // of the map is durable before it returns.
  absl::StatusOr<v1::JoinResponse> Join(const v1::JoinRequest& request);

  // See MetadataService.Heartbeat. May block like Join().
  absl::StatusOr<v1::HeartbeatResponse> Heartbeat(
      const v1::HeartbeatRequest& request);

  // Finds volumes that have fallen silent. Call some times a second. Blocks
  // when there is a change.
  void Tick();

  // What everyone may know now, signing secrets included. Never nullptr.
  View view();
  // Waits until the view is another than `known`, at most `timeout`, or until
  // StopWatching().
  View WaitForChange(const View& known, absl::Duration timeout);
  // Wakes those who wait, now and later.
  void StopWatching();

  // OK, or kUnavailable with the reason why nothing is served.
  absl::Status CheckServing();
  // True: the index is lost, as far as is known now.
  bool lost();
  // True in the first seconds after a restart, while it is not known yet
  // whether the volumes bear the index out.
  bool settling();

  // False: agents that run may still be on their way to join, since the master
  // has only just started.
  bool HadTimeToJoin();
  // Ends the loss of the index: it has been made again, for the cluster of
  // `map`, which becomes the map, durably. Volumes of it that are here are
  // members from now on, without joining again; all others have to join.
  // Blocks. Not OK: the index is still lost.
  absl::Status Recover(v1::ClusterMap map);

  // --- What an operator asks for ---
  //
  // kNotFound: no volume has this id. kUnavailable: the cluster serves nothing,
  // or the index does not answer; the change may come about all the same, since
  // it is tried again.

  // OK: R volumes that are not draining are left without this one. Else
  // kFailedPrecondition.
  absl::Status CheckCanLeave(uint32_t volume_id);
  // Durable when it returns. kFailedPrecondition as above, of a drain.
  absl::Status SetDraining(uint32_t volume_id, bool draining);
  // For good: the id is never taken again. Durable when it returns.
  // kFailedPrecondition as above. REQUIRES: no key names the volume, and none
  // will.
  absl::Status Remove(uint32_t volume_id);
  // For how long the volume has been silent, restarts of the master included;
  // zero while it is up.
  absl::Duration DownFor(uint32_t volume_id);

  // --- Volumes that have come back in an older state than they had ---

  // Those of them that are up, with their sessions.
  std::map<uint32_t, uint64_t> Unconfirmed();
  // The volume has been compared with the index, all in this session: its
  // copies count again. Durable when it returns. kAborted: it has joined anew
  // since, and may have been set back again.
  absl::Status Confirm(uint32_t volume_id, uint64_t session_id);

  // Volumes with the newest fill levels, guests included, without secrets.
  std::vector<v1::Volume> Volumes();
  std::vector<v1::Volume> VolumesWithSecrets();

 private:
  struct Session {
    uint64_t session_id = 0;  // 0: has not joined since the master started.
    absl::Time last_beat;
  };
  struct Guest {
    v1::Volume volume;
    Session session;
  };

  static absl::Status CheckRequest(const v1::ClusterMap& map,
                                   const v1::JoinRequest& request);
  // May find that the index is lost. Not OK: the volume is refused.
  absl::Status JudgeLocked(const v1::JoinRequest& request, bool* guest)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LoseLocked(const std::string& why) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CheckSessionLocked(const Session& session,
                                  const v1::Volume& volume,
                                  const v1::JoinRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status JoinGuestLocked(const v1::JoinRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status JoinMemberLocked(const v1::JoinRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Whether a volume of the map has lost something since it was last here.
  bool SetBackLocked(const v1::JoinRequest& request)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  v1::Volume* FindLocked(uint32_t volume_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CheckCanLeaveLocked(uint32_t volume_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes the volume over; a change beyond fill bytes makes a new epoch.
  void UpdateLocked(v1::Volume* old_volume, v1::Volume new_volume)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool LiveLocked(const Session& session) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool LostLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  bool SettledLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  std::string ReasonLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Makes the newest map durable, then the view.
  absl::Status Publish();

  index::IndexStore* const index_;
  IndexMark* const mark_;
  VolumeMarks* const volume_marks_;
  const int64_t fencing_number_;
  const Now now_;
  const std::function<int64_t()> now_ms_;
  const absl::Time started_;

  // Held across the write of the map, so that maps are stored and shown in the
  // order of their epochs. Nothing on the hot path takes it.
  base::Mutex publish_mu_;
  int64_t stored_epoch_ ABSL_GUARDED_BY(publish_mu_);

  // Guards the map and sessions, nothing slow.
  base::Mutex mu_;
  base::CondVar changed_;
  v1::ClusterMap map_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint32_t, Session> sessions_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<uint32_t, Guest> guests_ ABSL_GUARDED_BY(mu_);
  // For good, until a restart (which finds it again) or a rebuild.
  bool lost_ ABSL_GUARDED_BY(mu_) = false;
  bool member_joined_ ABSL_GUARDED_BY(mu_) = false;  // Since the start.
  bool settled_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  View view_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_MEMBERSHIP_H_
