#include "volume/large_blob_writer.h"

#include <fcntl.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/blob_name.h"
#include "base/limits.h"
#include "base/status.h"
#include "proto/convert.h"

namespace cairn::volume {

absl::StatusOr<std::unique_ptr<LargeBlobWriter>> LargeBlobWriter::Start(
    BlobStore* store, const v1::PutBlobRequest::Header& header) {
  ASSIGN_OR_RETURN(Disk* const disk, store->FindDisk(header.subvolume()));
  RETURN_IF_ERROR(base::CheckKey(header.key()));
  RETURN_IF_ERROR(CheckMetadata(header.metadata()));
  if (header.replicas() < 1 || header.replicas() > base::kReplicasMax ||
      header.size_bytes_expected() < 0 ||
      header.size_bytes_expected() > base::kValueBytesMax) {
    return absl::InvalidArgumentError("replicas or size is out of range");
  }
  RETURN_IF_ERROR(disk->CheckRoom(header.size_bytes_expected()));
  // In the blob's own directory: ext4 then keeps file and name close.
  const std::string directory = base::BlobDirectory(header.key());
  UniqueFd file(store->file_system().OpenAt(disk->fd(), directory.c_str(),
                                            O_TMPFILE | O_WRONLY, 0644));
  if (!file.valid()) return disk->Error("open", directory, errno);
  std::unique_ptr<LargeBlobWriter> writer(
      new LargeBlobWriter(store, disk, header, std::move(file)));
  RETURN_IF_ERROR(writer->Reserve());
  return writer;
}

absl::Status LargeBlobWriter::Reserve() {
  const int64_t size_bytes = header_.size_bytes_expected();
  if (size_bytes == 0) return absl::OkStatus();
  if (store_->file_system().Fallocate(file_.get(), FALLOC_FL_KEEP_SIZE, 0,
                                      size_bytes) == 0 ||
      errno == EOPNOTSUPP) {
    return absl::OkStatus();
  }
  return disk_->Error("fallocate", "a blob", errno);
}

absl::Status LargeBlobWriter::Append(absl::string_view bytes) {
  hasher_.Update(bytes);
  while (!bytes.empty()) {
    const ssize_t written = store_->file_system().PWrite(
        file_.get(), bytes.data(), bytes.size(), size_bytes_);
    if (written < 0) {
      if (errno == EINTR) continue;
      return disk_->Error("write", "a blob", errno);
    }
    size_bytes_ += written;
    bytes.remove_prefix(written);
  }
  if (size_bytes_ - written_back_ < base::kWritebackBytes) {
    return absl::OkStatus();
  }
  // Room that Reserve() took is no longer free; the rest has to be there.
  if (size_bytes_ > header_.size_bytes_expected()) {
    RETURN_IF_ERROR(disk_->CheckRoom(0));
  }
  return WriteBack();
}

// Starts writing what came since the last step, and waits for the step before:
// at most two steps of dirty pages stay.
absl::Status LargeBlobWriter::WriteBack() {
  if (header_.durability() == v1::DURABILITY_OS) {
    written_back_ = size_bytes_;
    return absl::OkStatus();
  }
  FileSystem& file_system = store_->file_system();
  if (file_system.SyncFileRange(file_.get(), written_back_,
                                size_bytes_ - written_back_,
                                SYNC_FILE_RANGE_WRITE) != 0) {
    return disk_->Error("sync_file_range", "a blob", errno);
  }
  if (written_back_ > 0 &&
      file_system.SyncFileRange(file_.get(), 0, written_back_,
                                SYNC_FILE_RANGE_WAIT_BEFORE |
                                    SYNC_FILE_RANGE_WRITE |
                                    SYNC_FILE_RANGE_WAIT_AFTER) != 0) {
    return disk_->Error("sync_file_range", "a blob", errno);
  }
  written_back_ = size_bytes_;
  return absl::OkStatus();
}

absl::Status LargeBlobWriter::Commit(
    const v1::PutBlobRequest::Trailer& trailer) {
  v1::BlobId blob;
  blob.set_subvolume(header_.subvolume());
  blob.set_key(header_.key());
  *blob.mutable_version() = trailer.version();
  ASSIGN_OR_RETURN(const BlobPlace place, store_->Locate(blob));
  if (trailer.size_bytes() != size_bytes_ ||
      trailer.digest().xxh3() != hasher_.Finish() ||
      trailer.digest().md5().size() != 16) {
    return absl::DataLossError(
        absl::StrCat("the ", size_bytes_,
                     " bytes that arrived are not those of the trailer (",
                     trailer.size_bytes(), " bytes)"));
  }
  ASSIGN_OR_RETURN(
      const std::string xattr,
      MakeXattr(header_.key(), false, header_.replicas(), size_bytes_,
                trailer.digest(), header_.metadata()));
  FileSystem& file_system = store_->file_system();
  // A body shorter than announced gives back what was reserved.
  if (header_.size_bytes_expected() > size_bytes_ &&
      ftruncate(file_.get(), size_bytes_) != 0) {
    return disk_->Error("ftruncate", place.path, errno);
  }
  if (file_system.FSetXattr(file_.get(), kBlobXattrName, xattr.data(),
                            xattr.size()) != 0) {
    return disk_->Error("fsetxattr", place.path, errno);
  }
  if (file_system.FUtimens(file_.get(), BlobTimes(trailer.version()).times) !=
      0) {
    return disk_->Error("futimens", place.path, errno);
  }
  // The bytes before the name: a name never stands for missing bytes.
  if (header_.durability() != v1::DURABILITY_OS &&
      file_system.Fsync(file_.get()) != 0) {
    disk_->Fail(base::PosixError("fsync", place.path, errno));
    return disk_->CheckAlive();
  }
  if (!store_->unmarked().StartWriting(place.name, blob)) {
    return absl::UnavailableError(
        absl::StrCat("the blob ", place.name, " is being written"));
  }
  const absl::Status status = Publish(place, xattr, trailer.digest());
  store_->unmarked().EndWriting(place.name, status.ok(), absl::Now());
  return status;
}

absl::Status LargeBlobWriter::Publish(const BlobPlace& place,
                                      absl::string_view xattr,
                                      const v1::Digest& digest) {
  for (int attempt = 0;; ++attempt) {
    if (store_->file_system().LinkFd(file_.get(), disk_->fd(),
                                     place.path.c_str()) == 0) {
      return Sync(place, UniqueFd());
    }
    if (errno != EEXIST || attempt > 0) {
      return disk_->Error("link", place.path, errno);
    }
    auto existing = store_->AdoptExisting(place, xattr, digest);
    if (existing.ok()) return Sync(place, *std::move(existing));
    if (!absl::IsNotFound(existing.status())) return existing.status();
  }
}

absl::Status LargeBlobWriter::Sync(const BlobPlace& place, UniqueFd file) {
  if (header_.durability() == v1::DURABILITY_OS) return absl::OkStatus();
  Unsynced change{disk_, place.path.substr(0, 2), std::move(file)};
  return store_->Sync({&change})[0];
}

}  // namespace cairn::volume
