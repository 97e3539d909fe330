// Disk is one subvolume as a place to write to: its directory, whether it has
// room, whether it has failed.

#ifndef CAIRN_VOLUME_DISK_H_
#define CAIRN_VOLUME_DISK_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "proto/cairn/v1/common.pb.h"
#include "volume/file_system.h"

namespace cairn::volume {

// Thread safety: any method from any thread.
class Disk {
 public:
  // `file_system` must outlive the disk. One that cannot be opened, or whose
  // `status` says so, has failed from the start.
  Disk(FileSystem* file_system, int subvolume, const std::string& path,
       const absl::Status& status);

  int subvolume() const { return subvolume_; }
  const std::string& path() const { return path_; }
  // Of the subvolume's directory; -1 if it could not be opened. Opened before
  // any write, so that syncfs on it reports every write that was lost.
  int fd() const { return fd_.get(); }
  // Subvolumes with the same number share one file system.
  dev_t device() const { return device_; }

  bool failed() const { return failed_.load(std::memory_order_acquire); }
  // kUnavailable with the reason, once the disk has failed.
  absl::Status CheckAlive() const;
  // Takes this disk alone out, for as long as the process lives: after a
  // failed sync the kernel may call lost pages clean.
  void Fail(const absl::Status& reason);

  // OK: a blob of `bytes` more may be begun. kResourceExhausted: too little
  // would stay free. Asks the disk at most once a kDiskRoomAgeMax.
  absl::Status CheckRoom(int64_t bytes);

  // errno of a call on `path` in this subvolume as a Status. EIO and EROFS
  // take the disk out (see Fail) and are kUnavailable.
  absl::Status Error(absl::string_view call, absl::string_view path, int error);

  // What the master is told.
  v1::Subvolume Report();

 private:
  struct Room {
    int64_t capacity_bytes = 0;
    int64_t free_bytes = 0;   // After the reserve; may be negative.
    int64_t free_inodes = 0;  // After the reserve; may be negative.
  };
  absl::Status OpenDirectory();
  absl::StatusOr<Room> GetRoom();

  FileSystem* const file_system_;
  const int subvolume_;
  const std::string path_;
  UniqueFd fd_;
  dev_t device_ = 0;

  // Set once, after reason_: whoever sees true (acquire) may read reason_
  // under mu_. Read without the lock on every operation.
  std::atomic<bool> failed_{false};

  // Guards values only; statvfs is called without it.
  mutable base::Mutex mu_;
  std::string reason_ ABSL_GUARDED_BY(mu_);
  Room room_ ABSL_GUARDED_BY(mu_);
  absl::Time room_at_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_DISK_H_
