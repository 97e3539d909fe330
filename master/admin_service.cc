#include "master/admin_service.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/program.h"
#include "master/cluster_state.h"
#include "master/jobs/verify_job.h"
#include "placement/placement.h"
#include "proto/convert.h"
#include "rpc/server.h"

namespace cairn::master {
namespace {

constexpr char kFsyncNote[] =
    "An acknowledged write is synced to disk on every replica and in the "
    "index; a power cut loses none.";
constexpr char kRiskNote[] =
    "An acknowledged write is synced to disk on every replica; its entry in "
    "the "
    "index may be lost: ";
constexpr char kOsNote[] =
    "An acknowledged write is in the page cache of every replica's machine: a "
    "killed process loses none, a power cut may lose those of the last half "
    "minute; start the master with --durability=fsync to sync them.";

std::string DurabilityNote(v1::Durability durability, const std::string& risk) {
  if (durability == v1::DURABILITY_OS) return kOsNote;
  return risk.empty() ? kFsyncNote : absl::StrCat(kRiskNote, risk, ".");
}

absl::StatusOr<uint32_t> ParseVolumeId(const std::string& text) {
  uint32_t id = 0;
  if (text.size() == 8 && absl::SimpleHexAtoi(text, &id) && id != 0) return id;
  return absl::InvalidArgumentError(
      absl::StrCat("volume_id \"", absl::CHexEscape(text),
                   "\": give 8 hexadecimal digits, as `cairn volume list` "
                   "shows them"));
}

}  // namespace

grpc::Status AdminService::GetStatus(grpc::ServerContext* context,
                                     const v1::GetStatusRequest* request,
                                     v1::GetStatusResponse* response) {
  const Membership::View view = membership_->view();
  std::string reason = view->unavailable_reason;
  if (reason.empty()) {
    reason = std::string(placement::CheckWritable(view->map).message());
  }
  response->set_ready(reason.empty());
  response->set_not_ready_reason(reason);
  *response->mutable_map() = WithoutSecrets(view->map);
  // The map has the fill of its last epoch.
  response->mutable_map()->clear_volumes();
  for (v1::Volume& volume : membership_->Volumes()) {
    if (placement::FindVolume(view->map, volume.volume_id()) == nullptr) {
      continue;  // A guest.
    }
    *response->mutable_map()->add_volumes() = std::move(volume);
  }
  response->set_index_uri(index_->uri());
  const index::IndexStats stats = index_->Stats();
  response->set_keys_count(stats.keys_count);
  response->set_removals_waiting_count(stats.removals_count);
  response->set_tombstones_count(stats.tombstones_count);
  response->set_index_full(stats.full);
  response->set_durability_note(
      DurabilityNote(view->map.durability(), index_->risk()));
  response->set_program_version(base::kProgramVersion);
  response->set_under_replicated_keys_count(repair_->under_replicated());
  const auto verified = VerifyJob::LastRound(index_);
  if (verified.ok() && verified->has_value()) {
    *response->mutable_last_verify() = **verified;
  }
  return grpc::Status::OK;
}

grpc::Status AdminService::ListVolumes(grpc::ServerContext* context,
                                       const v1::ListVolumesRequest* request,
                                       v1::ListVolumesResponse* response) {
  uint32_t after = 0;
  if (!request->page_token().empty() &&
      !absl::SimpleHexAtoi(request->page_token(), &after)) {
    return rpc::ToGrpc(absl::InvalidArgumentError(
        "page_token: give the next_page_token of the page before, unchanged"));
  }
  if (request->page_size() < 0 || request->page_size() > base::kVolumesMax) {
    return rpc::ToGrpc(absl::InvalidArgumentError(
        absl::StrCat("page_size=", request->page_size(), ": give 1 to ",
                     base::kVolumesMax, ", or 0 for that many")));
  }
  const int size =
      request->page_size() == 0 ? base::kVolumesMax : request->page_size();
  for (v1::Volume& volume : membership_->Volumes()) {
    if (volume.volume_id() <= after) continue;
    if (response->volumes_size() == size) {
      response->set_next_page_token(VolumeIdText(
          response->volumes(response->volumes_size() - 1).volume_id()));
      break;
    }
    *response->add_volumes() = std::move(volume);
  }
  return grpc::Status::OK;
}

grpc::Status AdminService::RunJob(grpc::ServerContext* context,
                                  v1::JobKind kind,
                                  const v1::JobOptions& options,
                                  std::string request,
                                  grpc::ServerWriter<v1::JobProgress>* writer) {
  if (options.bytes_per_second_max() < 0) {
    return rpc::ToGrpc(absl::InvalidArgumentError(
        "bytes_per_second_max: give a positive number, or 0 for no limit"));
  }
  const auto job = jobs_->Start(kind, options, std::move(request));
  if (!job.ok()) return rpc::ToGrpc(job.status());
  bool ended = false;
  while (!ended && !context->IsCancelled()) {
    if (!writer->Write((*job)->progress())) break;
    ended = (*job)->WaitForEnd(base::kJobProgressInterval);
  }
  if (!ended) return grpc::Status::OK;  // The watcher has gone.
  const v1::JobProgress last = (*job)->progress();
  writer->Write(last);
  if (last.state() != v1::JOB_STATE_FAILED) return grpc::Status::OK;
  return rpc::ToGrpc(absl::FailedPreconditionError(last.error()));
}

grpc::Status AdminService::Verify(grpc::ServerContext* context,
                                  const v1::VerifyRequest* request,
                                  grpc::ServerWriter<v1::JobProgress>* writer) {
  const absl::Status serving = membership_->CheckServing();
  if (!serving.ok()) return rpc::ToGrpc(serving);
  return RunJob(context, v1::JOB_KIND_VERIFY, request->options(),
                request->SerializeAsString(), writer);
}

grpc::Status AdminService::Rebuild(
    grpc::ServerContext* context, const v1::RebuildRequest* request,
    grpc::ServerWriter<v1::JobProgress>* writer) {
  if (request->diff()) return Diff(context, *request, writer);
  return RunJob(context, v1::JOB_KIND_REBUILD, request->options(),
                request->SerializeAsString(), writer);
}

grpc::Status AdminService::Rebalance(
    grpc::ServerContext* context, const v1::RebalanceRequest* request,
    grpc::ServerWriter<v1::JobProgress>* writer) {
  const absl::Status serving = membership_->CheckServing();
  if (!serving.ok()) return rpc::ToGrpc(serving);
  return RunJob(context, v1::JOB_KIND_REBALANCE, request->options(),
                request->SerializeAsString(), writer);
}

grpc::Status AdminService::Repair(grpc::ServerContext* context,
                                  const v1::RepairRequest* request,
                                  grpc::ServerWriter<v1::JobProgress>* writer) {
  const absl::Status serving = membership_->CheckServing();
  if (!serving.ok()) return rpc::ToGrpc(serving);
  if (request->down_seconds_min() < 0) {
    return rpc::ToGrpc(absl::InvalidArgumentError(
        "down_seconds_min: give a positive number, or 0 for all that are "
        "down"));
  }
  return RunJob(context, v1::JOB_KIND_REPAIR, request->options(),
                request->SerializeAsString(), writer);
}

JobRunner::JobPtr AdminService::RunningDrain(uint32_t* volume_id) {
  for (const JobRunner::JobPtr& job : jobs_->jobs()) {
    v1::DrainVolumeRequest request;
    if (job->progress().kind() == v1::JOB_KIND_DRAIN &&
        !job->WaitForEnd(absl::ZeroDuration()) &&
        request.ParseFromString(job->request()) &&
        absl::SimpleHexAtoi(request.volume_id(), volume_id)) {
      return job;
    }
  }
  return nullptr;
}

absl::Status AdminService::PrepareDrain(uint32_t volume_id, bool dry_run) {
  uint32_t draining = 0;
  if (RunningDrain(&draining) != nullptr && draining != volume_id) {
    return absl::FailedPreconditionError(absl::StrCat(
        "volume ", VolumeIdText(draining),
        " is being drained: wait for it, or end that job (`cairn jobs`)"));
  }
  if (dry_run) return membership_->CheckCanLeave(volume_id);
  return membership_->SetDraining(volume_id, /*draining=*/true);
}

grpc::Status AdminService::DrainVolume(
    grpc::ServerContext* context, const v1::DrainVolumeRequest* request,
    grpc::ServerWriter<v1::JobProgress>* writer) {
  const auto id = ParseVolumeId(request->volume_id());
  if (!id.ok()) return rpc::ToGrpc(id.status());
  const absl::Status ready = PrepareDrain(*id, request->options().dry_run());
  if (!ready.ok()) return rpc::ToGrpc(ready);
  return RunJob(context, v1::JOB_KIND_DRAIN, request->options(),
                request->SerializeAsString(), writer);
}

grpc::Status AdminService::UndrainVolume(
    grpc::ServerContext* context, const v1::UndrainVolumeRequest* request,
    v1::UndrainVolumeResponse* response) {
  const auto id = ParseVolumeId(request->volume_id());
  if (!id.ok()) return rpc::ToGrpc(id.status());
  const absl::Status changed = membership_->SetDraining(*id, false);
  if (!changed.ok()) return rpc::ToGrpc(changed);
  uint32_t draining = 0;
  const JobRunner::JobPtr drain = RunningDrain(&draining);
  if (drain != nullptr && draining == *id) {
    // Not found: it has just ended.
    jobs_->Cancel(drain->id()).IgnoreError();
  }
  return grpc::Status::OK;
}

grpc::Status AdminService::RemoveVolume(grpc::ServerContext* context,
                                        const v1::RemoveVolumeRequest* request,
                                        v1::RemoveVolumeResponse* response) {
  const auto id = ParseVolumeId(request->volume_id());
  if (!id.ok()) return rpc::ToGrpc(id.status());
  return rpc::ToGrpc(removal_->Remove(*id, request->dry_run()));
}

grpc::Status AdminService::Diff(grpc::ServerContext* context,
                                const v1::RebuildRequest& request,
                                grpc::ServerWriter<v1::JobProgress>* writer) {
  if (request.options().dry_run() ||
      request.options().bytes_per_second_max() != 0 ||
      request.without_volume_ids_size() + request.without_subvolumes_size() >
          0) {
    return rpc::ToGrpc(absl::InvalidArgumentError(
        "diff: it changes nothing, reads no values and takes the volumes that "
        "are up; give it alone"));
  }
  const absl::Status serving = membership_->CheckServing();
  if (!serving.ok()) return rpc::ToGrpc(serving);
  return RunJob(context, v1::JOB_KIND_DIFF, {}, "", writer);
}

grpc::Status AdminService::ListJobs(grpc::ServerContext* context,
                                    const v1::ListJobsRequest* request,
                                    v1::ListJobsResponse* response) {
  for (const auto& job : jobs_->jobs()) {
    v1::JobProgress progress = job->progress();
    if (progress.kind() == v1::JOB_KIND_BACKGROUND_VERIFY) continue;
    *response->add_jobs() = std::move(progress);
  }
  return grpc::Status::OK;
}

grpc::Status AdminService::CancelJob(grpc::ServerContext* context,
                                     const v1::CancelJobRequest* request,
                                     v1::CancelJobResponse* response) {
  return rpc::ToGrpc(jobs_->Cancel(request->job_id()));
}

}  // namespace cairn::master
