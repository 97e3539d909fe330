// Files of the command line: where a value comes from and where it goes.

#ifndef CAIRN_ADMIN_FILES_H_
#define CAIRN_ADMIN_FILES_H_

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/unique_fd.h"

namespace cairn::admin {

// Not thread-safe. Closed with the object.
class InputFile {
 public:
  // "-": standard input.
  static absl::StatusOr<InputFile> Open(const std::string& path);
  // A plain file that is open already. `path` is for messages.
  static absl::StatusOr<InputFile> Of(base::UniqueFd fd, std::string path);
  ~InputFile();
  InputFile(InputFile&& other) noexcept = default;
  InputFile& operator=(InputFile&&) = delete;

  // 0 at the end.
  absl::StatusOr<size_t> Read(char* buffer, size_t size);
  // Back to the first byte. Not of standard input.
  absl::Status Rewind();
  // When it was opened. 0 if not known (pipes).
  int64_t size_bytes() const { return size_bytes_; }
  // kAborted: somebody has written to the file since it was opened, so that
  // what was read may be half old, half new. Plain files only.
  absl::Status CheckUnchanged() const;

 private:
  InputFile(std::string path, base::UniqueFd fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}
  std::string path_;
  base::UniqueFd fd_;
  int64_t size_bytes_ = 0;
  timespec modified_ = {};
};

// Bytes that take the place of `path` only when all are there: they are
// collected in a file without a name, so that an object that is dropped before
// leaves nothing, and neither does a process that is killed. (Where the file
// system has no such files, under a name beginning with ".cairn-" beside it,
// which a killed process leaves.) "-", devices and pipes: at once, since a
// rename would put a plain file in the place of /dev/null. Not thread-safe.
class OutputFile {
 public:
  static absl::StatusOr<OutputFile> Open(const std::string& path);
  // The file `name` of an open directory; what has that name is replaced, if
  // it is no directory. `path` is for messages.
  static absl::StatusOr<OutputFile> In(base::UniqueFd directory,
                                       std::string name, std::string path);
  ~OutputFile();
  OutputFile(OutputFile&& other) noexcept;
  OutputFile& operator=(OutputFile&&) = delete;

  absl::Status Write(absl::string_view bytes);
  // Gives the file its name. Not synced: a power cut may lose it.
  absl::Status Commit();

 private:
  OutputFile(std::string path, base::UniqueFd fd)
      : path_(std::move(path)), fd_(std::move(fd)) {}
  absl::Status Link();

  std::string path_;
  base::UniqueFd fd_;
  // Of plain files only.
  base::UniqueFd directory_;
  std::string name_;
  std::string temporary_;  // Its name now; empty: none, or committed.
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_FILES_H_
