// cairn-gateway: the HTTP side of Cairn.

#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/program.h"
#include "base/status.h"
#include "client/metadata_client.h"
#include "client/store_client.h"
#include "gateway/admin_server.h"
#include "gateway/gateway.h"
#include "gateway/http/exchange.h"
#include "rpc/event_loop.h"

ABSL_FLAG(std::string, listen, "127.0.0.1:3000",
          "host:port where clients are served");
ABSL_FLAG(std::string, admin_listen, "127.0.0.1:3080",
          "host:port of /healthz and /readyz; empty: none");
ABSL_FLAG(std::string, master, "127.0.0.1:3100",
          "host:port of the master's gRPC");
ABSL_FLAG(std::string, reads, "redirect",
          "how large values are read: redirect (302 to a volume's nginx) or "
          "proxy (through the gateway, checked against their hash)");
ABSL_FLAG(std::string, data, "",
          "directory for the access log; made if it is missing");
ABSL_FLAG(std::string, access_log, "",
          "file of the access log; -: standard output; none: no log; empty: "
          "access.log in --data, none without --data");
ABSL_FLAG(bool, leases, true,
          "answer keys that are asked for often without asking the master each "
          "time, under leases that it revokes before a write; a gateway that "
          "hangs can hold up writes of such keys for a second");
ABSL_FLAG(int, threads, 2, "event loops that serve clients");
ABSL_FLAG(int, max_connections, 20000, "clients connected at a time");
ABSL_FLAG(int, max_connections_per_ip, 20000, "of those, from one address");
ABSL_FLAG(int, max_head_kib, 16, "size of a request's head, KiB");
ABSL_FLAG(int, head_timeout_s, 10,
          "seconds in which the head of a request must have come");
ABSL_FLAG(int, idle_timeout_s, 75,
          "seconds after which an idle connection is closed");
ABSL_FLAG(int, rate_bytes_min, 4096,
          "bytes that a body must move in each 30 s, else the client is cut");
ABSL_FLAG(bool, insecure, false,
          "listen beyond loopback although nobody is asked for credentials");

namespace cairn::gateway {
namespace {

constexpr char kUsage[] =
    "cairn-gateway serves values over HTTP: PUT, GET, HEAD, DELETE /key and\n"
    "GET /prefix?list. It keeps no state: run as many as you like.\n"
    "\n"
    "  cairn-gateway --master=127.0.0.1:3100 --listen=127.0.0.1:3000";

struct Config {
  Services services;
  http::EdgeOptions edge;
  std::string admin_listen;
  std::string access_log;
};

absl::Status CheckPositive(absl::string_view flag, int value, int max) {
  if (value >= 1 && value <= max) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, "=", value, ": give 1 to ", max));
}

absl::StatusOr<std::string> AccessLogFile() {
  const std::string given = absl::GetFlag(FLAGS_access_log);
  const std::string data = absl::GetFlag(FLAGS_data);
  if (!data.empty() && mkdir(data.c_str(), 0755) != 0 && errno != EEXIST) {
    return base::Annotate(base::PosixError("mkdir", data, errno), "--data");
  }
  if (given == "none") return std::string();
  if (!given.empty()) return given;
  return data.empty() ? std::string() : absl::StrCat(data, "/access.log");
}

absl::Status CheckNumbers() {
  RETURN_IF_ERROR(CheckPositive("threads", absl::GetFlag(FLAGS_threads), 256));
  RETURN_IF_ERROR(CheckPositive("max_connections",
                                absl::GetFlag(FLAGS_max_connections), 1000000));
  RETURN_IF_ERROR(CheckPositive("max_connections_per_ip",
                                absl::GetFlag(FLAGS_max_connections_per_ip),
                                1000000));
  RETURN_IF_ERROR(
      CheckPositive("max_head_kib", absl::GetFlag(FLAGS_max_head_kib), 1024));
  RETURN_IF_ERROR(CheckPositive("head_timeout_s",
                                absl::GetFlag(FLAGS_head_timeout_s), 3600));
  RETURN_IF_ERROR(CheckPositive("idle_timeout_s",
                                absl::GetFlag(FLAGS_idle_timeout_s), 86400));
  return CheckPositive("rate_bytes_min", absl::GetFlag(FLAGS_rate_bytes_min),
                       1 << 30);
}

http::EdgeOptions EdgeOptionsFromFlags() {
  http::EdgeOptions edge;
  edge.listen = absl::GetFlag(FLAGS_listen);
  edge.threads = absl::GetFlag(FLAGS_threads);
  edge.connections_max = absl::GetFlag(FLAGS_max_connections);
  edge.connections_per_ip_max = absl::GetFlag(FLAGS_max_connections_per_ip);
  edge.head_bytes_max = int64_t{absl::GetFlag(FLAGS_max_head_kib)} << 10;
  edge.head_deadline_ms = int64_t{absl::GetFlag(FLAGS_head_timeout_s)} * 1000;
  edge.idle_deadline_ms = int64_t{absl::GetFlag(FLAGS_idle_timeout_s)} * 1000;
  edge.rate_bytes_min = absl::GetFlag(FLAGS_rate_bytes_min);
  return edge;
}

absl::StatusOr<Config> ReadFlags() {
  Config config;
  const bool insecure = absl::GetFlag(FLAGS_insecure);
  config.admin_listen = absl::GetFlag(FLAGS_admin_listen);
  RETURN_IF_ERROR(CheckNumbers());
  config.edge = EdgeOptionsFromFlags();
  RETURN_IF_ERROR(
      base::CheckListenAddress("listen", config.edge.listen, insecure));
  if (!config.admin_listen.empty()) {
    RETURN_IF_ERROR(base::CheckListenAddress("admin_listen",
                                             config.admin_listen, insecure));
  }
  const std::string reads = absl::GetFlag(FLAGS_reads);
  if (reads != "redirect" && reads != "proxy") {
    return absl::InvalidArgumentError(
        absl::StrCat("--reads=", reads, ": use redirect or proxy"));
  }
  config.services.proxy_reads = reads == "proxy";
  config.services.listen_address = config.edge.listen;
  config.services.master_address = absl::GetFlag(FLAGS_master);
  if (config.services.master_address.empty()) {
    return absl::InvalidArgumentError(
        "--master is empty: give host:port of the master's gRPC");
  }
  ASSIGN_OR_RETURN(config.access_log, AccessLogFile());
  return config;
}

std::unique_ptr<http::Edge> StartAdmin(const std::string& address,
                                       AdminServer* admin) {
  if (address.empty()) return nullptr;
  http::EdgeOptions options;
  options.listen = address;
  options.threads = 1;
  auto edge = http::StartEdge(options, admin);
  if (!edge.ok()) {
    base::RefuseToStart(base::Annotate(edge.status(), "--admin_listen"));
  }
  return *std::move(edge);
}

void Run() {
  auto config = ReadFlags();
  if (!config.ok()) base::RefuseToStart(config.status());
  // In the order of dependence: what is used is destroyed after its users.
  base::AccessLog access_log(config->access_log, base::LogFormat());
  if (!config->access_log.empty() && !access_log.enabled()) {
    base::RefuseToStart(absl::InvalidArgumentError(absl::StrCat(
        "the access log ", config->access_log,
        " cannot be written: choose another file with --access_log")));
  }
  client::GrpcMetadataOptions metadata_options;
  metadata_options.master_address = config->services.master_address;
  metadata_options.leases = absl::GetFlag(FLAGS_leases);
  metadata_options.client_name = absl::StrCat("gateway ", config->edge.listen);
  rpc::EventLoop loop;
  metadata_options.loop = &loop;
  auto metadata = client::NewGrpcMetadataClient(metadata_options);
  auto store = client::NewStoreClient(metadata.get(), &loop);
  config->services.store = store.get();
  config->services.access_log = &access_log;
  Gateway gateway(config->services);
  AdminServer admin(metadata.get(), config->services.master_address);
  auto edge = http::StartEdge(config->edge, &gateway);
  if (!edge.ok()) {
    base::RefuseToStart(base::Annotate(edge.status(), "--listen"));
  }
  auto admin_edge = StartAdmin(config->admin_listen, &admin);
  base::LogInfo("serving http://", config->edge.listen, ", master ",
                config->services.master_address, ", reads by ",
                config->services.proxy_reads ? "proxy" : "redirect",
                config->admin_listen.empty()
                    ? ""
                    : absl::StrCat(", admin http://", config->admin_listen));
  base::WaitForStop();
  admin.SetDraining();
  (*edge)->Drain(absl::ToInt64Milliseconds(base::kDrainDeadline));
  edge->reset();
  admin_edge.reset();
  // Ends the operations still under way while their handlers are there.
  store.reset();
  metadata.reset();
}

}  // namespace
}  // namespace cairn::gateway

int main(int argc, char** argv) {
  cairn::base::StartProgram(argc, argv, "cairn-gateway",
                            cairn::gateway::kUsage);
  cairn::gateway::Run();
  cairn::base::FlushLogs();
  return 0;
}
