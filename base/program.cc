#include "base/program.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/flags/usage.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "base/logging.h"

ABSL_FLAG(std::string, log_file, "",
          "where the log goes; appended to; empty: standard error");
ABSL_FLAG(std::string, log_level, "info", "debug, info, warning or error");
ABSL_FLAG(std::string, log_format, "text", "text, or json: an object a line");

namespace cairn::base {
namespace {

std::string program_name = "cairn";  // Set once, by StartProgram().

[[noreturn]] void Fail(absl::string_view sentence, int exit_code) {
  std::fprintf(stderr, "%s: %s\n", program_name.c_str(),
               std::string(sentence).c_str());
  std::exit(exit_code);
}

// absl's own --help exits with 1 and lists the flags of every library.
void PrintHelp(absl::string_view usage) {
  std::printf("%s\n\nOptions:\n", std::string(usage).c_str());
  const auto flags = absl::GetAllFlags();  // In no order.
  for (const auto& [name, flag] : std::map(flags.begin(), flags.end())) {
    const std::string file = flag->Filename();
    const bool ours =
        !absl::StrContains(file, "absl/") && !absl::StrContains(file, "abseil");
    if (!ours) continue;
    std::printf("  --%-18s %s", std::string(name).c_str(),
                flag->Help().c_str());
    const std::string value = flag->DefaultValue();
    std::printf(value.empty() ? "\n" : " (default: %s)\n", value.c_str());
  }
  std::printf(
      "  --%-18s read options from a file, one --name=value a line\n"
      "  --%-18s print the version\n  --%-18s print this\n",
      "flagfile=PATH", "version", "help");
}

// Each connection, blob and RocksDB table is a file descriptor.
void RaiseOpenFilesLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

sigset_t StopSignals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

bool IsLoopback(absl::string_view host) {
  if (host == "localhost" || host == "[::1]") return true;
  const std::vector<absl::string_view> parts = absl::StrSplit(host, '.');
  if (parts.size() != 4 || parts[0] != "127") return false;
  for (const auto part : parts) {
    int byte = -1;
    if (!absl::SimpleAtoi(part, &byte) || byte < 0 || byte > 255) return false;
  }
  return true;
}

}  // namespace

void StartProgram(int argc, char** argv, absl::string_view name,
                  absl::string_view usage) {
  program_name = std::string(name);
  // Debian's absl looks for deadlocks at each lock that gRPC takes.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  for (int i = 1; i < argc; ++i) {
    const absl::string_view arg = argv[i];
    if (arg == "--help" || arg == "-h" || arg == "-help") {
      PrintHelp(usage);
      std::exit(0);
    }
    if (arg == "--version") {
      std::printf("%s %s\n", program_name.c_str(), kProgramVersion);
      std::exit(0);
    }
  }
  absl::SetProgramUsageMessage(usage);
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  if (rest.size() > 1) {
    Fail(absl::StrCat("\"", rest[1], "\" is not an option; see --help"), 1);
  }
  LogOptions options;
  options.process = program_name;
  options.file = absl::GetFlag(FLAGS_log_file);
  options.level = absl::GetFlag(FLAGS_log_level);
  options.format = absl::GetFlag(FLAGS_log_format);
  const absl::Status logging = InitLogging(options);
  if (!logging.ok()) Fail(logging.message(), 1);
  std::signal(SIGPIPE, SIG_IGN);
  RaiseOpenFilesLimit();
  const sigset_t stop = StopSignals();
  pthread_sigmask(SIG_BLOCK, &stop, nullptr);
}

void WaitForStop() {
  const sigset_t stop = StopSignals();
  int signal_number = 0;
  sigwait(&stop, &signal_number);
  LogInfo("stopping: signal ", signal_number);
  // From here on a second signal has its default effect.
  pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);
}

void RefuseToStart(const absl::Status& why, int exit_code) {
  if (!absl::GetFlag(FLAGS_log_file).empty()) {
    LogError(why.message());
  }
  FlushLogs();
  Fail(why.message(), exit_code);
}

std::string LogFormat() { return absl::GetFlag(FLAGS_log_format); }

absl::Status CheckListenAddress(absl::string_view flag,
                                absl::string_view address, bool insecure) {
  const size_t colon = address.rfind(':');
  int port = 0;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 1 ||
      port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, "=", address,
                     ": give host:port with a port of 1 to 65535"));
  }
  if (!insecure && !IsLoopback(address.substr(0, colon))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--", flag, "=", address,
        " is not a loopback address, and nothing asks callers for a "
        "credential: listen on 127.0.0.1, or pass --insecure if the network "
        "itself is trusted"));
  }
  return absl::OkStatus();
}

}  // namespace cairn::base
