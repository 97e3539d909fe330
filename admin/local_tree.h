// LocalTree: a directory of this machine, and only what lies below it.
//
// A path is relative, its parts separated by single slashes; names are any
// bytes but '/' and NUL. No symbolic link below the directory is followed,
// neither when reading nor when writing, so that nothing outside of it is ever
// read or touched. The directory itself may be reached by links.
//
// Thread safety: any method from any thread.

#ifndef CAIRN_ADMIN_LOCAL_TREE_H_
#define CAIRN_ADMIN_LOCAL_TREE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "admin/files.h"
#include "base/unique_fd.h"

namespace cairn::admin {

// OK: a file can have this path. kFailedPrecondition: it cannot, and why: a
// part that is empty, ".", ".." or has a NUL or more than 255 bytes.
absl::Status CheckLocalPath(absl::string_view path);

class LocalTree {
 public:
  // What a walk comes by. Directories themselves are not given.
  struct Entry {
    std::string path;
    int64_t size_bytes = 0;
    // OK: a plain file. kFailedPrecondition: a link, pipe, device or socket,
    // which is not copied. Else the error of the file or directory.
    absl::Status status;
  };
  // False: the walk ends.
  using Visit = std::function<bool(Entry entry)>;

  // The directory must exist.
  static absl::StatusOr<LocalTree> Open(const std::string& path);
  // It and those above it are made if they are missing.
  static absl::StatusOr<LocalTree> Create(const std::string& path);

  // Visits all below, each directory's names in byte order. Reads one
  // directory at a time into memory.
  void Walk(const Visit& visit) const;

  // kNotFound: there is nothing. kFailedPrecondition: it is no plain file, or
  // lies behind a link.
  absl::StatusOr<InputFile> OpenFile(const std::string& path) const;

  // A file that appears under `path` when it is committed; directories in
  // between are made at once. kFailedPrecondition: CheckLocalPath() refuses
  // it, or what is there already is in its way: a directory or a link that
  // has its name, a file or a link in place of one of its directories.
  absl::StatusOr<OutputFile> CreateFile(const std::string& path) const;

 private:
  LocalTree(std::string path, base::UniqueFd root)
      : path_(std::move(path)), root_(std::move(root)) {}
  std::string Full(absl::string_view path) const;
  absl::StatusOr<base::UniqueFd> OpenParent(const std::string& path,
                                            bool create) const;
  // Visits the files of one directory, adds its directories to `deeper`.
  bool WalkOne(const std::string& directory, const Visit& visit,
               std::vector<std::string>* deeper) const;

  std::string path_;  // As given; for messages.
  base::UniqueFd root_;
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_LOCAL_TREE_H_
