#include "volume/file_system.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <string>

namespace cairn::volume {

int FileSystem::OpenAt(int directory, const char* path, int flags,
                       mode_t mode) {
  return ::openat(directory, path, flags | O_CLOEXEC | O_NOFOLLOW, mode);
}

ssize_t FileSystem::PWrite(int fd, const void* data, size_t size,
                           off_t offset) {
  return ::pwrite(fd, data, size, offset);
}

ssize_t FileSystem::PRead(int fd, void* data, size_t size, off_t offset) {
  return ::pread(fd, data, size, offset);
}

int FileSystem::Fallocate(int fd, int mode, off_t offset, off_t size) {
  return ::fallocate(fd, mode, offset, size);
}

int FileSystem::SyncFileRange(int fd, off_t offset, off_t size,
                              unsigned int flags) {
  return ::sync_file_range(fd, offset, size, flags);
}

int FileSystem::Fsync(int fd) { return ::fsync(fd); }

int FileSystem::SyncFs(int fd) { return ::syncfs(fd); }

int FileSystem::FSetXattr(int fd, const char* name, const void* value,
                          size_t size) {
  return ::fsetxattr(fd, name, value, size, 0);
}

ssize_t FileSystem::FGetXattr(int fd, const char* name, void* value,
                              size_t size) {
  return ::fgetxattr(fd, name, value, size);
}

int FileSystem::FUtimens(int fd, const timespec times[2]) {
  return ::futimens(fd, times);
}

int FileSystem::FChmod(int fd, mode_t mode) { return ::fchmod(fd, mode); }

int FileSystem::FChmodAt(int directory, const char* path, mode_t mode) {
  return ::fchmodat(directory, path, mode, 0);
}

int FileSystem::FStat(int fd, struct stat* out) { return ::fstat(fd, out); }

int FileSystem::FStatAt(int directory, const char* path, struct stat* out) {
  return ::fstatat(directory, path, out, AT_SYMLINK_NOFOLLOW);
}

int FileSystem::FStatVfs(int fd, struct statvfs* out) {
  return ::fstatvfs(fd, out);
}

int FileSystem::LinkFd(int fd, int directory, const char* path) {
  const std::string source = "/proc/self/fd/" + std::to_string(fd);
  return ::linkat(AT_FDCWD, source.c_str(), directory, path, AT_SYMLINK_FOLLOW);
}

int FileSystem::RenameNoReplace(int directory, const char* from,
                                const char* to) {
  return ::renameat2(directory, from, directory, to, RENAME_NOREPLACE);
}

int FileSystem::UnlinkAt(int directory, const char* path) {
  return ::unlinkat(directory, path, 0);
}

}  // namespace cairn::volume
