// Completion of the command line by bash and zsh: each has a short script that
// asks the program itself, so that it always knows what the program knows.

#ifndef CAIRN_ADMIN_COMPLETION_H_
#define CAIRN_ADMIN_COMPLETION_H_

#include <functional>
#include <string>
#include <vector>

#include "admin/arguments.h"
#include "admin/command_line.h"

namespace cairn::admin {

// The first word of a command line that asks for completions: behind it stand
// the words after `cairn`, the last one as far as it is typed.
inline constexpr char kCompleteWord[] = "__complete";
// In the answer: names of files are wanted too.
inline constexpr char kFilesWord[] = ":files";

// What the last of `words` may become, one entry each. `volumes` gives the ids
// of all volumes; called only when one is wanted.
std::vector<std::string> Completions(
    const CommandLine& line, const std::vector<std::string>& words,
    const std::function<std::vector<std::string>()>& volumes);

// Prints them, one a line. Asks the master for volumes, for a second at most.
int RunComplete(const std::vector<std::string>& words);

// Prints the script of arguments.shell.
int RunCompletion(const Arguments& arguments);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_COMPLETION_H_
