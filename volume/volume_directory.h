// VolumeDirectory is what a volume knows of itself between two starts: its id,
// its cluster, the cluster map, its mark. One directory of small files:
//
//   lock           held while an agent runs; its process id
//   volume.json    volume id, cluster id, number of subvolumes
//   cluster_map    the last map the master sent, as JSON
//   mark           see design of the index; a decimal number
//   fencing_number the highest one that was obeyed
//   secret         signs redirects; 32 random bytes in hexadecimal
//   clean_stop     only after a clean stop: the blobs still unmarked
//   nginx/         see nginx.h
//   subvolume-N/   the blobs, unless --subvolume_dirs says otherwise
//
// Each file is replaced whole (written beside it, synced, renamed, directory
// synced): after a crash it is the old one or the new one.

#ifndef CAIRN_VOLUME_VOLUME_DIRECTORY_H_
#define CAIRN_VOLUME_VOLUME_DIRECTORY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "proto/cairn/v1/common.pb.h"
#include "volume/file_system.h"

namespace cairn::volume {

// Writes `bytes` to `directory`/`name` so that a crash leaves the old file or
// the new one. OK: it is on disk.
absl::Status ReplaceFile(const std::string& directory, const std::string& name,
                         absl::string_view bytes, mode_t mode = 0644);
// kNotFound: there is no such file.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path);

// One disk as found at the start.
struct SubvolumeDirectory {
  std::string path;
  // Not OK: the disk is not there or not ours; the others go on without it.
  absl::Status status;
};

// Thread safety: any method from any thread.
class VolumeDirectory {
 public:
  // Makes what is missing and locks the directory. `subvolume_directories` is
  // empty (DATA/subvolume-0 ...) or has one path for each subvolume.
  // kFailedPrecondition, with one sentence for the person who started it: in
  // use, another number of subvolumes, a file system without user xattrs or
  // without O_TMPFILE, a volume that was removed.
  static absl::StatusOr<std::unique_ptr<VolumeDirectory>> Open(
      const std::string& path, int subvolumes,
      std::vector<std::string> subvolume_directories);

  const std::string& path() const { return path_; }
  uint32_t volume_id() const { return volume_id_; }
  const std::vector<SubvolumeDirectory>& subvolumes() const {
    return subvolumes_;
  }
  const std::string& secret() const { return secret_; }

  // Empty until the first join.
  std::string cluster_id() const;
  // Durable when it returns. kFailedPrecondition: the map is of another
  // cluster than the volume. An older epoch changes nothing.
  absl::Status StoreClusterMap(const v1::ClusterMap& map);
  v1::ClusterMap cluster_map() const;

  int64_t mark() const;
  // Durable when it returns; a lower one changes nothing.
  absl::Status StoreMark(int64_t mark);

  // kFailedPrecondition: `number` is below the highest one seen. A higher one
  // is durable before it is obeyed.
  absl::Status CheckFencingNumber(int64_t number);

  // True: the last agent stopped cleanly, and `unmarked` ("2/ab/name") is all
  // it left unmarked. Forgets it: call once, before the first write.
  absl::StatusOr<bool> TakeCleanStop(std::vector<std::string>* unmarked);
  absl::Status WriteCleanStop(const std::vector<std::string>& unmarked);

  // Notes that the cluster has removed this volume for good.
  absl::Status WriteRemoved(absl::string_view sentence);
  // What was noted in the directory `path`; empty: it was not removed.
  static std::string RemovedNote(const std::string& path);

 private:
  explicit VolumeDirectory(std::string path) : path_(std::move(path)) {}

  absl::Status Lock();
  absl::Status LoadIdentity(int subvolumes);
  absl::Status LoadState();
  absl::Status StoreIdentity(const std::string& cluster_id);
  absl::Status OpenSubvolumes(std::vector<std::string> directories);
  absl::Status OpenSubvolume(int subvolume, const std::string& path);
  absl::Status ClaimSubvolumes();

  const std::string path_;
  // Set by Open(), before a second thread can see this object.
  UniqueFd lock_;
  uint32_t volume_id_ = 0;
  int subvolume_count_ = 0;
  // True until every subvolume carries this volume's id.
  bool first_start_ = false;
  std::vector<SubvolumeDirectory> subvolumes_;
  std::string secret_;

  // Orders the writers of the small files. Held while one is replaced: that
  // happens about once a second, and no other thread waits for it.
  base::Mutex write_mu_;
  // Guards the values, nothing slow.
  mutable base::Mutex mu_;
  std::string cluster_id_ ABSL_GUARDED_BY(mu_);
  v1::ClusterMap map_ ABSL_GUARDED_BY(mu_);
  int64_t mark_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t fencing_number_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_VOLUME_DIRECTORY_H_
