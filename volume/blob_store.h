// BlobStore makes, renames, marks, reads and removes the blobs of a volume.
//
// A change is durable only after Sync() of what it returned; so many changes
// can share one sync (group_committer.h). docs/disk_format.md describes the
// files.

#ifndef CAIRN_VOLUME_BLOB_STORE_H_
#define CAIRN_VOLUME_BLOB_STORE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "base/blob_name.h"
#include "base/version.h"
#include "proto/cairn/v1/metadata.pb.h"
#include "proto/cairn/v1/volume.pb.h"
#include "volume/blob_xattr.h"
#include "volume/disk.h"
#include "volume/file_system.h"
#include "volume/unmarked_set.h"
#include "volume/volume_directory.h"

namespace cairn::volume {

// What a change still needs before it may be called durable.
struct Unsynced {
  Disk* disk = nullptr;
  // Two hexadecimal digits: the directory in which a name came or went.
  std::string directory;
  // The file itself, when its bytes or attributes changed.
  UniqueFd file;
};

// A blob whose place has been checked.
struct BlobPlace {
  Disk* disk = nullptr;
  std::string path;  // "<directory>/<name>" in the subvolume.
  std::string name;  // "<subvolume>/<path>", for UnmarkedSet.
  v1::BlobId blob;
};

// Thread safety: any method from any thread. All block on the disk.
//
// Errors of all methods: kInvalidArgument: no such subvolume, key or version;
// kUnavailable: the subvolume has failed.
class BlobStore {
 public:
  // `file_system` must outlive the store.
  BlobStore(FileSystem* file_system,
            const std::vector<SubvolumeDirectory>& subvolumes);

  // Writes a whole blob under its final name. One that is there with the same
  // bytes counts as done; one that a crash left torn is written again.
  // kDataLoss: the bytes are not those of the digest. kResourceExhausted: no
  // room (tombstones may use the reserve). kAlreadyExists: the name holds
  // other bytes, committed. After an error nothing new is there.
  absl::StatusOr<Unsynced> Put(const v1::SmallPutOp& op);

  // kNotFound: neither the old nor the new name is there.
  // kFailedPrecondition: the blob is committed.
  absl::StatusOr<Unsynced> Rename(const v1::BlobId& blob,
                                  const v1::Version& new_version);

  // A blob that is not there counts as removed, but the removal is yet to be
  // synced. kFailedPrecondition: it is committed, and not `committed_too`.
  absl::StatusOr<Unsynced> Unlink(const v1::BlobId& blob, bool committed_too);

  // Makes the blob read-only; one that is not there is none of our business.
  absl::Status Mark(const v1::BlobId& blob);

  // One result each. Up to kFsyncFilesMax changes are synced one by one, more
  // with one syncfs for each file system. A sync that fails takes the
  // subvolumes concerned out, and all their changes are kUnavailable.
  std::vector<absl::Status> Sync(absl::Span<Unsynced* const> changes);

  struct OpenBlob {
    UniqueFd file;
    int64_t size_bytes = 0;
  };
  // kNotFound: no such blob here.
  absl::StatusOr<OpenBlob> Open(const v1::BlobId& blob);
  // At most `size` bytes into `out`; fewer at the end. kDataLoss: the disk
  // could not read them.
  absl::Status Read(const OpenBlob& blob, int64_t offset, int64_t size,
                    std::string* out);

  // kNotFound: no such blob here. One whose xattr is damaged has
  // `whole` = false and neither digest nor metadata.
  absl::StatusOr<v1::StatBlobResponse> Stat(const v1::BlobId& blob);

  // Calls `each` for every blob of the subvolume, which it may take away with
  // Swap() (what it leaves there is used for the next one), and
  // `directory_done` after each directory with the number of the next one,
  // until one returns false. See ListBlobsRequest for the options.
  struct ListOptions {
    int first_directory = 0;
    int64_t value_bytes_max = 0;
  };
  absl::Status List(int subvolume, const ListOptions& options,
                    const std::function<bool(v1::StatBlobResponse*)>& each,
                    const std::function<bool(int)>& directory_done);

  // How many blobs lie on the subvolume: of values, and of tombstones. Faster
  // than List(): it opens no file.
  struct BlobCounts {
    int64_t values = 0;
    int64_t tombstones = 0;
  };
  absl::StatusOr<BlobCounts> Count(int subvolume);

  // Finds the blobs that are not marked, as after an unclean stop, and adds
  // them to unmarked(). Long: it visits each file.
  absl::Status FindUnmarked(int subvolume);
  // The same for blobs that a clean stop wrote down.
  void AddUnmarked(const std::vector<std::string>& names);

  std::vector<v1::Subvolume> Report();
  int subvolume_count() const { return static_cast<int>(disks_.size()); }
  UnmarkedSet& unmarked() { return unmarked_; }

  // For LargeBlobWriter.
  absl::StatusOr<Disk*> FindDisk(int subvolume);
  absl::StatusOr<BlobPlace> Locate(const v1::BlobId& blob);
  FileSystem& file_system() { return *file_system_; }
  // What is at `place` already: OK with the file when it holds the bytes of
  // `digest` under `xattr`; kNotFound when nothing is there now, whatever
  // torn thing lay there having been removed; kAlreadyExists as in Put().
  absl::StatusOr<UniqueFd> AdoptExisting(const BlobPlace& place,
                                         absl::string_view xattr,
                                         const v1::Digest& digest);

 private:
  absl::StatusOr<UniqueFd> WriteFile(const BlobPlace& place,
                                     const v1::SmallPutOp& op,
                                     absl::string_view xattr);
  absl::Status FillFile(const BlobPlace& place, const v1::SmallPutOp& op,
                        absl::string_view xattr, int fd);
  // A file whose name is that of a blob.
  struct BlobFile {
    int directory = -1;          // Open.
    const char* path = nullptr;  // From there.
    base::ParsedBlobName name;
    int subvolume = 0;
  };
  // With the value, if it has at most `value_bytes_max` bytes. kNotFound: the
  // file is not there (any more).
  absl::Status Describe(const BlobFile& blob, int64_t value_bytes_max,
                        v1::StatBlobResponse* response);
  // Without the value.
  absl::StatusOr<v1::StatBlobResponse> DescribeFile(
      const Disk& disk, const std::string& directory, const std::string& name);
  static bool LiesRight(absl::string_view directory, const BlobFile& file,
                        absl::string_view key);
  absl::Status ReadFully(int fd, int64_t offset, int64_t size,
                         std::string* out);
  // Of a blob that looks whole; it is not if its bytes are others.
  void ReadValue(int fd, v1::StatBlobResponse* response);
  struct Visit {
    bool unmarked_only = false;
    int64_t value_bytes_max = 0;
    std::function<bool(v1::StatBlobResponse*)> each;
  };
  absl::Status ListDirectory(Disk* disk, const std::string& directory,
                             const Visit& visit, bool* more);
  absl::Status SyncOne(const Unsynced& change);
  void SyncFileSystems(absl::Span<Unsynced* const> changes,
                       std::vector<absl::Status>* results);

  FileSystem* const file_system_;
  std::vector<std::unique_ptr<Disk>> disks_;
  UnmarkedSet unmarked_;
};

// The xattr of a blob, from the messages that describe it.
absl::StatusOr<std::string> MakeXattr(absl::string_view key, bool tombstone,
                                      int replicas, int64_t size_bytes,
                                      const v1::Digest& digest,
                                      const v1::ValueMetadata& metadata);

// The mtime of a blob: its version's seconds; atime stays.
struct BlobTimes {
  explicit BlobTimes(const v1::Version& version);
  timespec times[2];
};

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_BLOB_STORE_H_
