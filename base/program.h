// What the main() of each Cairn program does before and after its work.

#ifndef CAIRN_BASE_PROGRAM_H_
#define CAIRN_BASE_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace cairn::base {

inline constexpr char kProgramVersion[] = "0.1.0";

// Parses absl flags, answers --help (exit code 0, flags of this program only)
// and --version, sets up the log from --log_file, --log_level, --log_format,
// ignores SIGPIPE, raises the limit of open files, and blocks SIGTERM and
// SIGINT for WaitForStop(). `usage` is shown by --help: what the program does
// and an example. Call first in main(), before any thread. Ends the process
// with one sentence and exit code 1 when the command line is wrong.
void StartProgram(int argc, char** argv, absl::string_view name,
                  absl::string_view usage);

// Waits for SIGTERM or SIGINT. A second one ends the process at once.
void WaitForStop();

// Prints "NAME: sentence" to standard error, logs it, exits with `exit_code`.
[[noreturn]] void RefuseToStart(const absl::Status& why, int exit_code = 1);

// The value of --log_format.
std::string LogFormat();

// kInvalidArgument unless `address` is host:port ([v6]:port) with a port of 1
// to 65535, and, if not `insecure`, the host is a loopback address or
// "localhost"; the message names --insecure and `flag`.
absl::Status CheckListenAddress(absl::string_view flag,
                                absl::string_view address, bool insecure);

}  // namespace cairn::base

#endif  // CAIRN_BASE_PROGRAM_H_
