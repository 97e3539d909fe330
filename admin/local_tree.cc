#include "admin/local_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"

namespace cairn::admin {
namespace {

using base::UniqueFd;

constexpr int kDirectoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

struct CloseDirectory {
  void operator()(DIR* directory) const { closedir(directory); }
};

absl::Status NoFileName(absl::string_view why) {
  return absl::FailedPreconditionError(
      absl::StrCat("no file can have this name: ", why));
}

// ENOTDIR: a file, or a link that O_NOFOLLOW did not follow.
absl::Status InTheWay(const std::string& path) {
  return absl::FailedPreconditionError(absl::StrCat(
      path, " is no directory but a file or a link: it stays as it is"));
}

// All names of an open directory but "." and "..", in byte order.
absl::StatusOr<std::vector<std::string>> NamesIn(UniqueFd fd,
                                                 const std::string& path) {
  const std::unique_ptr<DIR, CloseDirectory> directory(fdopendir(fd.get()));
  if (directory == nullptr) return base::PosixError("open", path, errno);
  fd.Release();
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* const entry = readdir(directory.get());
    if (entry == nullptr) break;
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  if (errno != 0) return base::PosixError("list", path, errno);
  std::sort(names.begin(), names.end());
  return names;
}

absl::Status NotPlain(const struct stat& found) {
  return absl::FailedPreconditionError(
      S_ISLNK(found.st_mode) ? "a symbolic link: not copied"
                             : "a pipe, device or socket: not copied");
}

std::string Join(absl::string_view directory, absl::string_view name) {
  return directory.empty() ? std::string(name)
                           : absl::StrCat(directory, "/", name);
}

}  // namespace

absl::Status CheckLocalPath(absl::string_view path) {
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty()) return NoFileName("nothing stands between two slashes");
    if (part == "." || part == "..") {
      return NoFileName(absl::StrCat("\"", part, "\" is a directory"));
    }
    if (part.find('\0') != absl::string_view::npos) {
      return NoFileName("it has a NUL");
    }
    if (part.size() > NAME_MAX) {
      return NoFileName(absl::StrCat("a part of it has ", part.size(),
                                     " bytes, ", NAME_MAX, " at most"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<LocalTree> LocalTree::Open(const std::string& path) {
  UniqueFd root(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return base::PosixError("open", path, errno);
  return LocalTree(path, std::move(root));
}

absl::StatusOr<LocalTree> LocalTree::Create(const std::string& path) {
  for (size_t end = path.find('/', 1); end != std::string::npos;
       end = path.find('/', end + 1)) {
    mkdir(path.substr(0, end).c_str(), 0777);  // Open() says what is wrong.
  }
  mkdir(path.c_str(), 0777);
  return Open(path);
}

std::string LocalTree::Full(absl::string_view path) const {
  return absl::StrCat(path_, path_.empty() || path_.back() == '/' ? "" : "/",
                      path);
}

void LocalTree::Walk(const Visit& visit) const {
  std::vector<std::string> waiting = {""};
  while (!waiting.empty()) {
    const std::string directory = std::move(waiting.back());
    waiting.pop_back();
    std::vector<std::string> deeper;
    if (!WalkOne(directory, visit, &deeper)) return;
    waiting.insert(waiting.end(), std::make_move_iterator(deeper.rbegin()),
                   std::make_move_iterator(deeper.rend()));
  }
}

bool LocalTree::WalkOne(const std::string& directory, const Visit& visit,
                        std::vector<std::string>* deeper) const {
  UniqueFd fd(openat(root_.get(), directory.empty() ? "." : directory.c_str(),
                     kDirectoryFlags));
  if (!fd.valid()) {
    return visit(
        {directory, 0, base::PosixError("open", Full(directory), errno)});
  }
  const UniqueFd at(dup(fd.get()));
  const auto names = NamesIn(std::move(fd), Full(directory));
  if (!names.ok()) return visit({directory, 0, names.status()});
  for (const std::string& name : *names) {
    Entry entry;
    entry.path = Join(directory, name);
    struct stat found;
    if (fstatat(at.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno == ENOENT) continue;  // Gone since it was listed.
      entry.status = base::PosixError("stat", Full(entry.path), errno);
    } else if (S_ISDIR(found.st_mode)) {
      deeper->push_back(std::move(entry.path));
      continue;
    } else if (!S_ISREG(found.st_mode)) {
      entry.status = NotPlain(found);
    } else {
      entry.size_bytes = found.st_size;
    }
    if (!visit(std::move(entry))) return false;
  }
  return true;
}

absl::StatusOr<UniqueFd> LocalTree::OpenParent(const std::string& path,
                                               bool create) const {
  UniqueFd directory(openat(root_.get(), ".", kDirectoryFlags));
  if (!directory.valid()) return base::PosixError("open", path_, errno);
  size_t begin = 0;
  for (size_t end = path.find('/'); end != std::string::npos;
       end = path.find('/', begin)) {
    const std::string part = path.substr(begin, end - begin);
    begin = end + 1;
    if (create) mkdirat(directory.get(), part.c_str(), 0777);
    UniqueFd next(openat(directory.get(), part.c_str(), kDirectoryFlags));
    if (!next.valid()) {
      const std::string full = Full(path.substr(0, end));
      if (errno == ENOTDIR || errno == ELOOP) return InTheWay(full);
      return base::PosixError("open", full, errno);
    }
    directory = std::move(next);
  }
  return directory;
}

absl::StatusOr<InputFile> LocalTree::OpenFile(const std::string& path) const {
  RETURN_IF_ERROR(CheckLocalPath(path));
  ASSIGN_OR_RETURN(const UniqueFd parent, OpenParent(path, /*create=*/false));
  // O_NONBLOCK: a pipe would wait for its other end.
  UniqueFd fd(openat(parent.get(), path.substr(path.rfind('/') + 1).c_str(),
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat found;
  if (!fd.valid() && (errno == ELOOP || errno == ENXIO)) {
    return absl::FailedPreconditionError(
        absl::StrCat(Full(path), " is no plain file"));
  }
  if (!fd.valid() || fstat(fd.get(), &found) != 0) {
    return base::PosixError("open", Full(path), errno);
  }
  if (!S_ISREG(found.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(Full(path), " is no plain file"));
  }
  return InputFile::Of(std::move(fd), Full(path));
}

absl::StatusOr<OutputFile> LocalTree::CreateFile(
    const std::string& path) const {
  RETURN_IF_ERROR(CheckLocalPath(path));
  ASSIGN_OR_RETURN(UniqueFd parent, OpenParent(path, /*create=*/true));
  std::string name = path.substr(path.rfind('/') + 1);
  struct stat found;
  if (fstatat(parent.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0 &&
      !S_ISREG(found.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(Full(path),
                     S_ISDIR(found.st_mode) ? " is a directory"
                                            : " is a link or special file",
                     ": it stays as it is"));
  }
  return OutputFile::In(std::move(parent), std::move(name), Full(path));
}

}  // namespace cairn::admin
