// What one thread can make of a disk, to be printed beside PUT: files of 1 KiB
// with their xattr, made and synced in groups, and for each group one record in
// a journal that is synced too, as the index. Prints files a second.

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/hash.h"
#include "base/program.h"
#include "base/status.h"

ABSL_FLAG(std::string, dir, "", "a directory to make");
ABSL_FLAG(int, group, 16, "files in a group");
ABSL_FLAG(std::string, durability, "fsync",
          "fsync: syncfs and fdatasync for each group; os: neither");
ABSL_FLAG(double, seconds, 3, "how long");

namespace cairn {
namespace {

constexpr int kDirectories = 1024;  // As a volume with four subvolumes.
constexpr int kValueBytes = 1024;
constexpr int kXattrBytes = 60;
constexpr int kJournalBytes = 200;  // Of one file's record.

absl::Status MakeFile(int root, int64_t number) {
  const uint64_t hash = base::Xxh3(absl::StrCat(number));
  const std::string path =
      absl::StrFormat("%04d/p0%%2F%d@%016x", hash % kDirectories, number, hash);
  const int fd =
      openat(root, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0) return base::PosixError("open", path, errno);
  const std::string value(kValueBytes, 'x');
  const std::string xattr(kXattrBytes, 'x');
  const struct timespec times[2] = {{0, UTIME_OMIT}, {1700000000, 0}};
  const bool good =
      pwrite(fd, value.data(), value.size(), 0) == kValueBytes &&
      fsetxattr(fd, "user.c", xattr.data(), xattr.size(), 0) == 0 &&
      futimens(fd, times) == 0;
  const int error = errno;
  close(fd);
  return good ? absl::OkStatus() : base::PosixError("write", path, error);
}

absl::Status Run() {
  const std::string dir = absl::GetFlag(FLAGS_dir);
  if (mkdir(dir.c_str(), 0755) != 0) {
    return base::PosixError("mkdir", dir, errno);
  }
  const int root = open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const int journal =
      openat(root, "journal", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (root < 0 || journal < 0) return base::PosixError("open", dir, errno);
  for (int i = 0; i < kDirectories; ++i) {
    mkdirat(root, absl::StrFormat("%04d", i).c_str(), 0755);
  }
  const bool synced = absl::GetFlag(FLAGS_durability) == "fsync";
  const int group = absl::GetFlag(FLAGS_group);
  const std::string records(size_t{kJournalBytes} * group, 'x');
  const absl::Time begin = absl::Now();
  const absl::Duration time = absl::Seconds(absl::GetFlag(FLAGS_seconds));
  int64_t made = 0;
  while (absl::Now() - begin < time) {
    for (int i = 0; i < group; ++i) RETURN_IF_ERROR(MakeFile(root, made++));
    if (synced && syncfs(root) != 0)
      return base::PosixError("syncfs", dir, errno);
    if (write(journal, records.data(), records.size()) !=
            static_cast<ssize_t>(records.size()) ||
        (synced && fdatasync(journal) != 0)) {
      return base::PosixError("write", "the journal", errno);
    }
  }
  std::printf("%.0f\n", made / absl::ToDoubleSeconds(absl::Now() - begin));
  return absl::OkStatus();
}

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  cairn::base::StartProgram(argc, argv, "bare_loop",
                            "bare_loop makes files as fast as one thread "
                            "can.\n\n  bare_loop --dir=/data/new --group=16");
  const absl::Status ran = cairn::Run();
  if (!ran.ok()) cairn::base::RefuseToStart(ran);
  return 0;
}
