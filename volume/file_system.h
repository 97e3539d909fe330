// FileSystem: the system calls of the blob store, so that a test can make one
// of them fail. Nothing is added to them.

#ifndef CAIRN_VOLUME_FILE_SYSTEM_H_
#define CAIRN_VOLUME_FILE_SYSTEM_H_

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "base/unique_fd.h"

namespace cairn::volume {

using base::UniqueFd;

// Each method is the call of its name: the same arguments, results and errno.
// Thread safety: as the kernel's.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  // O_CLOEXEC and O_NOFOLLOW are added: nginx must not inherit a blob.
  virtual int OpenAt(int directory, const char* path, int flags, mode_t mode);
  virtual ssize_t PWrite(int fd, const void* data, size_t size, off_t offset);
  virtual ssize_t PRead(int fd, void* data, size_t size, off_t offset);
  virtual int Fallocate(int fd, int mode, off_t offset, off_t size);
  virtual int SyncFileRange(int fd, off_t offset, off_t size,
                            unsigned int flags);
  virtual int Fsync(int fd);
  virtual int SyncFs(int fd);
  virtual int FSetXattr(int fd, const char* name, const void* value,
                        size_t size);
  virtual ssize_t FGetXattr(int fd, const char* name, void* value, size_t size);
  virtual int FUtimens(int fd, const timespec times[2]);
  virtual int FChmod(int fd, mode_t mode);
  virtual int FChmodAt(int directory, const char* path, mode_t mode);
  virtual int FStat(int fd, struct stat* out);
  virtual int FStatAt(int directory, const char* path, struct stat* out);
  virtual int FStatVfs(int fd, struct statvfs* out);
  // Gives an O_TMPFILE its name; EEXIST if the name is taken.
  virtual int LinkFd(int fd, int directory, const char* path);
  // EEXIST if `to` is taken.
  virtual int RenameNoReplace(int directory, const char* from, const char* to);
  virtual int UnlinkAt(int directory, const char* path);
};

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_FILE_SYSTEM_H_
