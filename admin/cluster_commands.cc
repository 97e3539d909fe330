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
  const auto status = AdminClient(arguments.master).GetStatus();
  if (!status.ok()) return Report(status.status());
  const int printed =
      Report(Print(arguments.json ? StatusJson(*status) : StatusText(*status)));
  if (printed != kDone) return printed;
  return status->ready() ? kDone : kNo;
}

int RunVolumeList(const Arguments& arguments) {
  return Report(VolumeList(arguments));
}

}  // namespace cairn::admin
