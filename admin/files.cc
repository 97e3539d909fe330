#include "admin/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cairn::admin {
namespace {

using base::UniqueFd;

// Where a symbolic link leads, so that the link stays one.
std::string RealPath(const std::string& path) {
  char* const real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string result = real;
  free(real);
  return result;
}

// Short, since beside a name of 255 bytes there is no room for more.
std::string TemporaryName() {
  static std::atomic<int> count = 0;
  return absl::StrCat(".cairn-", getpid(), "-", count++);
}

bool SameTime(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

// Ours to close; not the standard streams.
void Forget(UniqueFd* fd) {
  if (fd->get() <= STDERR_FILENO) fd->Release();
}

}  // namespace

absl::StatusOr<InputFile> InputFile::Open(const std::string& path) {
  if (path == "-") return InputFile("standard input", UniqueFd(STDIN_FILENO));
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return base::PosixError("open", path, errno);
  return Of(std::move(fd), path);
}

absl::StatusOr<InputFile> InputFile::Of(UniqueFd fd, std::string path) {
  InputFile file(std::move(path), std::move(fd));
  struct stat found;
  if (fstat(file.fd_.get(), &found) != 0) {
    return base::PosixError("stat", file.path_, errno);
  }
  if (S_ISDIR(found.st_mode)) {
    return absl::InvalidArgumentError(
        absl::StrCat(file.path_, " is a directory"));
  }
  if (S_ISREG(found.st_mode)) file.size_bytes_ = found.st_size;
  file.modified_ = found.st_mtim;
  return file;
}

InputFile::~InputFile() { Forget(&fd_); }

absl::StatusOr<size_t> InputFile::Read(char* buffer, size_t size) {
  for (;;) {
    const ssize_t got = read(fd_.get(), buffer, size);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return base::PosixError("read", path_, errno);
  }
}

absl::Status InputFile::Rewind() {
  if (lseek(fd_.get(), 0, SEEK_SET) == 0) return absl::OkStatus();
  return base::PosixError("seek", path_, errno);
}

absl::Status InputFile::CheckUnchanged() const {
  struct stat now;
  if (fstat(fd_.get(), &now) != 0) {
    return base::PosixError("stat", path_, errno);
  }
  if (now.st_size == size_bytes_ && SameTime(now.st_mtim, modified_)) {
    return absl::OkStatus();
  }
  return absl::AbortedError(
      absl::StrCat(path_, " changed while it was read: copy it again"));
}

absl::StatusOr<OutputFile> OutputFile::Open(const std::string& path) {
  if (path == "-") {
    return OutputFile("standard output", UniqueFd(STDOUT_FILENO));
  }
  struct stat found;
  const bool exists = stat(path.c_str(), &found) == 0;
  if (exists && S_ISDIR(found.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a directory"));
  }
  if (exists && !S_ISREG(found.st_mode)) {
    UniqueFd fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!fd.valid()) return base::PosixError("open", path, errno);
    return OutputFile(path, std::move(fd));
  }
  const std::string target = exists ? RealPath(path) : path;
  const size_t slash = target.rfind('/');
  const std::string directory =
      slash == std::string::npos ? "." : target.substr(0, slash + 1);
  UniqueFd parent(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid()) return base::PosixError("open", path, errno);
  return In(std::move(parent),
            slash == std::string::npos ? target : target.substr(slash + 1),
            path);
}

absl::StatusOr<OutputFile> OutputFile::In(UniqueFd directory, std::string name,
                                          std::string path) {
  UniqueFd fd(
      openat(directory.get(), ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666));
  std::string temporary;
  // EISDIR: a kernel that does not know O_TMPFILE.
  if (!fd.valid() && (errno == EOPNOTSUPP || errno == EISDIR)) {
    temporary = TemporaryName();
    fd = UniqueFd(openat(directory.get(), temporary.c_str(),
                         O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  }
  if (!fd.valid()) return base::PosixError("open", path, errno);
  OutputFile file(std::move(path), std::move(fd));
  file.directory_ = std::move(directory);
  file.name_ = std::move(name);
  file.temporary_ = std::move(temporary);
  return file;
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::move(other.fd_)),
      directory_(std::move(other.directory_)),
      name_(std::move(other.name_)),
      temporary_(std::exchange(other.temporary_, "")) {}

OutputFile::~OutputFile() {
  Forget(&fd_);
  if (!temporary_.empty()) unlinkat(directory_.get(), temporary_.c_str(), 0);
}

absl::Status OutputFile::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return base::PosixError("write", path_, errno);
    }
    bytes.remove_prefix(written);
  }
  return absl::OkStatus();
}

absl::Status OutputFile::Link() {
  const std::string unnamed = absl::StrCat("/proc/self/fd/", fd_.get());
  std::string name = TemporaryName();
  if (linkat(AT_FDCWD, unnamed.c_str(), directory_.get(), name.c_str(),
             AT_SYMLINK_FOLLOW) != 0) {
    return base::PosixError("link", path_, errno);
  }
  temporary_ = std::move(name);
  return absl::OkStatus();
}

absl::Status OutputFile::Commit() {
  if (!directory_.valid()) return absl::OkStatus();
  if (temporary_.empty()) RETURN_IF_ERROR(Link());
  // close() is where some file systems report what they could not write.
  if (close(fd_.Release()) != 0) return base::PosixError("close", path_, errno);
  if (renameat(directory_.get(), temporary_.c_str(), directory_.get(),
               name_.c_str()) != 0) {
    return base::PosixError("rename", path_, errno);
  }
  temporary_.clear();
  return absl::OkStatus();
}

}  // namespace cairn::admin
