// cairn-volume: the agent of one volume, beside its nginx.

#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/mutex.h"
#include "base/program.h"
#include "base/status.h"
#include "proto/convert.h"
#include "volume/blob_store.h"
#include "volume/group_committer.h"
#include "volume/membership.h"
#include "volume/nginx.h"
#include "volume/volume_directory.h"
#include "volume/volume_service.h"

ABSL_FLAG(std::string, data, "./data/volume",
          "directory of this volume: its identity, its nginx, its blobs");
ABSL_FLAG(std::string, listen, "127.0.0.1:3201", "host:port of gRPC");
ABSL_FLAG(std::string, http_listen, "127.0.0.1:3301",
          "host:port of nginx, from which clients read");
ABSL_FLAG(std::string, master, "127.0.0.1:3100",
          "host:port of the master's gRPC");
ABSL_FLAG(std::string, public_address, "",
          "host:port under which master and gateways reach --listen; empty: "
          "as --listen");
ABSL_FLAG(std::string, public_http_address, "",
          "host:port under which clients reach --http_listen; empty: as "
          "--http_listen");
ABSL_FLAG(int, subvolumes, 4,
          "disks of this volume; the same on each volume of the cluster");
ABSL_FLAG(std::vector<std::string>, subvolume_dirs, {},
          "one directory for each subvolume, separated by commas; empty: "
          "below --data");
ABSL_FLAG(std::string, zone, "",
          "rack or room; replicas are spread over zones when there are two");
ABSL_FLAG(std::string, nginx, "nginx", "the nginx to start");
ABSL_FLAG(int, nginx_workers, 2, "worker processes of nginx");
ABSL_FLAG(int, writers, 2, "threads that write small blobs");
ABSL_FLAG(bool, insecure, false,
          "allow addresses beyond loopback although nothing asks callers for "
          "a credential");

namespace cairn::volume {
namespace {

constexpr char kUsage[] =
    "cairn-volume keeps the blobs of one volume (gRPC) and runs the nginx "
    "that serves them.\n\n"
    "  cairn-volume --data=/srv/cairn --master=10.0.0.1:3100";

// Readers with a download under way get this long when the agent stops.
constexpr absl::Duration kNginxGrace = absl::Seconds(10);

// Why the process ends, if not because a signal asked for it.
struct Refusal {
  base::Mutex mu;
  absl::Status why ABSL_GUARDED_BY(mu);
  bool removed ABSL_GUARDED_BY(mu) = false;
};

template <typename T>
T ValueOrRefuse(absl::StatusOr<T> value) {
  if (!value.ok()) base::RefuseToStart(value.status());
  return *std::move(value);
}

void CheckFlags() {
  const bool insecure = absl::GetFlag(FLAGS_insecure);
  for (const auto& [name, value] :
       {std::make_pair("listen", absl::GetFlag(FLAGS_listen)),
        std::make_pair("http_listen", absl::GetFlag(FLAGS_http_listen))}) {
    const absl::Status status = base::CheckListenAddress(name, value, insecure);
    if (!status.ok()) base::RefuseToStart(status);
  }
  const auto in_range = [](absl::string_view name, int value, int max) {
    if (value >= 1 && value <= max) return;
    base::RefuseToStart(absl::InvalidArgumentError(
        absl::StrCat("--", name, "=", value, ": give 1 to ", max)));
  };
  in_range("subvolumes", absl::GetFlag(FLAGS_subvolumes), base::kSubvolumesMax);
  in_range("writers", absl::GetFlag(FLAGS_writers), 64);
  in_range("nginx_workers", absl::GetFlag(FLAGS_nginx_workers), 64);
}

std::unique_ptr<Nginx> StartNginx(const VolumeDirectory& directory) {
  NginxOptions options;
  options.program = absl::GetFlag(FLAGS_nginx);
  options.directory = absl::StrCat(directory.path(), "/nginx");
  options.listen = absl::GetFlag(FLAGS_http_listen);
  for (const SubvolumeDirectory& subvolume : directory.subvolumes()) {
    options.subvolume_paths.push_back(subvolume.path);
  }
  options.secret = directory.secret();
  options.workers = absl::GetFlag(FLAGS_nginx_workers);
  return ValueOrRefuse(Nginx::Start(std::move(options)));
}

MembershipOptions MembershipFlags(bool unclean_start) {
  MembershipOptions options = DefaultMembershipOptions();
  options.master = absl::GetFlag(FLAGS_master);
  options.grpc_address = absl::GetFlag(FLAGS_public_address);
  if (options.grpc_address.empty()) {
    options.grpc_address = absl::GetFlag(FLAGS_listen);
  }
  options.http_address = absl::GetFlag(FLAGS_public_http_address);
  if (options.http_address.empty()) {
    options.http_address = absl::GetFlag(FLAGS_http_listen);
  }
  options.zone = absl::GetFlag(FLAGS_zone);
  options.unclean_start = unclean_start;
  return options;
}

// What is left unmarked is written down, so that the next start need not
// search the disks for it. After a failed disk nothing is certain.
void NoteCleanStop(BlobStore* store, VolumeDirectory* directory) {
  const std::vector<std::string> unmarked = store->unmarked().Names();
  bool failed = false;
  for (const v1::Subvolume& report : store->Report()) {
    failed = failed || report.failed();
  }
  if (failed || unmarked.size() > base::kUnmarkedSavedMax) return;
  const absl::Status status = directory->WriteCleanStop(unmarked);
  if (!status.ok()) {
    base::LogWarning("the next start will search all blobs: ",
                     status.message());
  }
}

int Run() {
  umask(022);  // nginx must be able to read blobs, whoever started us.
  CheckFlags();
  // Exit code 0, as when it was told: nobody is to start it again and again.
  const std::string removed =
      VolumeDirectory::RemovedNote(absl::GetFlag(FLAGS_data));
  if (!removed.empty()) {
    base::RefuseToStart(absl::FailedPreconditionError(removed), 0);
  }
  const auto directory = ValueOrRefuse(VolumeDirectory::Open(
      absl::GetFlag(FLAGS_data), absl::GetFlag(FLAGS_subvolumes),
      absl::GetFlag(FLAGS_subvolume_dirs)));
  base::LogInfo("volume ", VolumeIdText(directory->volume_id()), " in ",
                directory->path());
  std::vector<std::string> unmarked;
  const bool clean = ValueOrRefuse(directory->TakeCleanStop(&unmarked));
  FileSystem file_system;
  BlobStore store(&file_system, directory->subvolumes());
  store.AddUnmarked(unmarked);
  GroupCommitter committer(&store, directory.get(),
                           absl::GetFlag(FLAGS_writers));
  committer.SetUnsynced(directory->cluster_map().durability() ==
                        v1::DURABILITY_OS);
  VolumeServer server(&store, &committer, directory.get());
  const absl::Status listening = server.Start(absl::GetFlag(FLAGS_listen));
  if (!listening.ok()) base::RefuseToStart(listening);
  const std::unique_ptr<Nginx> nginx = StartNginx(*directory);

  Refusal refusal;
  auto membership = std::make_unique<Membership>(
      MembershipFlags(!clean), directory.get(), &store, &committer,
      [&server] { server.SetJoined(); },
      [&refusal](const absl::Status& why, bool removed) {
        {
          base::MutexLock lock(&refusal.mu);
          refusal.why = why;
          refusal.removed = removed;
        }
        kill(getpid(), SIGTERM);
      });
  base::LogInfo("gRPC on ", absl::GetFlag(FLAGS_listen), ", nginx on ",
                absl::GetFlag(FLAGS_http_listen));
  base::WaitForStop();

  server.Stop(base::kDrainDeadline);
  membership.reset();
  nginx->Stop(kNginxGrace);
  NoteCleanStop(&store, directory.get());
  base::MutexLock lock(&refusal.mu);
  if (!refusal.why.ok()) {
    if (refusal.removed) {
      // A volume that cannot note it is told again at its next start.
      directory->WriteRemoved(refusal.why.message()).IgnoreError();
    }
    base::RefuseToStart(refusal.why, refusal.removed ? 0 : 1);
  }
  base::LogInfo("stopped");
  return 0;
}

}  // namespace
}  // namespace cairn::volume

int main(int argc, char** argv) {
  cairn::base::StartProgram(argc, argv, "cairn-volume", cairn::volume::kUsage);
  const int exit_code = cairn::volume::Run();
  cairn::base::FlushLogs();
  return exit_code;
}
