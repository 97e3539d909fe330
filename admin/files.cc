#include "admin/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cairn::admin {
namespace {

// Where a symbolic link leads, so that the link stays one.
std::string RealPath(const std::string& path) {
  char* const real = realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string result = real;
  free(real);
  return result;
}

}  // namespace

absl::StatusOr<InputFile> InputFile::Open(const std::string& path) {
  if (path == "-") return InputFile("standard input", STDIN_FILENO);
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return base::PosixError("open", path, errno);
  InputFile file(path, fd);
  struct stat found;
  if (fstat(fd, &found) != 0) return base::PosixError("stat", path, errno);
  if (S_ISDIR(found.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a directory"));
  }
  if (S_ISREG(found.st_mode)) file.size_bytes_ = found.st_size;
  return file;
}

InputFile::InputFile(InputFile&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      size_bytes_(other.size_bytes_) {}

InputFile::~InputFile() {
  if (fd_ > STDERR_FILENO) close(fd_);
}

absl::StatusOr<size_t> InputFile::Read(char* buffer, size_t size) {
  for (;;) {
    const ssize_t got = read(fd_, buffer, size);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return base::PosixError("read", path_, errno);
  }
}

absl::StatusOr<OutputFile> OutputFile::Open(const std::string& path) {
  if (path == "-") return OutputFile("standard output", "", STDOUT_FILENO);
  struct stat found;
  const bool exists = stat(path.c_str(), &found) == 0;
  if (exists && S_ISDIR(found.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is a directory"));
  }
  if (exists && !S_ISREG(found.st_mode)) return OpenDevice(path);
  std::string target = exists ? RealPath(path) : path;
  std::string temporary = absl::StrCat(target, ".cairn-", getpid());
  const int fd =
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (fd < 0) return base::PosixError("open", temporary, errno);
  return OutputFile(std::move(target), std::move(temporary), fd);
}

absl::StatusOr<OutputFile> OutputFile::OpenDevice(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return base::PosixError("open", path, errno);
  return OutputFile(path, "", fd);
}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, "")),
      fd_(std::exchange(other.fd_, -1)) {}

OutputFile::~OutputFile() {
  if (fd_ > STDERR_FILENO) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status OutputFile::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return base::PosixError("write", path_, errno);
    }
    bytes.remove_prefix(written);
  }
  return absl::OkStatus();
}

absl::Status OutputFile::Commit() {
  if (temporary_.empty()) return absl::OkStatus();
  // close() is where some file systems report what they could not write.
  if (close(std::exchange(fd_, -1)) != 0) {
    return base::PosixError("close", path_, errno);
  }
  if (std::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return base::PosixError("rename", path_, errno);
  }
  temporary_.clear();
  return absl::OkStatus();
}

}  // namespace cairn::admin
