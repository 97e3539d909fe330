#include "tests/cluster.h"

#include <dirent.h>
#include <grpcpp/grpcpp.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proto/cairn/v1/admin.grpc.pb.h"
#include "proto/cairn/v1/volume.grpc.pb.h"
#include "tests/http.h"

namespace cairn::tests {
namespace {

namespace fs = std::filesystem;

std::string Local(int port) { return absl::StrCat("127.0.0.1:", port); }

// An agent that was killed leaves its nginx, and workers outlive a master;
// the master's pid is their process group.
void KillLeftNginx(const std::string& pid_file) {
  pid_t group = 0;
  if (!absl::SimpleAtoi(ReadFile(pid_file), &group) || group <= 1) return;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    pid_t pid = 0;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &pid)) continue;
    if (getpgid(pid) == group &&
        absl::StartsWith(ReadFile(entry.path() / "cmdline"), "nginx:")) {
      kill(pid, SIGKILL);
    }
  }
}

// An agent is called up an instant before it has stored what the master told
// it; until then it takes no calls.
bool TakesCalls(const v1::Volume& volume) {
  const auto stub = v1::VolumeService::NewStub(grpc::CreateChannel(
      volume.grpc_address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(2)));
  v1::StatBlobRequest request;
  request.set_volume_id(volume.volume_id());
  v1::StatBlobResponse response;
  const grpc::StatusCode code =
      stub->Stat(&context, request, &response).error_code();
  return code == grpc::StatusCode::INVALID_ARGUMENT ||
         code == grpc::StatusCode::NOT_FOUND;
}

}  // namespace

Cluster::Cluster(ClusterOptions options) : options_(std::move(options)) {
  for (const std::string& name : names()) {
    ports_[name] = FreePort();
    ports_[name + "-http"] = FreePort();
  }
  for (const std::string& name : names()) Start(name);
  WaitReady();
}

Cluster::~Cluster() {
  for (const char* kind : {"gateway", "volume-", "master"}) {
    for (auto& [name, process] : processes_) {
      if (absl::StartsWith(name, kind)) process->Signal(SIGTERM);
    }
    for (auto& [name, process] : processes_) {
      if (absl::StartsWith(name, kind)) process->Wait(absl::Seconds(20));
    }
  }
  processes_.clear();
  for (int n = 1; n <= options_.volumes; ++n) {
    KillLeftNginx(volume_path(n) + "/nginx/nginx.pid");
  }
}

std::vector<std::string> Cluster::names() const {
  std::vector<std::string> names = {"master"};
  for (int n = 1; n <= options_.volumes; ++n) {
    names.push_back(absl::StrCat("volume-", n));
  }
  names.push_back("gateway");
  return names;
}

std::vector<std::string> Cluster::CommandOf(const std::string& name) const {
  const std::string data = absl::StrCat("--data=", path(), "/", name);
  const std::string listen = absl::StrCat("--listen=", Local(ports_.at(name)));
  const std::string master = absl::StrCat("--master=", master_address());
  const std::string subvolumes =
      absl::StrCat("--subvolumes=", options_.subvolumes);
  std::vector<std::string> command;
  const std::vector<std::string>* more = nullptr;
  if (name == "master") {
    command = {"master/cairn-master", data, listen, subvolumes,
               absl::StrCat("--replicas=", options_.replicas)};
    more = &options_.master_flags;
  } else if (name == "gateway") {
    command = {"gateway/cairn-gateway", data, listen, master,
               absl::StrCat("--admin_listen=", admin_address())};
    more = &options_.gateway_flags;
  } else {
    command = {
        "volume/cairn-volume",
        data,
        listen,
        master,
        subvolumes,
        absl::StrCat("--http_listen=", Local(ports_.at(name + "-http")))};
    const auto flags = options_.volume_flags.find(name);
    if (flags != options_.volume_flags.end()) more = &flags->second;
  }
  if (more != nullptr)
    command.insert(command.end(), more->begin(), more->end());
  if (!options_.programs.empty()) {
    command[0] = absl::StrCat(options_.programs, "/", command[0]);
  }
  command.insert(command.begin(), options_.wrapper.begin(),
                 options_.wrapper.end());
  return command;
}

void Cluster::Start(const std::string& name) {
  const std::string directory = absl::StrCat(path(), "/", name);
  fs::create_directories(directory);
  processes_[name] = Process::Start(CommandOf(name), directory + "/log");
}

int Cluster::Stop(const std::string& name) {
  process(name).Signal(SIGTERM);
  return process(name).Wait(absl::Seconds(30));
}

void Cluster::Kill(const std::string& name) {
  process(name).Signal(SIGKILL);
  process(name).Wait(absl::Seconds(30));
}

std::string Cluster::AddVolume() {
  const std::string name = absl::StrCat("volume-", ++options_.volumes);
  ports_[name] = FreePort();
  ports_[name + "-http"] = FreePort();
  Start(name);
  WaitReady();
  return name;
}

void Cluster::MoveVolume(const std::string& name) {
  ports_[name] = FreePort();
  ports_[name + "-http"] = FreePort();
}

void Cluster::SwapAddresses(const std::string& a, const std::string& b) {
  std::swap(ports_.at(a), ports_.at(b));
  std::swap(ports_.at(a + "-http"), ports_.at(b + "-http"));
}

void Cluster::WaitReady() {
  const bool ready = WaitUntil(options_.ready_timeout, [this] {
    const v1::GetStatusResponse status = GetStatus();
    const auto up = std::count_if(
        status.map().volumes().begin(), status.map().volumes().end(),
        [](const v1::Volume& v) {
          return v.state() == v1::VOLUME_STATE_UP && TakesCalls(v);
        });
    return up == options_.volumes &&
           HttpGet(ports_.at("gateway-http"), "/readyz").status == 200;
  });
  if (ready) return;
  PrintLogs();
  fprintf(stderr, "the cluster is not ready: %s\n",
          GetStatus().ShortDebugString().c_str());
  abort();
}

void Cluster::WaitVolume(const std::string& name, v1::VolumeState state) {
  const std::string address = Local(ports_.at(name));
  const bool reached = WaitUntil(options_.ready_timeout, [&] {
    const v1::GetStatusResponse status = GetStatus();
    for (const v1::Volume& volume : status.map().volumes()) {
      if (volume.grpc_address() == address) return volume.state() == state;
    }
    return false;
  });
  if (reached) return;
  PrintLogs();
  fprintf(stderr, "%s is not %s\n", name.c_str(),
          v1::VolumeState_Name(state).c_str());
  abort();
}

v1::GetStatusResponse Cluster::GetStatus() const {
  const auto stub = v1::AdminService::NewStub(grpc::CreateChannel(
      master_address(), grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(2)));
  v1::GetStatusResponse status;
  stub->GetStatus(&context, {}, &status).ok();
  return status;
}

std::string Cluster::volume_path(int number) const {
  return absl::StrCat(path(), "/volume-", number);
}

std::string Cluster::VolumeId(const std::string& name) const {
  const v1::GetStatusResponse status = GetStatus();
  for (const v1::Volume& volume : status.map().volumes()) {
    if (volume.grpc_address() != address(name)) continue;
    return absl::StrCat(absl::Hex(volume.volume_id(), absl::kZeroPad8));
  }
  return "";
}

std::string Cluster::admin_address() const {
  return Local(ports_.at("gateway-http"));
}

std::string Cluster::master_address() const { return address("master"); }

std::string Cluster::address(const std::string& name) const {
  return Local(ports_.at(name));
}

std::string Cluster::Url(const std::string& target) const {
  return absl::StrCat("http://", Local(gateway_port()), target);
}

std::vector<std::string> Cluster::BlobFiles() const {
  std::vector<std::string> files;
  for (int n = 1; n <= options_.volumes; ++n) {
    for (int s = 0; s < options_.subvolumes; ++s) {
      for (const auto& entry : fs::recursive_directory_iterator(
               absl::StrCat(volume_path(n), "/subvolume-", s))) {
        if (entry.is_regular_file() &&
            absl::StrContains(entry.path().filename().string(), '@')) {
          files.push_back(entry.path());
        }
      }
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

int64_t Cluster::BytesWrittenByAgents() const {
  int64_t bytes = 0;
  for (const auto& [name, process] : processes_) {
    if (!absl::StartsWith(name, "volume-")) continue;
    const std::string io =
        ReadFile(absl::StrCat("/proc/", process->pid(), "/io"));
    const size_t at = io.find("wchar: ");
    if (at != std::string::npos) bytes += atoll(io.c_str() + at + 7);
  }
  return bytes;
}

int Cluster::OpenUploads() const {
  int count = 0;
  for (const auto& [name, process] : processes_) {
    if (!absl::StartsWith(name, "volume-")) continue;
    std::error_code error;  // Descriptors come and go.
    for (fs::directory_iterator fd(
             absl::StrCat("/proc/", process->pid(), "/fd"), error);
         !error && fd != fs::directory_iterator(); fd.increment(error)) {
      const std::string file = fs::read_symlink(fd->path(), error).string();
      error.clear();
      if (absl::StartsWith(file, path()) &&
          absl::EndsWith(file, " (deleted)")) {
        ++count;
      }
    }
  }
  return count;
}

void Cluster::PrintLogs() const {
  for (const std::string& name : names()) {
    fprintf(stderr, "--- log of %s\n%s", name.c_str(),
            ReadFile(absl::StrCat(path(), "/", name, "/log")).c_str());
  }
}

}  // namespace cairn::tests
