#include "admin/command_line.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "admin/cluster_commands.h"
#include "admin/completion.h"
#include "admin/copier.h"
#include "admin/copy_command.h"
#include "admin/job_commands.h"
#include "admin/value_commands.h"
#include "base/program.h"

namespace cairn::admin {
namespace {

constexpr char kDescription[] =
    "Puts, gets, copies, lists and removes values of a Cairn cluster, and "
    "shows how\nit is.\n\n"
    "A key is taken as the bytes you type (with --escaped: percent-encoded, "
    "as\n"
    "`cairn ls` prints it). It has no leading slash: what the gateway serves "
    "as\nhttp://HOST:3000/a/b is the key a/b.";

constexpr char kFooter[] =
    "Exit code: 0 done, nothing found; 1 a definite no (the key is missing, a\n"
    "condition does not hold, of status: the cluster is not ready) or "
    "findings;\n2 it failed.\n\n"
    "Examples:\n"
    "  cairn put photos/cat.jpg cat.jpg --content-type image/jpeg\n"
    "  cairn get photos/cat.jpg -o back.jpg\n"
    "  echo hello | cairn put greeting\n"
    "  cairn cp -r ~/photos cairn:/photos\n"
    "  cairn cp -r cairn:/photos /tmp/photos\n"
    "  cairn ls photos/\n"
    "  cairn rm photos/cat.jpg greeting\n"
    "  cairn status --master 10.0.0.1:3100\n"
    "  source <(cairn completion bash)\n";

constexpr char kCopyFooter[] =
    "The side in the cluster is written cairn:/KEY (as in a URL, the slash is "
    "no\npart of the key; cairn:KEY is the same). All else is a path of this\n"
    "machine; write ./cairn:x for a file of that name.\n\n"
    "  cairn cp cat.jpg cairn:/photos/    the key photos/cat.jpg\n"
    "  cairn cp cairn:/photos/cat.jpg .   the file ./cat.jpg\n"
    "  cairn cp -r DIR cairn:/photos      DIR/a/b becomes the key photos/a/b\n"
    "  cairn cp -r cairn:/photos DIR      and back: every key below photos/\n"
    "  cairn cp -r cairn:/ DIR            every key\n\n"
    "What the other side has already, with the same size and hashes, is not\n"
    "copied again: run it once more to go on with a copy that was cut short. "
    "Keys\nand files that are only on the target's side stay. A file appears "
    "whole or\nnot at all. With -r, links, pipes, devices and sockets are "
    "skipped, and no\nlink below DIR is followed or written through.\n\n"
    "Some keys have no place in a directory: those with an empty part, . or "
    "..,\na NUL, or a part of more than 255 bytes, and a/b where a is a key "
    "too. They\nare named, the rest is copied, and the exit code is 1; it is 2 "
    "if any file\ncould not be copied for another reason. Ctrl-C leaves no "
    "half files.\n";

constexpr char kJobFooter[] =
    "The master does the work and goes on if this command ends, or if it is\n"
    "started again itself. One job of a kind runs at a time: a second call "
    "joins it\nand watches. Ctrl-C on a terminal asks whether the job stops or "
    "goes on; without\none it goes on. `cairn jobs` shows all, `cairn jobs "
    "cancel ID` ends one.\n\n"
    "Exit code: 0 done; 1 done, with problems, which are printed; 2 it was "
    "refused, it\nfailed or it was stopped.\n";

constexpr char kDrainFooter[] =
    "Ends with \"0 blobs left, safe to remove\" when the volume itself counts "
    "none.\nReads go on meanwhile. Until `cairn volume undrain` it takes no "
    "new values,\nalso if the drain is stopped. The master goes on if this "
    "command ends.\n\n"
    "Exit code: 0 done; 1 refused (fewer volumes than replicas would be left, "
    "or\nthere is no such volume); 2 it failed or it was stopped.\n";

constexpr char kRemoveFooter[] =
    "Its id is never taken again and its agent ends. Refused while a key has a "
    "copy\nthere, and if fewer volumes than replicas would be left.\n\n"
    "Exit code: 0 removed; 1 refused; 2 it failed.\n";

class Builder {
 public:
  explicit Builder(CommandLine* line) : line_(*line), args_(line->arguments) {}

  void AddAll() {
    AddPut();
    AddReaders();
    AddCopy();
    AddRemove();
    AddCluster();
    AddPlacement();
    AddVerify();
    AddRebuild();
    AddJobs();
    AddCompletion();
  }

 private:
  using Run = int (*)(const Arguments&);

  CLI::App* Command(CLI::App* parent, const std::string& name,
                    const std::string& description, Run run) {
    CLI::App* const app = parent->add_subcommand(name, description);
    // The innermost command's comes first.
    app->callback([run, line = &line_] {
      if (!line->chosen) line->chosen = run;
    });
    return app;
  }

  void AddEscaped(CLI::App* app) {
    app->add_flag("--escaped", args_.escaped,
                  "keys are percent-encoded, as `cairn ls` prints them");
  }

  void AddJson(CLI::App* app, const std::string& description = "print JSON") {
    app->add_flag("--json", args_.json, description);
  }

  void AddKey(CLI::App* app) {
    app->add_option("KEY", args_.key, "1 to 1,024 bytes")->required();
    AddEscaped(app);
  }

  void IsFile(const CLI::Option* option) {
    line_.kinds[option] = WordKind::kFile;
  }

  void AddPut() {
    CLI::App* app = Command(&line_.app, "put", "Write a value", &RunPut);
    AddKey(app);
    IsFile(app->add_option("FILE", args_.file,
                           "where the bytes come from; -: standard input")
               ->capture_default_str());
    app->add_option("--content-type", args_.content_type,
                    "Content-Type for readers over HTTP");
    app->add_flag("--if-new", args_.if_new,
                  "only if the key does not exist yet");
    app->add_option("--meta", args_.meta,
                    "NAME=VALUE to keep with the value; may be repeated")
        ->expected(1)
        ->take_all();
  }

  void AddReaders() {
    CLI::App* get = Command(&line_.app, "get", "Read a value", &RunGet);
    AddKey(get);
    IsFile(get->add_option("-o,--output", args_.file,
                           "the file to write, whole or not at all; -: "
                           "standard output")
               ->capture_default_str());
    CLI::App* stat =
        Command(&line_.app, "stat", "Show what is known of a key", &RunStat);
    AddKey(stat);
    AddJson(stat);
    CLI::App* ls = Command(
        &line_.app, "ls",
        "List every key, one a line, percent-encoded, in byte order", &RunList);
    ls->add_option("PREFIX", args_.key, "only keys that begin with this");
    AddEscaped(ls);
    CLI::Option* const long_list = ls->add_flag(
        "-l,--long", args_.long_list, "with size and time of last change");
    ls->add_flag("--json", args_.json, "a JSON object for each key, one a line")
        ->excludes(long_list);
  }

  void AddCopy() {
    CLI::App* cp = Command(&line_.app, "cp",
                           "Copy files to keys, or keys to files", &RunCopy);
    cp->footer(kCopyFooter);
    IsFile(cp->add_option("SOURCE", args_.source, "cairn:/KEY, or a path")
               ->required());
    IsFile(cp->add_option("TARGET", args_.target, "the other of the two")
               ->required());
    cp->add_flag("-r,--recursive", args_.recursive,
                 "copy a directory, or all keys below one");
    cp->add_option("--parallel", args_.parallel, "files on the way at once")
        ->check(CLI::Range(1, kCopyParallelMax))
        ->capture_default_str();
    cp->add_flag("--always", args_.always,
                 "copy what the other side has already too");
    AddEscaped(cp);
    AddJson(cp, "print what was done as a JSON object");
  }

  void AddRemove() {
    CLI::App* rm =
        Command(&line_.app, "rm", "Remove keys, for good", &RunRemove);
    rm->add_option("KEY", args_.keys, "1 to 1,024 bytes each")->required();
    AddEscaped(rm);
  }

  void AddCluster() {
    AddJson(
        Command(&line_.app, "status", "Show how the cluster is", &RunStatus));
    CLI::App* const volume =
        line_.app.add_subcommand("volume", "Show and change the volumes");
    volume->require_subcommand(1);
    AddJson(Command(volume, "list",
                    "Show each volume: id, state, fill, disks, addresses",
                    &RunVolumeList),
            "print a JSON array of objects");
    CLI::App* const drain =
        Job(volume, "drain",
            "Move every blob off a volume, which takes no new ones from now "
            "on",
            &RunVolumeDrain);
    drain->footer(kDrainFooter);
    AddVolumeId(drain);
    CLI::App* const undrain =
        Command(volume, "undrain",
                "Let a volume take new values again, and end its drain",
                &RunVolumeUndrain);
    AddVolumeId(undrain);
    AddJson(undrain);
    CLI::App* const remove =
        Command(volume, "remove",
                "Take a drained or dead volume out of the cluster, for good",
                &RunVolumeRemove);
    remove->footer(kRemoveFooter);
    AddVolumeId(remove);
    remove->add_flag("--dry-run", args_.dry_run,
                     "change nothing; say whether it could be removed");
    AddJson(remove);
  }

  void AddVolumeId(CLI::App* app) {
    CLI::Option* const id = app->add_option(
        "VOLUME", args_.volume_id, "its id, as `cairn volume list` shows it");
    id->required();
    line_.kinds[id] = WordKind::kVolume;
  }

  // What all jobs have.
  CLI::App* Job(CLI::App* parent, const std::string& name,
                const std::string& description, Run run) {
    CLI::App* const app = Command(parent, name, description, run);
    app->footer(kJobFooter);
    app->add_flag("--dry-run", args_.dry_run,
                  "change nothing; say what would be done");
    app->add_option("--rate", args_.rate,
                    "at most this many bytes a second, as 500K, 20M, 1G");
    AddJson(app, "a JSON object for each message of progress, one a line");
    return app;
  }

  void AddPlacement() {
    Job(&line_.app, "rebalance",
        "Move blobs to where they belong, after volumes have joined",
        &RunRebalance);
    Job(&line_.app, "repair",
        "Make the copies again that lie on volumes that are down or disks "
        "that have failed",
        &RunRepair);
  }

  void AddVerify() {
    CLI::App* const verify =
        Job(&line_.app, "verify",
            "Read every copy of every value against its hash, and look for "
            "stray files",
            &RunVerify);
    verify->add_flag("--repair", args_.repair,
                     "make bad copies again from good ones, remove stray "
                     "files");
  }

  void AddRebuild() {
    CLI::App* const rebuild =
        Job(&line_.app, "rebuild",
            "Make a lost index again from the files of all volumes; the "
            "cluster serves when it is done",
            &RunRebuild);
    rebuild
        ->add_option("--without", args_.without,
                     "a volume (ID) or disk (ID/N) that is gone or away for "
                     "long; without it the rebuild waits for all")
        ->allow_extra_args(false)
        ->type_name("ID");
    CLI::Option* const diff = rebuild->add_flag(
        "--diff", args_.diff,
        "rebuild nothing: compare a healthy index with the files, while "
        "clients read and write; exit code 1 if they differ");
    for (const char* other : {"--without", "--dry-run", "--rate"}) {
      diff->excludes(rebuild->get_option(other));
    }
  }

  void AddJobs() {
    CLI::App* const jobs =
        Command(&line_.app, "jobs",
                "Show the jobs that run, and the last of each kind", &RunJobs);
    AddJson(jobs, "print a JSON array of objects");
    CLI::App* const cancel =
        Command(jobs, "cancel", "End a job; what it has done stays done",
                &RunJobsCancel);
    cancel->add_option("ID", args_.job_id, "as `cairn jobs` shows it")
        ->required();
  }

  void AddCompletion() {
    CLI::App* const completion =
        Command(&line_.app, "completion",
                "Print what makes a shell complete the words of `cairn`",
                &RunCompletion);
    completion->footer(
        "bash: source <(cairn completion bash)   in ~/.bashrc\n"
        "zsh:  source <(cairn completion zsh)    in ~/.zshrc, below "
        "compinit\n");
    line_.kinds[completion->add_option("SHELL", args_.shell, "bash or zsh")
                    ->required()
                    ->check(CLI::IsMember({"bash", "zsh"}))] = WordKind::kShell;
  }

  CommandLine& line_;
  Arguments& args_;
};

}  // namespace

CommandLine::CommandLine() : app(kDescription, "cairn") {
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
  Builder(this).AddAll();
}

}  // namespace cairn::admin
