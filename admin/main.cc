// cairn: the command line for people.

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/string_view.h"
#include "admin/command_line.h"
#include "admin/completion.h"
#include "admin/session.h"

namespace cairn::admin {
namespace {

int Main(int argc, char** argv) {
  // gRPC's own lines are not for people; ours say what happened.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  if (argc > 1 && absl::string_view(argv[1]) == kCompleteWord) {
    return RunComplete({argv + 2, argv + argc});
  }
  CommandLine line;
  try {
    line.app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return line.app.exit(success);  // --help, --version.
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "cairn: %s; see `cairn --help`\n", error.what());
    return kFailed;
  }
  return line.chosen(line.arguments);
}

}  // namespace
}  // namespace cairn::admin

int main(int argc, char** argv) { return cairn::admin::Main(argc, argv); }
