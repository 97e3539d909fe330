// A FileSystem whose calls fail when a test asks for it.

#ifndef CAIRN_VOLUME_FAULTY_FILE_SYSTEM_H_
#define CAIRN_VOLUME_FAULTY_FILE_SYSTEM_H_

#include <cerrno>
#include <map>
#include <string>

#include "base/mutex.h"
#include "volume/file_system.h"

namespace cairn::volume {

// Thread safety: any method from any thread.
class FaultyFileSystem : public FileSystem {
 public:
  // The next `times` calls of `call` (the method's name), after `skip` good
  // ones, fail with `error` and do nothing.
  void Fail(const std::string& call, int error, int times = 1, int skip = 0) {
    base::MutexLock lock(&mu_);
    faults_[call] = {error, times, skip};
  }
  // How often a method was called.
  int Calls(const std::string& call) {
    base::MutexLock lock(&mu_);
    return calls_[call];
  }

  int OpenAt(int directory, const char* path, int flags, mode_t mode) override {
    if (Fails("OpenAt")) return -1;
    return FileSystem::OpenAt(directory, path, flags, mode);
  }
  ssize_t PWrite(int fd, const void* data, size_t size, off_t offset) override {
    if (Fails("PWrite")) return -1;
    return FileSystem::PWrite(fd, data, size, offset);
  }
  ssize_t PRead(int fd, void* data, size_t size, off_t offset) override {
    if (Fails("PRead")) return -1;
    return FileSystem::PRead(fd, data, size, offset);
  }
  int Fallocate(int fd, int mode, off_t offset, off_t size) override {
    if (Fails("Fallocate")) return -1;
    return FileSystem::Fallocate(fd, mode, offset, size);
  }
  int SyncFileRange(int fd, off_t offset, off_t size,
                    unsigned int flags) override {
    if (Fails("SyncFileRange")) return -1;
    return FileSystem::SyncFileRange(fd, offset, size, flags);
  }
  int Fsync(int fd) override {
    if (Fails("Fsync")) return -1;
    return FileSystem::Fsync(fd);
  }
  int SyncFs(int fd) override {
    if (Fails("SyncFs")) return -1;
    return FileSystem::SyncFs(fd);
  }
  int FSetXattr(int fd, const char* name, const void* value,
                size_t size) override {
    if (Fails("FSetXattr")) return -1;
    return FileSystem::FSetXattr(fd, name, value, size);
  }
  int FUtimens(int fd, const timespec times[2]) override {
    if (Fails("FUtimens")) return -1;
    return FileSystem::FUtimens(fd, times);
  }
  int FChmodAt(int directory, const char* path, mode_t mode) override {
    if (Fails("FChmodAt")) return -1;
    return FileSystem::FChmodAt(directory, path, mode);
  }
  int FStatVfs(int fd, struct statvfs* out) override {
    if (Fails("FStatVfs")) return -1;
    const int result = FileSystem::FStatVfs(fd, out);
    base::MutexLock lock(&mu_);
    if (blocks_free_ >= 0) out->f_bavail = blocks_free_;
    if (inodes_free_ >= 0) out->f_favail = inodes_free_;
    return result;
  }
  int LinkFd(int fd, int directory, const char* path) override {
    if (Fails("LinkFd")) return -1;
    return FileSystem::LinkFd(fd, directory, path);
  }
  int RenameNoReplace(int directory, const char* from,
                      const char* to) override {
    if (Fails("RenameNoReplace")) return -1;
    return FileSystem::RenameNoReplace(directory, from, to);
  }
  int UnlinkAt(int directory, const char* path) override {
    if (Fails("UnlinkAt")) return -1;
    return FileSystem::UnlinkAt(directory, path);
  }

  // What statvfs says from now on; -1: the truth.
  void SetFree(int64_t blocks, int64_t inodes) {
    base::MutexLock lock(&mu_);
    blocks_free_ = blocks;
    inodes_free_ = inodes;
  }

 private:
  struct Fault {
    int error = 0;
    int times = 0;
    int skip = 0;
  };

  bool Fails(const std::string& call) {
    base::MutexLock lock(&mu_);
    ++calls_[call];
    const auto it = faults_.find(call);
    if (it == faults_.end() || it->second.times == 0) return false;
    if (it->second.skip > 0) {
      --it->second.skip;
      return false;
    }
    --it->second.times;
    errno = it->second.error;
    return true;
  }

  base::Mutex mu_;
  std::map<std::string, Fault> faults_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int> calls_ ABSL_GUARDED_BY(mu_);
  int64_t blocks_free_ ABSL_GUARDED_BY(mu_) = -1;
  int64_t inodes_free_ ABSL_GUARDED_BY(mu_) = -1;
};

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_FAULTY_FILE_SYSTEM_H_
