#include "volume/blob_store.h"

#include <dirent.h>
#include <fcntl.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/blob_name.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"
#include "proto/convert.h"

namespace cairn::volume {
namespace {

constexpr mode_t kUncommittedMode = 0644;
constexpr mode_t kCommittedMode = 0444;
constexpr size_t kReadBytes = 256 << 10;

bool IsCommitted(const struct stat& info) { return (info.st_mode & 0222) == 0; }

absl::Status CheckVersion(const v1::Version& version) {
  if (version.time_ms() <= 0 || version.time_ms() >= int64_t{1} << 48 ||
      version.counter() < 0 || version.counter() > UINT16_MAX) {
    return absl::InvalidArgumentError("the version is out of range");
  }
  return absl::OkStatus();
}

absl::Status CheckOp(const v1::SmallPutOp& op) {
  if (op.replicas() < 1 || op.replicas() > base::kReplicasMax) {
    return absl::InvalidArgumentError("replicas is out of range");
  }
  if (op.blob().tombstone()) {
    if (op.data().empty()) return absl::OkStatus();
    return absl::InvalidArgumentError("a tombstone holds no bytes");
  }
  RETURN_IF_ERROR(CheckMetadata(op.metadata()));
  if (op.digest().md5().size() != 16) {
    return absl::InvalidArgumentError("the MD5 does not have 16 bytes");
  }
  if (base::Xxh3(op.data()) != op.digest().xxh3()) {
    return absl::DataLossError(
        "the bytes that arrived are not those of the digest");
  }
  return absl::OkStatus();
}

// Within `buffer`; empty if there is none.
using XattrBuffer = std::array<char, kBlobXattrBytesMax>;
absl::string_view ReadXattr(FileSystem* file_system, int fd,
                            XattrBuffer* buffer) {
  const ssize_t size = file_system->FGetXattr(fd, kBlobXattrName,
                                              buffer->data(), buffer->size());
  return {buffer->data(), static_cast<size_t>(std::max<ssize_t>(size, 0))};
}

void SetAttributes(const BlobXattr& xattr, v1::StatBlobResponse* response) {
  SetDigest(xattr.digest, response->mutable_digest());
  v1::ValueMetadata* const metadata = response->mutable_metadata();
  metadata->set_content_type(xattr.content_type);
  metadata->set_content_encoding(xattr.content_encoding);
  for (const auto& [name, value] : xattr.user) {
    (*metadata->mutable_user())[name] = value;
  }
  response->set_replicas(xattr.replicas);
}

}  // namespace

BlobTimes::BlobTimes(const v1::Version& version) : times{} {
  times[0].tv_nsec = UTIME_OMIT;
  times[1].tv_sec = FromProto(version).time_seconds();
}

absl::StatusOr<std::string> MakeXattr(absl::string_view key, bool tombstone,
                                      int replicas, int64_t size_bytes,
                                      const v1::Digest& digest,
                                      const v1::ValueMetadata& metadata) {
  BlobXattr xattr;
  xattr.tombstone = tombstone;
  xattr.replicas = replicas;
  xattr.size_bytes = size_bytes;
  if (!tombstone) xattr.digest = FromProto(digest);
  xattr.content_type = metadata.content_type();
  xattr.content_encoding = metadata.content_encoding();
  for (const auto& [name, value] : metadata.user()) xattr.user[name] = value;
  if (absl::StrContains(base::BlobKeyPart(key), '~')) {
    xattr.key = std::string(key);
  }
  return EncodeBlobXattr(xattr);
}

BlobStore::BlobStore(FileSystem* file_system,
                     const std::vector<SubvolumeDirectory>& subvolumes)
    : file_system_(file_system) {
  for (size_t i = 0; i < subvolumes.size(); ++i) {
    disks_.push_back(std::make_unique<Disk>(file_system, static_cast<int>(i),
                                            subvolumes[i].path,
                                            subvolumes[i].status));
  }
}

absl::StatusOr<Disk*> BlobStore::FindDisk(int subvolume) {
  if (subvolume < 0 || subvolume >= subvolume_count()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the volume has no subvolume ", subvolume));
  }
  Disk* const disk = disks_[subvolume].get();
  RETURN_IF_ERROR(disk->CheckAlive());
  return disk;
}

absl::StatusOr<BlobPlace> BlobStore::Locate(const v1::BlobId& blob) {
  BlobPlace place;
  ASSIGN_OR_RETURN(place.disk, FindDisk(blob.subvolume()));
  RETURN_IF_ERROR(base::CheckKey(blob.key()));
  RETURN_IF_ERROR(CheckVersion(blob.version()));
  place.path =
      base::BlobPath(blob.key(), FromProto(blob.version()), blob.tombstone());
  place.name = absl::StrCat(blob.subvolume(), "/", place.path);
  place.blob = blob;
  return place;
}

absl::StatusOr<Unsynced> BlobStore::Put(const v1::SmallPutOp& op) {
  ASSIGN_OR_RETURN(const BlobPlace place, Locate(op.blob()));
  RETURN_IF_ERROR(CheckOp(op));
  if (!op.blob().tombstone()) {
    RETURN_IF_ERROR(place.disk->CheckRoom(op.data().size()));
  }
  ASSIGN_OR_RETURN(
      const std::string xattr,
      MakeXattr(op.blob().key(), op.blob().tombstone(), op.replicas(),
                op.data().size(), op.digest(), op.metadata()));
  if (!unmarked_.StartWriting(place.name, op.blob())) {
    return absl::UnavailableError(
        absl::StrCat("the blob ", place.name, " is being written"));
  }
  absl::StatusOr<UniqueFd> file = WriteFile(place, op, xattr);
  unmarked_.EndWriting(place.name, file.ok() && !op.committed(), absl::Now());
  RETURN_IF_ERROR(file.status());
  return Unsynced{place.disk, place.path.substr(0, 2), *std::move(file)};
}

absl::StatusOr<UniqueFd> BlobStore::WriteFile(const BlobPlace& place,
                                              const v1::SmallPutOp& op,
                                              absl::string_view xattr) {
  const mode_t mode = op.committed() ? kCommittedMode : kUncommittedMode;
  for (int attempt = 0;; ++attempt) {
    UniqueFd file(file_system_->OpenAt(place.disk->fd(), place.path.c_str(),
                                       O_WRONLY | O_CREAT | O_EXCL, mode));
    if (file.valid()) {
      absl::Status status = FillFile(place, op, xattr, file.get());
      if (status.ok()) return file;
      file_system_->UnlinkAt(place.disk->fd(), place.path.c_str());
      return status;
    }
    if (errno != EEXIST || attempt > 0) {
      return place.disk->Error("open", place.path, errno);
    }
    auto existing = AdoptExisting(place, xattr, op.digest());
    if (absl::IsNotFound(existing.status())) continue;
    RETURN_IF_ERROR(existing.status());
    if (op.committed() &&
        file_system_->FChmod(existing->get(), kCommittedMode) != 0) {
      return place.disk->Error("fchmod", place.path, errno);
    }
    return existing;
  }
}

absl::Status BlobStore::FillFile(const BlobPlace& place,
                                 const v1::SmallPutOp& op,
                                 absl::string_view xattr, int fd) {
  const std::string& data = op.data();
  for (size_t offset = 0; offset < data.size();) {
    const ssize_t written = file_system_->PWrite(fd, data.data() + offset,
                                                 data.size() - offset, offset);
    if (written < 0) {
      if (errno == EINTR) continue;
      return place.disk->Error("write", place.path, errno);
    }
    offset += written;
  }
  if (file_system_->FSetXattr(fd, kBlobXattrName, xattr.data(), xattr.size()) !=
      0) {
    return place.disk->Error("fsetxattr", place.path, errno);
  }
  if (file_system_->FUtimens(fd, BlobTimes(op.blob().version()).times) != 0) {
    return place.disk->Error("futimens", place.path, errno);
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> BlobStore::AdoptExisting(const BlobPlace& place,
                                                  absl::string_view xattr,
                                                  const v1::Digest& digest) {
  UniqueFd file(
      file_system_->OpenAt(place.disk->fd(), place.path.c_str(), O_RDONLY, 0));
  struct stat info;
  if (!file.valid() || file_system_->FStat(file.get(), &info) != 0) {
    if (errno == ENOENT) return absl::NotFoundError(place.name);
    return place.disk->Error("open", place.path, errno);
  }
  XattrBuffer buffer;
  bool same = ReadXattr(file_system_, file.get(), &buffer) == xattr;
  base::Xxh3Hasher hasher;
  std::string piece(kReadBytes, '\0');
  for (int64_t offset = 0; same && offset < info.st_size;) {
    const ssize_t count =
        file_system_->PRead(file.get(), piece.data(), piece.size(), offset);
    if (count <= 0) {
      same = false;
      break;
    }
    hasher.Update(absl::string_view(piece.data(), count));
    offset += count;
  }
  // A tombstone has no digest to compare, and no bytes.
  if (place.blob.tombstone()) {
    same = same && info.st_size == 0;
  } else {
    same = same && hasher.Finish() == digest.xxh3();
  }
  if (same) return file;
  if (IsCommitted(info)) {
    return absl::AlreadyExistsError(
        absl::StrCat("the committed blob ", place.name, " holds other bytes"));
  }
  if (file_system_->UnlinkAt(place.disk->fd(), place.path.c_str()) != 0 &&
      errno != ENOENT) {
    return place.disk->Error("unlink", place.path, errno);
  }
  return absl::NotFoundError(place.name);
}

absl::StatusOr<Unsynced> BlobStore::Rename(const v1::BlobId& blob,
                                           const v1::Version& new_version) {
  ASSIGN_OR_RETURN(const BlobPlace from, Locate(blob));
  v1::BlobId renamed = blob;
  *renamed.mutable_version() = new_version;
  ASSIGN_OR_RETURN(const BlobPlace to, Locate(renamed));
  Disk* const disk = from.disk;
  if (FromProto(new_version) < FromProto(blob.version())) {
    return absl::InvalidArgumentError("a rename never lowers the version");
  }
  UniqueFd file(
      file_system_->OpenAt(disk->fd(), from.path.c_str(), O_RDONLY, 0));
  if (!file.valid()) {
    if (errno != ENOENT) return disk->Error("open", from.path, errno);
    file = UniqueFd(
        file_system_->OpenAt(disk->fd(), to.path.c_str(), O_RDONLY, 0));
    if (!file.valid()) {
      return absl::NotFoundError(absl::StrCat("no blob ", from.name));
    }
    return Unsynced{disk, to.path.substr(0, 2), std::move(file)};
  }
  struct stat info;
  if (file_system_->FStat(file.get(), &info) != 0) {
    return disk->Error("fstat", from.path, errno);
  }
  if (IsCommitted(info)) {
    return absl::FailedPreconditionError(
        absl::StrCat("the blob ", from.name, " is committed"));
  }
  // The mtime first: a crash in between leaves an uncommitted blob with an
  // odd mtime, not the other way round.
  if (file_system_->FUtimens(file.get(), BlobTimes(new_version).times) != 0) {
    return disk->Error("futimens", from.path, errno);
  }
  if (from.path != to.path &&
      file_system_->RenameNoReplace(disk->fd(), from.path.c_str(),
                                    to.path.c_str()) != 0) {
    return disk->Error("rename", from.path, errno);
  }
  unmarked_.Remove(from.name);
  unmarked_.Add(to.name, renamed, absl::Now());
  return Unsynced{disk, to.path.substr(0, 2), std::move(file)};
}

absl::StatusOr<Unsynced> BlobStore::Unlink(const v1::BlobId& blob,
                                           bool committed_too) {
  ASSIGN_OR_RETURN(const BlobPlace place, Locate(blob));
  Disk* const disk = place.disk;
  if (!committed_too) {
    struct stat info;
    if (file_system_->FStatAt(disk->fd(), place.path.c_str(), &info) != 0) {
      if (errno != ENOENT) return disk->Error("stat", place.path, errno);
    } else if (IsCommitted(info)) {
      return absl::FailedPreconditionError(
          absl::StrCat("the blob ", place.name, " is committed"));
    }
  }
  if (file_system_->UnlinkAt(disk->fd(), place.path.c_str()) != 0 &&
      errno != ENOENT) {
    return disk->Error("unlink", place.path, errno);
  }
  unmarked_.Remove(place.name);
  return Unsynced{disk, place.path.substr(0, 2), UniqueFd()};
}

absl::Status BlobStore::Mark(const v1::BlobId& blob) {
  ASSIGN_OR_RETURN(const BlobPlace place, Locate(blob));
  if (file_system_->FChmodAt(place.disk->fd(), place.path.c_str(),
                             kCommittedMode) != 0 &&
      errno != ENOENT) {
    return place.disk->Error("chmod", place.path, errno);
  }
  unmarked_.Remove(place.name);
  return absl::OkStatus();
}

absl::Status BlobStore::SyncOne(const Unsynced& change) {
  Disk* const disk = change.disk;
  if (change.file.valid() && file_system_->Fsync(change.file.get()) != 0) {
    return base::PosixError("fsync", "a blob", errno);
  }
  const UniqueFd directory(file_system_->OpenAt(
      disk->fd(), change.directory.c_str(), O_RDONLY | O_DIRECTORY, 0));
  if (!directory.valid() || file_system_->Fsync(directory.get()) != 0) {
    return base::PosixError("fsync", change.directory, errno);
  }
  return absl::OkStatus();
}

std::vector<absl::Status> BlobStore::Sync(absl::Span<Unsynced* const> changes) {
  std::vector<absl::Status> results(changes.size());
  if (changes.size() > static_cast<size_t>(base::kFsyncFilesMax)) {
    SyncFileSystems(changes, &results);
    return results;
  }
  for (size_t i = 0; i < changes.size(); ++i) {
    const absl::Status status = SyncOne(*changes[i]);
    if (!status.ok()) changes[i]->disk->Fail(status);
    results[i] = changes[i]->disk->CheckAlive();
  }
  return results;
}

void BlobStore::SyncFileSystems(absl::Span<Unsynced* const> changes,
                                std::vector<absl::Status>* results) {
  std::vector<dev_t> done;
  for (Unsynced* const change : changes) {
    const dev_t device = change->disk->device();
    if (std::find(done.begin(), done.end(), device) != done.end()) continue;
    done.push_back(device);
    if (file_system_->SyncFs(change->disk->fd()) == 0) continue;
    // Whose bytes were lost is not known: all that lie there may be.
    const absl::Status status =
        base::PosixError("syncfs", change->disk->path(), errno);
    for (const auto& disk : disks_) {
      if (disk->device() == device) disk->Fail(status);
    }
  }
  for (size_t i = 0; i < changes.size(); ++i) {
    (*results)[i] = changes[i]->disk->CheckAlive();
  }
}

absl::StatusOr<BlobStore::OpenBlob> BlobStore::Open(const v1::BlobId& blob) {
  ASSIGN_OR_RETURN(const BlobPlace place, Locate(blob));
  OpenBlob open;
  open.file = UniqueFd(
      file_system_->OpenAt(place.disk->fd(), place.path.c_str(), O_RDONLY, 0));
  if (!open.file.valid()) {
    if (errno == ENOENT) {
      return absl::NotFoundError(absl::StrCat("no blob ", place.name));
    }
    return base::PosixError("open", place.path, errno);
  }
  struct stat info;
  if (file_system_->FStat(open.file.get(), &info) != 0) {
    return base::PosixError("fstat", place.path, errno);
  }
  open.size_bytes = info.st_size;
  return open;
}

absl::Status BlobStore::Read(const OpenBlob& blob, int64_t offset, int64_t size,
                             std::string* out) {
  return ReadFully(blob.file.get(), offset, size, out);
}

absl::Status BlobStore::ReadFully(int fd, int64_t offset, int64_t size,
                                  std::string* out) {
  out->resize(size);
  int64_t filled = 0;
  while (filled < size) {
    const ssize_t count = file_system_->PRead(fd, out->data() + filled,
                                              size - filled, offset + filled);
    if (count < 0) {
      if (errno == EINTR) continue;
      // One bad sector is for repair; writes find out about a bad disk.
      return base::PosixError("read", "a blob", errno);
    }
    if (count == 0) break;
    filled += count;
  }
  out->resize(filled);
  return absl::OkStatus();
}

absl::Status BlobStore::Describe(const BlobFile& blob, int64_t value_bytes_max,
                                 v1::StatBlobResponse* response) {
  const UniqueFd file(
      file_system_->OpenAt(blob.directory, blob.path, O_RDONLY, 0));
  struct stat info;
  if (!file.valid() || file_system_->FStat(file.get(), &info) != 0) {
    if (errno == ENOENT) {
      return absl::NotFoundError(absl::StrCat("no blob ", blob.path));
    }
    return base::PosixError("open", blob.path, errno);
  }
  XattrBuffer buffer;
  const auto xattr =
      DecodeBlobXattr(ReadXattr(file_system_, file.get(), &buffer));
  response->Clear();
  v1::BlobId* const id = response->mutable_blob();
  id->set_subvolume(blob.subvolume);
  if (!blob.name.key_in_xattr) {
    id->set_key(blob.name.key);
  } else if (xattr.ok()) {
    id->set_key(xattr->key);
  }
  *id->mutable_version() = ToProto(blob.name.version);
  id->set_tombstone(blob.name.tombstone);
  response->set_size_bytes(info.st_size);
  response->set_committed(IsCommitted(info));
  if (!xattr.ok()) return absl::OkStatus();
  SetAttributes(*xattr, response);
  response->set_whole(xattr->size_bytes == info.st_size &&
                      xattr->tombstone == blob.name.tombstone);
  if (response->whole() && info.st_size > 0 &&
      info.st_size <= value_bytes_max) {
    ReadValue(file.get(), response);
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::StatBlobResponse> BlobStore::DescribeFile(
    const Disk& disk, const std::string& directory, const std::string& name) {
  const std::string path = absl::StrCat(directory, "/", name);
  BlobFile file;
  file.directory = disk.fd();
  file.path = path.c_str();
  file.subvolume = disk.subvolume();
  ASSIGN_OR_RETURN(file.name, base::ParseBlobFileName(name));
  v1::StatBlobResponse response;
  RETURN_IF_ERROR(Describe(file, /*value_bytes_max=*/0, &response));
  return response;
}

void BlobStore::ReadValue(int fd, v1::StatBlobResponse* response) {
  std::string* const value = response->mutable_value();
  const absl::Status read = ReadFully(fd, 0, response->size_bytes(), value);
  if (read.ok() && base::Xxh3(*value) == response->digest().xxh3()) return;
  // What is wrong with one blob is for verify; the list goes on.
  value->clear();
  response->set_whole(false);
}

absl::StatusOr<v1::StatBlobResponse> BlobStore::Stat(const v1::BlobId& blob) {
  ASSIGN_OR_RETURN(const BlobPlace place, Locate(blob));
  ASSIGN_OR_RETURN(
      v1::StatBlobResponse response,
      DescribeFile(*place.disk, place.path.substr(0, 2), place.path.substr(3)));
  response.mutable_blob()->set_key(blob.key());
  return response;
}

absl::Status BlobStore::ListDirectory(Disk* disk, const std::string& directory,
                                      const Visit& visit, bool* more) {
  const int fd = file_system_->OpenAt(disk->fd(), directory.c_str(),
                                      O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) return base::PosixError("open", directory, errno);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd), &closedir);
  if (stream == nullptr) return base::PosixError("fdopendir", directory, errno);
  v1::StatBlobResponse blob;  // One for all: its memory is used again.
  for (;;) {
    errno = 0;
    const dirent* const entry = readdir(stream.get());
    if (entry == nullptr) break;
    auto name = base::ParseBlobFileName(entry->d_name);
    if (!name.ok()) continue;
    struct stat info;
    if (visit.unmarked_only &&
        (file_system_->FStatAt(fd, entry->d_name, &info) != 0 ||
         IsCommitted(info))) {
      continue;
    }
    const BlobFile file = {fd, entry->d_name, *std::move(name),
                           disk->subvolume()};
    const absl::Status described = Describe(file, visit.value_bytes_max, &blob);
    if (absl::IsNotFound(described)) continue;  // Just removed.
    RETURN_IF_ERROR(described);
    if (!LiesRight(directory, file, blob.blob().key())) {
      base::LogWarning("not a blob where it lies: ", disk->path(), "/",
                       directory, "/", file.path);
      continue;
    }
    *more = visit.each(&blob);
    if (!*more) return absl::OkStatus();
  }
  return errno == 0 ? absl::OkStatus()
                    : base::PosixError("readdir", directory, errno);
}

// A file that somebody put elsewhere, or whose key is lost, is no blob.
bool BlobStore::LiesRight(absl::string_view directory, const BlobFile& file,
                          absl::string_view key) {
  if (key.empty() || base::BlobDirectory(key) != directory) return false;
  // A key that was read from the name has no other name.
  return !file.name.key_in_xattr ||
         base::BlobFileName(key, file.name.version, file.name.tombstone) ==
             file.path;
}

absl::Status BlobStore::List(
    int subvolume, const ListOptions& options,
    const std::function<bool(v1::StatBlobResponse*)>& each,
    const std::function<bool(int)>& directory_done) {
  ASSIGN_OR_RETURN(Disk* const disk, FindDisk(subvolume));
  const Visit visit = {/*unmarked_only=*/false, options.value_bytes_max, each};
  bool more = true;
  for (int i = options.first_directory;
       more && i < base::kDirectoriesPerSubvolume; ++i) {
    RETURN_IF_ERROR(
        ListDirectory(disk, absl::StrFormat("%02x", i), visit, &more));
    more = more && directory_done(i + 1);
  }
  return absl::OkStatus();
}

absl::StatusOr<BlobStore::BlobCounts> BlobStore::Count(int subvolume) {
  ASSIGN_OR_RETURN(Disk* const disk, FindDisk(subvolume));
  BlobCounts counts;
  for (int i = 0; i < base::kDirectoriesPerSubvolume; ++i) {
    const std::string path = absl::StrFormat("%02x", i);
    const int fd = file_system_->OpenAt(disk->fd(), path.c_str(),
                                        O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0) return disk->Error("open", path, errno);
    const std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd), &closedir);
    if (stream == nullptr) return disk->Error("fdopendir", path, errno);
    errno = 0;
    while (const dirent* const entry = readdir(stream.get())) {
      const auto name = base::ParseBlobFileName(entry->d_name);
      if (name.ok()) ++(name->tombstone ? counts.tombstones : counts.values);
      errno = 0;
    }
    if (errno != 0) return disk->Error("readdir", path, errno);
  }
  return counts;
}

absl::Status BlobStore::FindUnmarked(int subvolume) {
  ASSIGN_OR_RETURN(Disk* const disk, FindDisk(subvolume));
  bool more = true;
  const auto add = [&](const v1::StatBlobResponse* blob) {
    const auto place = Locate(blob->blob());
    // Those written since the start are there already, with their own time.
    if (place.ok()) {
      unmarked_.Add(place->name, blob->blob(), absl::InfinitePast());
    }
    return true;
  };
  const Visit visit = {/*unmarked_only=*/true, /*value_bytes_max=*/0, add};
  for (int i = 0; i < base::kDirectoriesPerSubvolume; ++i) {
    RETURN_IF_ERROR(
        ListDirectory(disk, absl::StrFormat("%02x", i), visit, &more));
  }
  return absl::OkStatus();
}

void BlobStore::AddUnmarked(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    const std::vector<std::string> parts = absl::StrSplit(name, '/');
    int subvolume = 0;
    if (parts.size() != 3 || !absl::SimpleAtoi(parts[0], &subvolume)) continue;
    const auto disk = FindDisk(subvolume);
    if (!disk.ok()) continue;
    const auto blob = DescribeFile(**disk, parts[1], parts[2]);
    if (!blob.ok() || blob->committed() || blob->blob().key().empty()) {
      continue;
    }
    unmarked_.Add(name, blob->blob(), absl::Now());
  }
}

std::vector<v1::Subvolume> BlobStore::Report() {
  std::vector<v1::Subvolume> reports;
  for (const auto& disk : disks_) reports.push_back(disk->Report());
  return reports;
}

}  // namespace cairn::volume
