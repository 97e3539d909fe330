#include "admin/job_commands.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "admin/human.h"
#include "admin/job_call.h"
#include "admin/job_text.h"
#include "admin/job_watcher.h"
#include "admin/session.h"
#include "base/status.h"

namespace cairn::admin {
namespace {

absl::StatusOr<v1::JobOptions> OptionsOf(const Arguments& arguments) {
  v1::JobOptions options;
  options.set_dry_run(arguments.dry_run);
  if (!arguments.rate.empty()) {
    const auto rate = ParseBytes(arguments.rate);
    RETURN_IF_ERROR(base::Annotate(rate.status(), "--rate"));
    if (*rate <= 0) {
      return absl::InvalidArgumentError(
          "--rate: give more than 0 bytes a second");
    }
    options.set_bytes_per_second_max(*rate);
  }
  return options;
}

// Adds "1a2b3c4d" or "1a2b3c4d/2" to the request.
absl::Status AddWithout(const std::string& text, v1::RebuildRequest* request) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  uint32_t id = 0;
  int32_t subvolume = 0;
  if (parts.size() > 2 || !absl::SimpleHexAtoi(parts[0], &id) || id == 0 ||
      (parts.size() == 2 && !absl::SimpleAtoi(parts[1], &subvolume))) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--without ", text,
        ": give a volume as `cairn volume list` shows it (1a2b3c4d), or one "
        "of its disks (1a2b3c4d/0)"));
  }
  if (parts.size() == 1) {
    request->add_without_volume_ids(id);
    return absl::OkStatus();
  }
  v1::SubvolumeId* const where = request->add_without_subvolumes();
  where->set_volume_id(id);
  where->set_subvolume(subvolume);
  return absl::OkStatus();
}

// Runs a job of the kind that is called `name`. `refused`: what a definite no
// to its start means.
int RunJob(const Arguments& arguments, const std::string& name,
           GrpcJobCall::Start start, int refused = kFailed) {
  GrpcJobCall call(arguments.master, std::move(start));
  bool left = false;
  const absl::Status status = WatchJob(&call, name, arguments.json, &left);
  if (!status.ok()) {
    Report(status);
    const bool no =
        absl::IsFailedPrecondition(status) || absl::IsNotFound(status);
    // Of most, 1 means that the job was done: not that it never began.
    return no && call.last().job_id() == 0 ? refused : kFailed;
  }
  return !left && call.last().problems_count() > 0 ? kNo : kDone;
}

}  // namespace

int RunVerify(const Arguments& arguments) {
  const auto options = OptionsOf(arguments);
  if (!options.ok()) return Report(options.status());
  v1::VerifyRequest request;
  *request.mutable_options() = *options;
  request.set_repair(arguments.repair);
  return RunJob(arguments, "verify", [&](auto* stub, auto* context) {
    return stub->Verify(context, request);
  });
}

int RunRebuild(const Arguments& arguments) {
  const auto options = OptionsOf(arguments);
  if (!options.ok()) return Report(options.status());
  v1::RebuildRequest request;
  *request.mutable_options() = *options;
  request.set_diff(arguments.diff);
  for (const std::string& text : arguments.without) {
    const absl::Status added = AddWithout(text, &request);
    if (!added.ok()) return Report(added);
  }
  return RunJob(arguments, arguments.diff ? "diff" : "rebuild",
                [&](auto* stub, auto* context) {
                  return stub->Rebuild(context, request);
                });
}

int RunRebalance(const Arguments& arguments) {
  const auto options = OptionsOf(arguments);
  if (!options.ok()) return Report(options.status());
  v1::RebalanceRequest request;
  *request.mutable_options() = *options;
  return RunJob(arguments, "rebalance", [&](auto* stub, auto* context) {
    return stub->Rebalance(context, request);
  });
}

int RunRepair(const Arguments& arguments) {
  const auto options = OptionsOf(arguments);
  if (!options.ok()) return Report(options.status());
  v1::RepairRequest request;
  *request.mutable_options() = *options;
  return RunJob(arguments, "repair", [&](auto* stub, auto* context) {
    return stub->Repair(context, request);
  });
}

int RunVolumeDrain(const Arguments& arguments) {
  const auto options = OptionsOf(arguments);
  if (!options.ok()) return Report(options.status());
  v1::DrainVolumeRequest request;
  *request.mutable_options() = *options;
  request.set_volume_id(arguments.volume_id);
  return RunJob(
      arguments, "drain",
      [&](auto* stub, auto* context) {
        return stub->DrainVolume(context, request);
      },
      /*refused=*/kNo);
}

int RunJobs(const Arguments& arguments) {
  const auto jobs = AdminClient(arguments.master).ListJobs();
  if (!jobs.ok()) return Report(jobs.status());
  return Report(Print(arguments.json ? JobsJson(*jobs) : JobsText(*jobs)));
}

int RunJobsCancel(const Arguments& arguments) {
  return Report(AdminClient(arguments.master).CancelJob(arguments.job_id));
}

}  // namespace cairn::admin
