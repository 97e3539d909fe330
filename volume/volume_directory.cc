#include "volume/volume_directory.h"

#include <fcntl.h>
#include <google/protobuf/util/json_util.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/xattr.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"
#include "volume/blob_xattr.h"

namespace cairn::volume {
namespace {

using nlohmann::json;

constexpr int kFormat = 1;
constexpr int64_t kSmallFileBytesMax = 64 << 20;
constexpr char kIdentityFile[] = "volume.json";
constexpr char kSubvolumeFile[] = "subvolume.json";

std::string RandomBytes(size_t count) {
  std::string bytes(count, '\0');
  CHECK(getrandom(bytes.data(), count, 0) == static_cast<ssize_t>(count));
  return bytes;
}

uint32_t DrawVolumeId() {
  for (;;) {
    const std::string bytes = RandomBytes(4);
    uint32_t id = 0;
    for (const char c : bytes) id = id << 8 | static_cast<uint8_t>(c);
    if (id != 0) return id;
  }
}

std::string VolumeIdHex(uint32_t id) { return absl::StrFormat("%08x", id); }

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) {
    return base::PosixError("mkdir", path, errno);
  }
  return absl::OkStatus();
}

absl::Status MakeDirectories(const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    RETURN_IF_ERROR(MakeDirectory(path.substr(0, slash)));
  }
  return MakeDirectory(path);
}

absl::Status SyncDirectory(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return base::PosixError("open", path, errno);
  if (fsync(fd.get()) != 0) return base::PosixError("fsync", path, errno);
  return absl::OkStatus();
}

absl::Status WriteAll(int fd, absl::string_view bytes,
                      const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return base::PosixError("write", path, errno);
    }
    bytes.remove_prefix(written);
  }
  return absl::OkStatus();
}

// The blobs' own needs: nameless files, and xattrs on them.
absl::Status CheckFileSystem(const std::string& path) {
  const UniqueFd file(
      open(path.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600));
  if (!file.valid()) {
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT) {
      return base::PosixError("open", path, errno);
    }
    return absl::FailedPreconditionError(
        absl::StrCat("the file system of ", path,
                     " has no O_TMPFILE: use ext4, XFS or btrfs"));
  }
  if (fsetxattr(file.get(), kBlobXattrName, "x", 1, 0) != 0) {
    if (errno != EOPNOTSUPP) {
      return base::PosixError("fsetxattr", path, errno);
    }
    return absl::FailedPreconditionError(absl::StrCat(
        "the file system of ", path,
        " keeps no user xattrs: use ext4, XFS or btrfs, mounted with them"));
  }
  return absl::OkStatus();
}

absl::StatusOr<json> ReadJson(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadWholeFile(path));
  json parsed = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) {
    return absl::DataLossError(
        absl::StrCat(path, " is damaged: restore it from a backup"));
  }
  return parsed;
}

std::string TextOf(const json& object, const char* field) {
  const auto it = object.find(field);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}

int IntOf(const json& object, const char* field) {
  const auto it = object.find(field);
  return it != object.end() && it->is_number_integer() ? it->get<int>() : 0;
}

absl::StatusOr<int64_t> ReadNumber(const std::string& path) {
  const auto text = ReadWholeFile(path);
  if (absl::IsNotFound(text.status())) return 0;
  RETURN_IF_ERROR(text.status());
  int64_t number = 0;
  if (!absl::SimpleAtoi(*text, &number)) {
    return absl::DataLossError(
        absl::StrCat(path, " is damaged: it should hold a number"));
  }
  return number;
}

}  // namespace

absl::Status ReplaceFile(const std::string& directory, const std::string& name,
                         absl::string_view bytes, mode_t mode) {
  const std::string path = absl::StrCat(directory, "/", name);
  const std::string temporary = absl::StrCat(path, ".new");
  const UniqueFd fd(
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!fd.valid()) return base::PosixError("open", temporary, errno);
  RETURN_IF_ERROR(WriteAll(fd.get(), bytes, temporary));
  if (fsync(fd.get()) != 0) {
    return base::PosixError("fsync", temporary, errno);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) {
    return base::PosixError("rename", temporary, errno);
  }
  return SyncDirectory(directory);
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  const UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return base::PosixError("open", path, errno);
  std::string bytes;
  char buffer[16384];
  for (;;) {
    const ssize_t count = read(fd.get(), buffer, sizeof(buffer));
    if (count < 0) return base::PosixError("read", path, errno);
    if (count == 0) return bytes;
    bytes.append(buffer, count);
    if (bytes.size() > kSmallFileBytesMax) {
      return absl::DataLossError(absl::StrCat(path, " is far too large"));
    }
  }
}

absl::StatusOr<std::unique_ptr<VolumeDirectory>> VolumeDirectory::Open(
    const std::string& path, int subvolumes,
    std::vector<std::string> subvolume_directories) {
  if (!subvolume_directories.empty()) {
    subvolumes = static_cast<int>(subvolume_directories.size());
  }
  if (subvolumes < 1 || subvolumes > base::kSubvolumesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("a volume has 1 to ", base::kSubvolumesMax,
                     " subvolumes, not ", subvolumes));
  }
  RETURN_IF_ERROR(MakeDirectories(path));
  char* const absolute = realpath(path.c_str(), nullptr);
  if (absolute == nullptr) return base::PosixError("realpath", path, errno);
  std::unique_ptr<VolumeDirectory> directory(new VolumeDirectory(absolute));
  free(absolute);
  RETURN_IF_ERROR(directory->Lock());
  RETURN_IF_ERROR(directory->LoadIdentity(subvolumes));
  RETURN_IF_ERROR(directory->LoadState());
  RETURN_IF_ERROR(directory->OpenSubvolumes(std::move(subvolume_directories)));
  if (directory->first_start_) {
    RETURN_IF_ERROR(directory->ClaimSubvolumes());
  }
  return directory;
}

absl::Status VolumeDirectory::Lock() {
  const std::string path = absl::StrCat(path_, "/lock");
  lock_ = UniqueFd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!lock_.valid()) return base::PosixError("open", path, errno);
  if (flock(lock_.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return base::PosixError("flock", path, errno);
    std::string owner = ReadWholeFile(path).value_or("");
    owner = std::string(absl::StripAsciiWhitespace(owner));
    return absl::FailedPreconditionError(absl::StrCat(
        path_, " is in use by another cairn-volume",
        owner.empty() ? "" : absl::StrCat(" (process ", owner, ")"),
        ": stop it, or give another --data"));
  }
  if (ftruncate(lock_.get(), 0) != 0) {
    return base::PosixError("ftruncate", path, errno);
  }
  return WriteAll(lock_.get(), absl::StrCat(getpid(), "\n"), path);
}

absl::Status VolumeDirectory::LoadIdentity(int subvolumes) {
  const std::string removed = RemovedNote(path_);
  if (!removed.empty()) return absl::FailedPreconditionError(removed);
  const std::string path = absl::StrCat(path_, "/", kIdentityFile);
  const auto identity = ReadJson(path);
  if (absl::IsNotFound(identity.status())) {
    first_start_ = true;
    volume_id_ = DrawVolumeId();
    subvolume_count_ = subvolumes;
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(identity.status());
  if (const int format = IntOf(*identity, "format_version");
      format != kFormat) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " has format ", format, ", this program knows ",
                     kFormat, ": use the version of Cairn that wrote it"));
  }
  subvolume_count_ = IntOf(*identity, "subvolumes");
  const auto ready = identity->find("ready");
  first_start_ = ready == identity->end() || *ready != true;
  if (first_start_) subvolume_count_ = subvolumes;
  if (subvolume_count_ != subvolumes) {
    return absl::FailedPreconditionError(
        absl::StrCat("the volume in ", path_, " was made with ",
                     subvolume_count_, " subvolumes, not with ", subvolumes,
                     ": start it with --subvolumes=", subvolume_count_));
  }
  uint64_t id = 0;
  if (!absl::SimpleHexAtoi(TextOf(*identity, "volume_id"), &id) || id == 0 ||
      id > UINT32_MAX) {
    return absl::DataLossError(
        absl::StrCat(path, " is damaged: its volume_id is no such id"));
  }
  volume_id_ = static_cast<uint32_t>(id);
  base::MutexLock lock(&mu_);
  cluster_id_ = TextOf(*identity, "cluster_id");
  return absl::OkStatus();
}

absl::Status VolumeDirectory::LoadState() {
  auto secret = ReadWholeFile(absl::StrCat(path_, "/secret"));
  if (absl::IsNotFound(secret.status())) {
    secret = base::ToHex(RandomBytes(32));
    RETURN_IF_ERROR(ReplaceFile(path_, "secret", *secret, 0600));
  }
  RETURN_IF_ERROR(secret.status());
  secret_ = std::string(absl::StripAsciiWhitespace(*secret));
  ASSIGN_OR_RETURN(const int64_t mark,
                   ReadNumber(absl::StrCat(path_, "/mark")));
  ASSIGN_OR_RETURN(const int64_t fencing_number,
                   ReadNumber(absl::StrCat(path_, "/fencing_number")));
  v1::ClusterMap map;
  const auto text = ReadWholeFile(absl::StrCat(path_, "/cluster_map"));
  if (text.ok()) {
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;
    if (!google::protobuf::util::JsonStringToMessage(*text, &map, options)
             .ok()) {
      return absl::DataLossError(absl::StrCat(
          path_,
          "/cluster_map is damaged: remove it, and the master sends it "
          "again"));
    }
  } else if (!absl::IsNotFound(text.status())) {
    return text.status();
  }
  base::MutexLock lock(&mu_);
  mark_ = mark;
  fencing_number_ = fencing_number;
  map_ = std::move(map);
  return absl::OkStatus();
}

absl::Status VolumeDirectory::StoreIdentity(const std::string& cluster_id) {
  const json identity = {{"format_version", kFormat},
                         {"volume_id", VolumeIdHex(volume_id_)},
                         {"cluster_id", cluster_id},
                         {"subvolumes", subvolume_count_},
                         {"ready", !first_start_}};
  RETURN_IF_ERROR(ReplaceFile(path_, kIdentityFile, identity.dump(2) + "\n"));
  base::MutexLock lock(&mu_);
  cluster_id_ = cluster_id;
  return absl::OkStatus();
}

absl::Status VolumeDirectory::OpenSubvolumes(
    std::vector<std::string> directories) {
  if (directories.empty()) {
    for (int i = 0; i < subvolume_count_; ++i) {
      directories.push_back(absl::StrCat(path_, "/subvolume-", i));
    }
  }
  for (int i = 0; i < subvolume_count_; ++i) {
    // nginx has another working directory.
    directories[i] = std::filesystem::absolute(directories[i]).string();
    absl::Status status = OpenSubvolume(i, directories[i]);
    // A disk that is lost must not stop the others, but a first start or a
    // disk that can never work is for the person at the keyboard.
    if (!status.ok() &&
        (first_start_ ||
         status.code() == absl::StatusCode::kFailedPrecondition)) {
      return status;
    }
    if (!status.ok()) {
      base::LogError("subvolume ", i, " is out of use: ", status.message());
    }
    subvolumes_.push_back({directories[i], std::move(status)});
  }
  return absl::OkStatus();
}

absl::Status VolumeDirectory::OpenSubvolume(int subvolume,
                                            const std::string& path) {
  if (first_start_) RETURN_IF_ERROR(MakeDirectories(path));
  const auto owner = ReadJson(absl::StrCat(path, "/", kSubvolumeFile));
  if (absl::IsNotFound(owner.status()) && !first_start_) {
    return absl::UnavailableError(
        absl::StrCat(path, " holds no ", kSubvolumeFile,
                     ": is its disk mounted? mount it and start again"));
  }
  if (owner.ok()) {
    const std::string id = TextOf(*owner, "volume_id");
    const int number = IntOf(*owner, "subvolume");
    if (id != VolumeIdHex(volume_id_) || number != subvolume) {
      return absl::FailedPreconditionError(absl::StrCat(
          path, " is subvolume ", number, " of volume ", id, ", not subvolume ",
          subvolume, " of volume ", VolumeIdHex(volume_id_),
          ": give each directory its own place"));
    }
  } else if (!absl::IsNotFound(owner.status())) {
    return owner.status();
  }
  RETURN_IF_ERROR(CheckFileSystem(path));
  for (int i = 0; i < base::kDirectoriesPerSubvolume; ++i) {
    RETURN_IF_ERROR(MakeDirectory(absl::StrFormat("%s/%02x", path, i)));
  }
  return absl::OkStatus();
}

// A crash on the way: the next start finds the id that the claimed
// subvolumes carry, not ready, and claims the rest.
absl::Status VolumeDirectory::ClaimSubvolumes() {
  RETURN_IF_ERROR(StoreIdentity(""));
  for (int i = 0; i < subvolume_count_; ++i) {
    const json mine = {{"volume_id", VolumeIdHex(volume_id_)},
                       {"subvolume", i}};
    RETURN_IF_ERROR(
        ReplaceFile(subvolumes_[i].path, kSubvolumeFile, mine.dump() + "\n"));
  }
  first_start_ = false;
  return StoreIdentity("");
}

std::string VolumeDirectory::cluster_id() const {
  base::MutexLock lock(&mu_);
  return cluster_id_;
}

v1::ClusterMap VolumeDirectory::cluster_map() const {
  base::MutexLock lock(&mu_);
  return map_;
}

int64_t VolumeDirectory::mark() const {
  base::MutexLock lock(&mu_);
  return mark_;
}

absl::Status VolumeDirectory::StoreClusterMap(const v1::ClusterMap& map) {
  base::MutexLock write_lock(&write_mu_);
  const std::string cluster_id = this->cluster_id();
  if (!cluster_id.empty() && cluster_id != map.cluster_id()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the volume in ", path_, " belongs to cluster ", cluster_id,
        ", the master is that of cluster ", map.cluster_id(),
        ": give another --master or another --data"));
  }
  {
    base::MutexLock lock(&mu_);
    if (!cluster_id.empty() && map.epoch() <= map_.epoch()) {
      return absl::OkStatus();
    }
  }
  v1::ClusterMap kept = map;
  for (v1::Volume& volume : *kept.mutable_volumes()) {
    volume.clear_signing_secret();
  }
  std::string text;
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  if (!google::protobuf::util::MessageToJsonString(kept, &text, options).ok()) {
    return absl::InternalError("the cluster map cannot be written as JSON");
  }
  RETURN_IF_ERROR(ReplaceFile(path_, "cluster_map", text));
  if (cluster_id.empty()) RETURN_IF_ERROR(StoreIdentity(map.cluster_id()));
  base::MutexLock lock(&mu_);
  map_ = std::move(kept);
  return absl::OkStatus();
}

absl::Status VolumeDirectory::StoreMark(int64_t mark) {
  base::MutexLock write_lock(&write_mu_);
  if (mark <= this->mark()) return absl::OkStatus();
  RETURN_IF_ERROR(ReplaceFile(path_, "mark", absl::StrCat(mark)));
  base::MutexLock lock(&mu_);
  mark_ = mark;
  return absl::OkStatus();
}

absl::Status VolumeDirectory::CheckFencingNumber(int64_t number) {
  {
    base::MutexLock lock(&mu_);
    if (number == fencing_number_) return absl::OkStatus();
  }
  base::MutexLock write_lock(&write_mu_);
  {
    base::MutexLock lock(&mu_);
    if (number < fencing_number_) {
      return absl::FailedPreconditionError(
          absl::StrCat("the fencing number ", number, " is below ",
                       fencing_number_, ": another master runs the jobs now"));
    }
    if (number == fencing_number_) return absl::OkStatus();
  }
  RETURN_IF_ERROR(ReplaceFile(path_, "fencing_number", absl::StrCat(number)));
  base::MutexLock lock(&mu_);
  fencing_number_ = number;
  return absl::OkStatus();
}

absl::StatusOr<bool> VolumeDirectory::TakeCleanStop(
    std::vector<std::string>* unmarked) {
  const std::string path = absl::StrCat(path_, "/clean_stop");
  const auto text = ReadWholeFile(path);
  if (absl::IsNotFound(text.status())) return false;
  RETURN_IF_ERROR(text.status());
  if (unlink(path.c_str()) != 0) {
    return base::PosixError("unlink", path, errno);
  }
  RETURN_IF_ERROR(SyncDirectory(path_));
  *unmarked = absl::StrSplit(*text, '\n', absl::SkipEmpty());
  return true;
}

absl::Status VolumeDirectory::WriteCleanStop(
    const std::vector<std::string>& unmarked) {
  return ReplaceFile(path_, "clean_stop",
                     absl::StrCat(absl::StrJoin(unmarked, "\n"), "\n"));
}

std::string VolumeDirectory::RemovedNote(const std::string& path) {
  const auto note = ReadWholeFile(absl::StrCat(path, "/removed"));
  if (!note.ok()) return "";
  return std::string(absl::StripAsciiWhitespace(*note));
}

absl::Status VolumeDirectory::WriteRemoved(absl::string_view sentence) {
  return ReplaceFile(path_, "removed", absl::StrCat(sentence, "\n"));
}

}  // namespace cairn::volume
