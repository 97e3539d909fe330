// The words of `cairn`: its commands and their options, for main() to run and
// for the shell's completion to read.

#ifndef CAIRN_ADMIN_COMMAND_LINE_H_
#define CAIRN_ADMIN_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <map>

#include "admin/arguments.h"

namespace cairn::admin {

// What the value of an option or operand is, for completion.
enum class WordKind { kOther, kFile, kVolume, kShell };

struct CommandLine {
  CommandLine();

  CLI::App app;
  // Filled by app.parse().
  Arguments arguments;
  std::function<int(const Arguments&)> chosen;
  // Those that are not kOther.
  std::map<const CLI::Option*, WordKind> kinds;
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_COMMAND_LINE_H_
