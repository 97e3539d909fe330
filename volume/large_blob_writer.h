// LargeBlobWriter receives one blob that comes in pieces.

#ifndef CAIRN_VOLUME_LARGE_BLOB_WRITER_H_
#define CAIRN_VOLUME_LARGE_BLOB_WRITER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/hash.h"
#include "proto/cairn/v1/volume.pb.h"
#include "volume/blob_store.h"

namespace cairn::volume {

// The file has no name until Commit() gives it one: destroying the writer
// before leaves nothing behind, and neither does a crash.
//
// Not thread-safe. All methods block on the disk.
class LargeBlobWriter {
 public:
  // `store` must outlive the writer. kResourceExhausted: the subvolume has no
  // room for a blob of the expected size.
  static absl::StatusOr<std::unique_ptr<LargeBlobWriter>> Start(
      BlobStore* store, const v1::PutBlobRequest::Header& header);

  // kResourceExhausted: the disk became full. After an error: destroy it.
  absl::Status Append(absl::string_view bytes);

  // Checks length and hash, and gives the blob its name. With
  // DURABILITY_FSYNC file and directory are synced when it returns OK. A blob
  // of that name with the same bytes counts as done.
  // kDataLoss: the bytes are not those of the trailer.
  absl::Status Commit(const v1::PutBlobRequest::Trailer& trailer);

 private:
  LargeBlobWriter(BlobStore* store, Disk* disk,
                  const v1::PutBlobRequest::Header& header, UniqueFd file)
      : store_(store), disk_(disk), header_(header), file_(std::move(file)) {}

  absl::Status Reserve();
  absl::Status WriteBack();
  absl::Status Publish(const BlobPlace& place, absl::string_view xattr,
                       const v1::Digest& digest);
  absl::Status Sync(const BlobPlace& place, UniqueFd file);

  BlobStore* const store_;
  Disk* const disk_;
  const v1::PutBlobRequest::Header header_;
  UniqueFd file_;
  base::Xxh3Hasher hasher_;
  int64_t size_bytes_ = 0;
  // Bytes before this were handed to the disk.
  int64_t written_back_ = 0;
};

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_LARGE_BLOB_WRITER_H_
