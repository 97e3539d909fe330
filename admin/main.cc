// cairn: the command line for people.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "absl/strings/str_cat.h"
#include "admin/commands.h"
#include "base/program.h"

namespace cairn::admin {
namespace {

constexpr char kDescription[] =
    "Puts, gets, lists and removes values of a Cairn cluster.\n\n"
    "A key is taken as the bytes you type (with --escaped: percent-encoded, "
    "as\n"
    "`cairn ls` prints it). It has no leading slash: what the gateway serves "
    "as\nhttp://HOST:3000/a/b is the key a/b.";

constexpr char kFooter[] =
    "Exit code: 0 done; 1 a definite no (the key is missing, a condition does\n"
    "not hold; of status: the cluster is not ready); 2 it failed.\n\n"
    "Examples:\n"
    "  cairn put photos/cat.jpg cat.jpg --content-type image/jpeg\n"
    "  cairn get photos/cat.jpg -o back.jpg\n"
    "  echo hello | cairn put greeting\n"
    "  cairn ls photos/\n"
    "  cairn rm photos/cat.jpg greeting\n"
    "  cairn status --master 10.0.0.1:3100\n";

using Command = std::function<int(const Arguments&)>;

void AddEscaped(CLI::App* app, Arguments* arguments) {
  app->add_flag("--escaped", arguments->escaped,
                "keys are percent-encoded, as `cairn ls` prints them");
}

void AddKey(CLI::App* app, Arguments* arguments) {
  app->add_option("KEY", arguments->key, "1 to 1,024 bytes")->required();
  AddEscaped(app, arguments);
}

void AddPut(CLI::App* cairn, Arguments* arguments, Command* chosen) {
  CLI::App* app = cairn->add_subcommand("put", "Write a value");
  AddKey(app, arguments);
  app->add_option("FILE", arguments->file,
                  "where the bytes come from; -: standard input")
      ->capture_default_str();
  app->add_option("--content-type", arguments->content_type,
                  "Content-Type for readers over HTTP");
  app->add_flag("--if-new", arguments->if_new,
                "only if the key does not exist yet");
  app->add_option("--meta", arguments->meta,
                  "NAME=VALUE to keep with the value; may be repeated")
      ->expected(1)
      ->take_all();
  app->callback([chosen] { *chosen = &RunPut; });
}

void AddReaders(CLI::App* cairn, Arguments* arguments, Command* chosen) {
  CLI::App* get = cairn->add_subcommand("get", "Read a value");
  AddKey(get, arguments);
  get->add_option("-o,--output", arguments->file,
                  "the file to write, whole or not at all; -: standard "
                  "output")
      ->capture_default_str();
  get->callback([chosen] { *chosen = &RunGet; });

  CLI::App* stat = cairn->add_subcommand("stat", "Show what is known of a key");
  AddKey(stat, arguments);
  stat->add_flag("--json", arguments->json, "print JSON");
  stat->callback([chosen] { *chosen = &RunStat; });

  CLI::App* ls = cairn->add_subcommand(
      "ls", "List every key, one a line, percent-encoded, in byte order");
  ls->add_option("PREFIX", arguments->key, "only keys that begin with this");
  AddEscaped(ls, arguments);
  ls->callback([chosen] { *chosen = &RunList; });
}

void AddOthers(CLI::App* cairn, Arguments* arguments, Command* chosen) {
  CLI::App* rm = cairn->add_subcommand("rm", "Remove keys, for good");
  rm->add_option("KEY", arguments->keys, "1 to 1,024 bytes each")->required();
  AddEscaped(rm, arguments);
  rm->callback([chosen] { *chosen = &RunRemove; });

  CLI::App* status = cairn->add_subcommand("status", "Show how the cluster is");
  status->add_flag("--json", arguments->json, "print JSON");
  status->callback([chosen] { *chosen = &RunStatus; });
}

int Main(int argc, char** argv) {
  // gRPC's own lines are not for people; ours say what happened.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  Arguments arguments;
  Command chosen;
  CLI::App app(kDescription, "cairn");
  app.footer(kFooter);
  app.set_version_flag("--version",
                       absl::StrCat("cairn ", base::kProgramVersion));
  app.add_option("--master", arguments.master,
                 "where the master listens, HOST:PORT")
      ->envname("CAIRN_MASTER")
      ->capture_default_str();
  app.require_subcommand(1);
  // --master may stand before or after the command.
  app.fallthrough();
  AddPut(&app, &arguments, &chosen);
  AddReaders(&app, &arguments, &chosen);
  AddOthers(&app, &arguments, &chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return app.exit(success);  // --help, --version.
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "cairn: %s; see `cairn --help`\n", error.what());
    return kFailed;
  }
  return chosen(arguments);
}

}  // namespace
}  // namespace cairn::admin

int main(int argc, char** argv) { return cairn::admin::Main(argc, argv); }
