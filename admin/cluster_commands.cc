#include "admin/cluster_commands.h"

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

}  // namespace cairn::admin
