// Files of the command line: where a value comes from and where it goes.

#ifndef CAIRN_ADMIN_FILES_H_
#define CAIRN_ADMIN_FILES_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cairn::admin {

// Not thread-safe. Closed with the object.
class InputFile {
 public:
  // "-": standard input.
  static absl::StatusOr<InputFile> Open(const std::string& path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept;
  InputFile& operator=(InputFile&&) = delete;

  // 0 at the end.
  absl::StatusOr<size_t> Read(char* buffer, size_t size);
  // 0 if not known (pipes).
  int64_t size_bytes() const { return size_bytes_; }

 private:
  InputFile(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  std::string path_;
  int fd_;
  int64_t size_bytes_ = 0;
};

// Bytes under a temporary name beside `path`, which takes its place only when
// all are there; an object that is dropped before leaves nothing. "-", devices
// and pipes: at once, since a rename would put a plain file in the place of
// /dev/null. Not thread-safe.
class OutputFile {
 public:
  static absl::StatusOr<OutputFile> Open(const std::string& path);
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  absl::Status Write(absl::string_view bytes);
  // Gives the file its name.
  absl::Status Commit();

 private:
  OutputFile(std::string path, std::string temporary, int fd)
      : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}
  static absl::StatusOr<OutputFile> OpenDevice(const std::string& path);
  std::string path_;
  std::string temporary_;  // Empty: not a plain file, or committed.
  int fd_;
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_FILES_H_
