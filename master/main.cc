// cairn-master: owns the index and the cluster map, decides the order of
// writes.

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/program.h"
#include "base/status.h"
#include "index/index_store.h"
#include "master/master.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:3100",
          "where gRPC listens, host:port");
ABSL_FLAG(std::string, data, "./data/master",
          "directory of the master; made if missing");
ABSL_FLAG(
    std::string, index, "",
    "where the index is: rocksdb:PATH, redis://[user:pass@]host:port[/db], "
    "redis+unix:///PATH, redis+cluster://host:port,host:port or "
    "redis+sentinel://host:port,host:port/name; empty: rocksdb:DATA/index");
ABSL_FLAG(int, replicas, 2,
          "on how many volumes each value lies; fixed for a cluster's life");
ABSL_FLAG(int, subvolumes, 4,
          "subvolumes (disks) of each volume; fixed for a cluster's life");
ABSL_FLAG(std::string, durability, "fsync",
          "what an answered write has survived: fsync (a power cut) or os (the "
          "death of any process)");
ABSL_FLAG(std::optional<int64_t>, inline_max, std::nullopt,
          "values up to this many bytes are kept in the index too; by default "
          "4096, or 128 if the index is Redis");
ABSL_FLAG(absl::Duration, repair_after, cairn::base::kRepairAfterDefault,
          "a volume that is down, or a disk that has failed, for this long has "
          "its copies made again elsewhere, as 90s or 10m; 0: only `cairn "
          "repair` does it");
ABSL_FLAG(int64_t, repair_rate, cairn::base::kRepairRateDefault,
          "bytes a second that a repair moves that starts by itself; 0: no "
          "limit");
ABSL_FLAG(absl::Duration, verify_every, absl::Hours(720),
          "in how long every copy of every value is read against its hash in "
          "the background, over and over: 720h; 0: never");
ABSL_FLAG(bool, insecure, false,
          "allow --listen beyond loopback although nobody is asked for a "
          "credential");

namespace cairn::master {
namespace {

constexpr char kUsage[] =
    "cairn-master keeps Cairn's index and cluster map: start it first, then "
    "the volumes and gateways.\n\n"
    "  cairn-master --data=/var/lib/cairn/master --replicas=2";

absl::Status CheckRange(absl::string_view flag, int64_t value, int64_t min,
                        int64_t max) {
  if (value >= min && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--", flag, "=", value, " is out of range: give ", min, " to ", max));
}

absl::StatusOr<v1::Durability> ParseDurability(const std::string& text) {
  if (text == "fsync") return v1::DURABILITY_FSYNC;
  if (text == "os") return v1::DURABILITY_OS;
  return absl::InvalidArgumentError(
      absl::StrCat("--durability=", text, ": give fsync or os"));
}

absl::StatusOr<ClusterSettings> SettingsOfFlags() {
  ClusterSettings settings;
  settings.replicas = absl::GetFlag(FLAGS_replicas);
  settings.subvolumes_per_volume = absl::GetFlag(FLAGS_subvolumes);
  settings.inline_bytes_max =
      absl::GetFlag(FLAGS_inline_max)
          .value_or(absl::StartsWith(absl::GetFlag(FLAGS_index), "rocksdb:") ||
                            absl::GetFlag(FLAGS_index).empty()
                        ? base::kInlineBytesDefault
                        : base::kInlineBytesRedisDefault);
  RETURN_IF_ERROR(
      CheckRange("replicas", settings.replicas, 1, base::kReplicasMax));
  RETURN_IF_ERROR(CheckRange("subvolumes", settings.subvolumes_per_volume, 1,
                             base::kSubvolumesMax));
  RETURN_IF_ERROR(CheckRange("inline_max", settings.inline_bytes_max, 0,
                             base::kInlineBytesMax));
  ASSIGN_OR_RETURN(settings.durability,
                   ParseDurability(absl::GetFlag(FLAGS_durability)));
  return settings;
}

absl::Status RepairOfFlags(Master::Options* options) {
  options->repair_after = absl::GetFlag(FLAGS_repair_after);
  if (options->repair_after != absl::ZeroDuration() &&
      options->repair_after < base::kRepairAfterMin) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--repair_after=", absl::FormatDuration(options->repair_after),
        ": give ", absl::FormatDuration(base::kRepairAfterMin),
        " or longer, or 0 to start no repair"));
  }
  options->repair_bytes_per_second_max = absl::GetFlag(FLAGS_repair_rate);
  return CheckRange("repair_rate", options->repair_bytes_per_second_max, 0,
                    INT64_MAX);
}

absl::StatusOr<absl::Duration> VerifyEveryOfFlags() {
  const absl::Duration every = absl::GetFlag(FLAGS_verify_every);
  if (every == absl::ZeroDuration() || every >= base::kVerifyEveryMin)
    return every;
  return absl::InvalidArgumentError(absl::StrCat(
      "--verify_every=", absl::FormatDuration(every), ": give ",
      absl::FormatDuration(base::kVerifyEveryMin), " or more, or 0 for never"));
}

absl::StatusOr<std::string> IdentityIn(int fd, const std::string& path) {
  char bytes[32];
  const ssize_t count = pread(fd, bytes, sizeof(bytes), 0);
  if (count < 0) return base::PosixError("read", path, errno);
  if (count == sizeof(bytes)) return std::string(bytes, sizeof(bytes));
  char random[16];
  if (getrandom(random, sizeof(random), 0) != sizeof(random)) {
    return base::PosixError("getrandom", path, errno);
  }
  const std::string drawn =
      base::ToHex(absl::string_view(random, sizeof(random)));
  if (pwrite(fd, drawn.data(), drawn.size(), 0) !=
          static_cast<ssize_t>(drawn.size()) ||
      fsync(fd) != 0) {
    return base::PosixError("write", path, errno);
  }
  return drawn;
}

// Makes the directory and locks it; the lock lasts as long as the process.
// Returns 32 hexadecimal digits that are this directory's, drawn at first use.
absl::StatusOr<std::string> TakeDirectory(const std::string& data) {
  std::error_code error;
  std::filesystem::create_directories(data, error);
  if (error) return base::PosixError("mkdir", data, error.value());
  const std::string path = absl::StrCat(data, "/lock");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return base::PosixError("open", path, errno);
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return IdentityIn(fd, path);
  if (errno != EWOULDBLOCK) return base::PosixError("flock", path, errno);
  return absl::FailedPreconditionError(
      absl::StrCat(data,
                   " is in use by another master: stop that one, or give "
                   "another --data"));
}

absl::Status Run() {
  ASSIGN_OR_RETURN(const ClusterSettings settings, SettingsOfFlags());
  Master::Options options;
  options.settings = settings;
  RETURN_IF_ERROR(RepairOfFlags(&options));
  const std::string listen = absl::GetFlag(FLAGS_listen);
  RETURN_IF_ERROR(base::CheckListenAddress("listen", listen,
                                           absl::GetFlag(FLAGS_insecure)));
  const std::string data = absl::GetFlag(FLAGS_data);
  index::OpenOptions open_options;
  ASSIGN_OR_RETURN(open_options.owner, TakeDirectory(data));
  std::string uri = absl::GetFlag(FLAGS_index);
  if (uri.empty()) uri = absl::StrCat("rocksdb:", data, "/index");
  open_options.durability = settings.durability;
  options.listen_address = listen;
  ASSIGN_OR_RETURN(options.verify_every, VerifyEveryOfFlags());
  ASSIGN_OR_RETURN(const auto index, index::OpenIndexStore(uri, open_options));
  ASSIGN_OR_RETURN(const auto master, Master::Start(index.get(), options));
  base::LogInfo("serving gRPC on ", listen, ", the index is ", index->uri());
  base::WaitForStop();
  master->Stop(base::kDrainDeadline / 2);
  base::LogInfo("stopped");
  base::FlushLogs();
  return absl::OkStatus();
}

}  // namespace
}  // namespace cairn::master

int main(int argc, char** argv) {
  cairn::base::StartProgram(argc, argv, "cairn-master", cairn::master::kUsage);
  const absl::Status ran = cairn::master::Run();
  if (!ran.ok()) cairn::base::RefuseToStart(ran);
  return 0;
}
