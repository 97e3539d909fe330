#include "admin/cluster_commands.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "admin/cluster_text.h"
#include "admin/session.h"
#include "base/status.h"

namespace cairn::admin {
namespace {

absl::Status VolumeList(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const v1::ListVolumesResponse volumes,
                   AdminClient(arguments.master).ListVolumes());
  return Print(arguments.json ? VolumesJson(volumes) : VolumesText(volumes));
}

// A refusal is an answer.
int ReportAnswer(const absl::Status& status) {
  const int code = Report(status);
  return absl::IsFailedPrecondition(status) || absl::IsNotFound(status) ? kNo
                                                                        : code;
}

}  // namespace

int RunStatus(const Arguments& arguments) {
  AdminClient admin(arguments.master);
  const auto status = admin.GetStatus();
  if (!status.ok()) return Report(status.status());
  const auto jobs = admin.ListJobs();
  if (!jobs.ok()) return Report(jobs.status());
  const int printed =
      Report(Print(arguments.json ? StatusJson(*status, *jobs)
                                  : StatusText(*status, *jobs)));
  if (printed != kDone) return printed;
  return status->ready() ? kDone : kNo;
}

int RunVolumeList(const Arguments& arguments) {
  return Report(VolumeList(arguments));
}

int RunVolumeUndrain(const Arguments& arguments) {
  const absl::Status undrained =
      AdminClient(arguments.master).UndrainVolume(arguments.volume_id);
  if (!undrained.ok()) return ReportAnswer(undrained);
  return Report(Print(arguments.json
                          ? VolumeChangeJson(arguments.volume_id, "undrained")
                          : absl::StrCat("volume ", arguments.volume_id,
                                         " takes new values again; `cairn "
                                         "rebalance` brings it its share\n")));
}

int RunVolumeRemove(const Arguments& arguments) {
  const absl::Status removed =
      AdminClient(arguments.master)
          .RemoveVolume(arguments.volume_id, arguments.dry_run);
  if (!removed.ok()) return ReportAnswer(removed);
  const std::string what = arguments.dry_run ? "removable" : "removed";
  return Report(Print(
      arguments.json
          ? VolumeChangeJson(arguments.volume_id, what)
          : absl::StrCat("volume ", arguments.volume_id,
                         arguments.dry_run
                             ? " can be removed\n"
                             : " is removed for good; its agent ends\n")));
}

}  // namespace cairn::admin
