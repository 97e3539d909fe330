#include "volume/disk.h"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"

namespace cairn::volume {
namespace {

int64_t ReserveBytes(int64_t capacity_bytes) {
  const auto share =
      static_cast<int64_t>(capacity_bytes * base::kDiskReserveShare);
  return std::clamp(share, base::kDiskReserveBytesMin,
                    base::kDiskReserveBytesMax);
}

}  // namespace

Disk::Disk(FileSystem* file_system, int subvolume, const std::string& path,
           const absl::Status& status)
    : file_system_(file_system), subvolume_(subvolume), path_(path) {
  const absl::Status opened = status.ok() ? OpenDirectory() : status;
  if (!opened.ok()) Fail(opened);
}

absl::Status Disk::OpenDirectory() {
  fd_ = UniqueFd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd_.valid()) return base::PosixError("open", path_, errno);
  struct stat info;
  if (fstat(fd_.get(), &info) != 0) {
    return base::PosixError("fstat", path_, errno);
  }
  device_ = info.st_dev;
  return absl::OkStatus();
}

absl::Status Disk::CheckAlive() const {
  if (!failed()) return absl::OkStatus();
  base::MutexLock lock(&mu_);
  return absl::UnavailableError(
      absl::StrCat("subvolume ", subvolume_, " has failed: ", reason_));
}

void Disk::Fail(const absl::Status& reason) {
  {
    base::MutexLock lock(&mu_);
    if (failed_.load(std::memory_order_relaxed)) return;
    reason_ = std::string(reason.message());
    failed_.store(true, std::memory_order_release);
  }
  base::LogError("subvolume ", subvolume_, " (", path_,
                 ") is taken out of use: ", reason.message(),
                 "; replace or remount the disk, then restart the agent");
}

absl::StatusOr<Disk::Room> Disk::GetRoom() {
  const absl::Time now = absl::Now();
  {
    base::MutexLock lock(&mu_);
    if (now - room_at_ < base::kDiskRoomAgeMax && now >= room_at_) {
      return room_;
    }
  }
  struct statvfs info;
  if (file_system_->FStatVfs(fd_.get(), &info) != 0) {
    return Error("statvfs", "", errno);
  }
  const auto block = static_cast<int64_t>(info.f_frsize);
  Room room;
  room.capacity_bytes = static_cast<int64_t>(info.f_blocks) * block;
  room.free_bytes = static_cast<int64_t>(info.f_bavail) * block -
                    ReserveBytes(room.capacity_bytes);
  // btrfs makes inodes as it needs them, and says 0 of 0.
  room.free_inodes = info.f_files == 0 ? INT64_MAX
                                       : static_cast<int64_t>(info.f_favail) -
                                             base::kDiskReserveInodesMin;
  base::MutexLock lock(&mu_);
  room_ = room;
  room_at_ = now;
  return room;
}

absl::Status Disk::CheckRoom(int64_t bytes) {
  RETURN_IF_ERROR(CheckAlive());
  ASSIGN_OR_RETURN(const Room room, GetRoom());
  if (room.free_inodes <= 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("subvolume ", subvolume_, " has too few free inodes"));
  }
  if (room.free_bytes <= bytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("subvolume ", subvolume_, " has too little free space"));
  }
  return absl::OkStatus();
}

absl::Status Disk::Error(absl::string_view call, absl::string_view path,
                         int error) {
  const absl::Status status =
      base::PosixError(call, absl::StrCat(path_, "/", path), error);
  if (error != EIO && error != EROFS) return status;
  Fail(status);
  return absl::UnavailableError(status.message());
}

v1::Subvolume Disk::Report() {
  v1::Subvolume report;
  const auto room = failed() ? Room{} : GetRoom().value_or(Room{});
  report.set_failed(failed());
  report.set_capacity_bytes(room.capacity_bytes);
  report.set_free_bytes(std::max<int64_t>(room.free_bytes, 0));
  report.set_free_inodes(std::max<int64_t>(room.free_inodes, 0));
  report.set_full(room.free_bytes <= 0 || room.free_inodes <= 0);
  return report;
}

}  // namespace cairn::volume
