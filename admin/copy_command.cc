#include "admin/copy_command.h"

#include <sys/stat.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "admin/copier.h"
#include "admin/copy_plan.h"
#include "admin/human.h"
#include "admin/interrupt.h"
#include "admin/local_tree.h"
#include "admin/progress_bar.h"
#include "admin/rate_meter.h"
#include "admin/session.h"
#include "base/blob_name.h"
#include "base/status.h"

namespace cairn::admin {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
// After a signal, for what is under way to end; a piece takes less.
constexpr absl::Duration kStopDeadline = absl::Seconds(3);

bool IsDirectory(const std::string& path) {
  struct stat found;
  return stat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode);
}

// Behind the last slash.
std::string LastPart(absl::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}

// All keys "below" it, as if it were a directory.
std::string AsPrefix(std::string path) {
  if (!path.empty() && path.back() != '/') path.push_back('/');
  return path;
}

// What to copy, and what must live as long as the plan.
struct Copy {
  std::optional<LocalTree> tree;
  std::unique_ptr<CopyPlan> plan;
  bool one = false;  // A single value; no summary is printed.
};

absl::Status PlanUpload(const std::string& from, const std::string& to,
                        const Arguments& arguments, BlockingStore* store,
                        Copy* copy) {
  if (!IsDirectory(from)) {
    copy->one = true;
    const bool into = to.empty() || to.back() == '/';
    copy->plan = NewUploadOnePlan(store, from, into ? to + LastPart(from) : to,
                                  arguments.always);
    return absl::OkStatus();
  }
  if (!arguments.recursive) {
    return absl::InvalidArgumentError(
        absl::StrCat(from, " is a directory: copy it with -r"));
  }
  auto tree = LocalTree::Open(from);
  RETURN_IF_ERROR(OfFile(tree.status()));
  copy->tree.emplace(*std::move(tree));
  copy->plan =
      NewUploadPlan(store, &*copy->tree, AsPrefix(to), arguments.always);
  return absl::OkStatus();
}

absl::Status PlanDownload(const std::string& from, std::string to,
                          const Arguments& arguments, BlockingStore* store,
                          Copy* copy) {
  if (arguments.recursive) {
    copy->plan = NewDownloadPlan(store, AsPrefix(from), to, arguments.always);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(base::CheckKey(from));
  if (to.back() == '/' || IsDirectory(to)) {
    const std::string name = LastPart(from);
    RETURN_IF_ERROR(
        base::Annotate(CheckLocalPath(name), base::EscapeKeyForUrl(from)));
    absl::StrAppend(&to, to.back() == '/' ? "" : "/", name);
  }
  copy->one = true;
  copy->plan = NewDownloadOnePlan(store, from, to, arguments.always);
  return absl::OkStatus();
}

absl::Status MakePlan(const CopySide& source, const CopySide& target,
                      const Arguments& arguments, BlockingStore* store,
                      Copy* copy) {
  return source.in_cluster
             ? PlanDownload(source.path, target.path, arguments, store, copy)
             : PlanUpload(source.path, target.path, arguments, store, copy);
}

BarState BarOf(const CopyCounts& counts, const RateMeter& meter) {
  BarState state;
  state.label = "copying";
  state.unit = "files";
  state.done_count = counts.done_count();
  state.done_bytes = counts.done_bytes;
  state.totals_known = counts.totals_known;
  state.total_count = counts.total_count;
  state.total_bytes = counts.total_bytes;
  state.bytes_per_second = meter.bytes_per_second();
  state.count_per_second = meter.count_per_second();
  state.time_left = meter.TimeLeft(counts.total_count - counts.done_count(),
                                   counts.total_bytes - counts.done_bytes);
  state.errors_count = counts.failed_count;
  return state;
}

// Runs the copy and shows how far it is. After a signal does not return.
absl::Status RunWithBar(Copier* copier, ProgressBar* bar,
                        Interrupt* interrupt) {
  absl::Status result;
  absl::Notification done;
  std::thread runner([&] {
    result = copier->Run();
    done.Notify();
  });
  RateMeter meter;
  while (!done.WaitForNotificationWithTimeout(kTick)) {
    if (Interrupt::signal() != 0) {
      copier->Stop();
      done.WaitForNotificationWithTimeout(kStopDeadline);
      bar->Clear();
      interrupt->EndBySignal();
    }
    const CopyCounts counts = copier->counts();
    meter.Add(absl::Now(), counts.done_count(), counts.done_bytes);
    bar->Update(BarOf(counts, meter));
  }
  runner.join();
  bar->Clear();
  return result;
}

std::string SummaryText(const CopyCounts& counts, absl::Duration took) {
  const double seconds = absl::ToDoubleSeconds(took);
  std::string text = absl::StrCat(
      "copied ", counts.copied_count, " files, ",
      HumanBytes(counts.moved_bytes), " in ", HumanDuration(took), " (",
      HumanBytes(static_cast<int64_t>(static_cast<double>(counts.moved_bytes) /
                                      seconds)),
      "/s); ", counts.equal_count, " were there already");
  const auto add = [&](int64_t count, absl::string_view what) {
    if (count > 0) absl::StrAppend(&text, "; ", count, " ", what);
  };
  add(counts.skipped_count, "skipped");
  add(counts.refused_count, "have no place there");
  add(counts.failed_count, "failed");
  return text + "\n";
}

std::string SummaryJson(const CopyCounts& counts, absl::Duration took) {
  const nlohmann::ordered_json json = {
      {"copied_count", counts.copied_count},
      {"equal_count", counts.equal_count},
      {"skipped_count", counts.skipped_count},
      {"refused_count", counts.refused_count},
      {"failed_count", counts.failed_count},
      {"moved_bytes", counts.moved_bytes},
      {"seconds", absl::ToDoubleSeconds(took)}};
  return json.dump() + "\n";
}

absl::StatusOr<std::pair<CopySide, CopySide>> SidesOf(
    const Arguments& arguments) {
  ASSIGN_OR_RETURN(CopySide source,
                   ParseCopySide(arguments.source, arguments.escaped));
  ASSIGN_OR_RETURN(CopySide target,
                   ParseCopySide(arguments.target, arguments.escaped));
  if (source.in_cluster == target.in_cluster) {
    return absl::InvalidArgumentError(
        absl::StrCat(source.in_cluster ? "both sides are in the cluster"
                                       : "both sides are on this machine",
                     ": write one as cairn:/KEY and the other as a path"));
  }
  if (source.path.empty() && !source.in_cluster) {
    return absl::InvalidArgumentError("the source is an empty path");
  }
  if (target.path.empty() && !target.in_cluster) {
    return absl::InvalidArgumentError("the target is an empty path");
  }
  return std::make_pair(std::move(source), std::move(target));
}

int ExitCode(const CopyCounts& counts) {
  if (counts.failed_count > 0) return kFailed;
  return counts.refused_count > 0 ? kNo : kDone;
}

}  // namespace

absl::StatusOr<CopySide> ParseCopySide(absl::string_view argument,
                                       bool escaped) {
  CopySide side;
  side.in_cluster = absl::ConsumePrefix(&argument, "cairn:");
  if (side.in_cluster) absl::ConsumePrefix(&argument, "/");
  side.path = std::string(argument);
  if (side.in_cluster && escaped) {
    ASSIGN_OR_RETURN(side.path, base::Unescape(argument));
  }
  return side;
}

int RunCopy(const Arguments& arguments) {
  const auto sides = SidesOf(arguments);
  if (!sides.ok()) return Report(sides.status());
  const auto session = Connect(arguments.master);
  if (!session.ok()) return Report(session.status());
  Copy copy;
  const absl::Status planned = MakePlan(sides->first, sides->second, arguments,
                                        session->store.get(), &copy);
  if (!planned.ok()) return Report(planned);

  ProgressBar bar;
  Interrupt interrupt;
  CopyOptions options;
  options.parallel = arguments.parallel;
  options.count = bar.visible();
  options.note = [&bar](absl::string_view sentence) {
    bar.Print(absl::StrCat("cairn: ", sentence));
  };
  const absl::Time start = absl::Now();
  Copier copier(copy.plan.get(), options);
  const absl::Status status = RunWithBar(&copier, &bar, &interrupt);
  const absl::Duration took = absl::Now() - start;
  const CopyCounts counts = copier.counts();
  absl::Status printed;
  if (arguments.json || (!copy.one && status.ok())) {
    printed = Print(arguments.json ? SummaryJson(counts, took)
                                   : SummaryText(counts, took));
  }
  if (!status.ok()) return Report(status);
  if (!printed.ok()) return Report(printed);
  return ExitCode(counts);
}

}  // namespace cairn::admin
