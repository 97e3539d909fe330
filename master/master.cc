#include "master/master.h"

#include <chrono>
#include <utility>

#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/monotonic.h"
#include "base/status.h"
#include "master/commit_check.h"
#include "rpc/server.h"

namespace cairn::master {
namespace {

// A few times in each heartbeat interval, so that "down" is said in time.
const absl::Duration kKeeperPause = base::kHeartbeatInterval / 5;

}  // namespace

absl::StatusOr<std::unique_ptr<Master>> Master::Start(index::IndexStore* index,
                                                      const Options& options) {
  std::unique_ptr<Master> master(new Master(index));
  RETURN_IF_ERROR(master->Open(options.settings));
  grpc::ServerBuilder builder;
  master->loop_ = std::make_unique<rpc::EventLoop>(&builder);
  master->MakeWritePath();
  RETURN_IF_ERROR(master->MakeJobs(options));
  RETURN_IF_ERROR(master->Serve(&builder, options.listen_address));
  master->removals_->Start();
  master->keeper_ = std::thread([m = master.get()] { m->KeepTime(); });
  RETURN_IF_ERROR(master->jobs_->Resume());
  master->auto_repair_->Start();
  return master;
}

Master::~Master() { Stop(absl::ZeroDuration()); }

absl::Status Master::Open(const ClusterSettings& settings) {
  ASSIGN_OR_RETURN(v1::ClusterMap map, OpenCluster(index_, settings));
  ASSIGN_OR_RETURN(clock_, IndexClock::Open(index_));
  ASSIGN_OR_RETURN(mark_, IndexMark::Open(index_));
  ASSIGN_OR_RETURN(volume_marks_, VolumeMarks::Open(index_));
  ASSIGN_OR_RETURN(const int64_t writer_id, index_->NextNumber("writer_id"));
  versions_.SetWriterId(static_cast<uint32_t>(writer_id));
  versions_.Observe(clock_->NowMs());
  // Grows with each start, as the clock does, and also over a lost index.
  fencing_number_ = clock_->NowMs();
  Membership::Options membership;
  membership.index = index_;
  membership.mark = mark_.get();
  membership.volume_marks = volume_marks_.get();
  // One that never had its volumes has never served anybody.
  earlier_master_ = IsFormed(map);
  membership.map = std::move(map);
  membership.fencing_number = fencing_number_;
  membership.now_ms = [this] { return clock_->NowMs(); };
  ASSIGN_OR_RETURN(membership.lost, RebuildJob::HasBegun(index_));
  membership_ = std::make_unique<Membership>(std::move(membership));
  return absl::OkStatus();
}

void Master::MakeWritePath() {
  const auto view = [this] { return membership_->view(); };
  const auto now_ms = [this] { return clock_->NowMs(); };
  // Clients of the master before this one may not know that it has ended.
  const absl::Duration held = earlier_master_
                                  ? base::kLeaseTerm + base::kLeaseSlack
                                  : absl::ZeroDuration();
  leases_ = std::make_unique<LeaseTable>(base::MonotonicMs,
                                         absl::ToInt64Milliseconds(held));
  agents_ = std::make_unique<PooledAgents>(loop_.get(), view);

  RemovalJob::Options removals;
  removals.index = index_;
  removals.agents = agents_.get();
  removals.view = view;
  removals.now_ms = now_ms;
  removals.keep_tombstones = [this] { return merge_->waits(); };
  removals.fencing_number = fencing_number_;
  removals.held = &held_;
  removals_ = std::make_unique<RemovalJob>(std::move(removals));

  CommitQueue::Options commits;
  commits.index = index_;
  commits.now_ms = now_ms;
  commits.check = [this](const index::Mutation& mutation) {
    return CheckMutation(mutation);
  };
  commits.on_written = [this](std::vector<index::Removal> fresh) {
    mark_->NoteCommit();
    removals_->Add(std::move(fresh));
  };
  commits.leases = leases_.get();
  commits.write_here = !index_->commits_wait();
  commits_ = std::make_unique<CommitQueue>(std::move(commits));

  DeleteCoordinator::Options deletes;
  deletes.index = index_;
  deletes.commits = commits_.get();
  deletes.agents = agents_.get();
  deletes.clock = &versions_;
  deletes.now_ms = now_ms;
  deletes.view = view;
  deletes.on_unconfirmed = [this](uint32_t volume_id) {
    removals_->NoteBacklog(volume_id);
  };
  deletes.fencing_number = fencing_number_;
  deletes_ = std::make_unique<DeleteCoordinator>(std::move(deletes));
}

absl::Status Master::MakeJobs(const Options& options) {
  VerifyJob::Options verify;
  verify.index = index_;
  verify.membership = membership_.get();
  verify.now_ms = [this] { return clock_->NowMs(); };
  verify.fencing_number = fencing_number_;
  verify.agents = agents_.get();
  verify.held = &held_;
  verify.on_removals = [this](uint32_t volume_id) {
    removals_->NoteBacklog(volume_id);
  };
  verify_ = std::make_unique<VerifyJob>(std::move(verify));
  RebuildJob::Options rebuild;
  rebuild.index = index_;
  rebuild.membership = membership_.get();
  rebuild.clock = clock_.get();
  rebuild.mark = mark_.get();
  rebuild.on_done = [this] {
    for (const v1::Volume& volume : membership_->view()->map.volumes()) {
      removals_->NoteBacklog(volume.volume_id());
    }
  };
  rebuild_ = std::make_unique<RebuildJob>(std::move(rebuild));
  jobs_ = std::make_unique<JobRunner>(index_);
  jobs_->Register(v1::JOB_KIND_REBUILD, [this](JobContext* context) {
    return rebuild_->Run(context);
  });
  jobs_->Register(v1::JOB_KIND_VERIFY, [this](JobContext* context) {
    return verify_->Run(context);
  });
  jobs_->Register(v1::JOB_KIND_DIFF, [this](JobContext* context) {
    return verify_->RunDiff(context);
  });
  background_verify_ = std::make_unique<BackgroundVerify>(
      options.verify_every, index_, verify_.get(), jobs_.get());
  confirmation_ = std::make_unique<VolumeConfirmation>(
      membership_.get(), verify_.get(), jobs_.get());
  MakeMergeJob();
  MakePlacementJobs();
  AutoRepair::Options repair;
  repair.index = index_;
  repair.membership = membership_.get();
  repair.jobs = jobs_.get();
  repair.repair_after = options.repair_after;
  repair.bytes_per_second_max = options.repair_bytes_per_second_max;
  auto_repair_ = std::make_unique<AutoRepair>(repair);
  // A master that died while it removed a volume has left its queue.
  return volume_removal_->ForgetQueues();
}

void Master::MakeMergeJob() {
  MergeJob::Options merge;
  merge.index = index_;
  merge.membership = membership_.get();
  merge.commits = commits_.get();
  merge.on_removals = [this](uint32_t volume_id) {
    removals_->NoteBacklog(volume_id);
  };
  merge_ = std::make_unique<MergeJob>(std::move(merge), jobs_.get());
}

void Master::MakePlacementJobs() {
  const auto on_removals = [this](uint32_t volume_id) {
    removals_->NoteBacklog(volume_id);
  };
  copies_ = std::make_unique<GrpcCopyAgents>();
  BlobMover::Options mover;
  mover.index = index_;
  mover.commits = commits_.get();
  mover.held = &held_;
  mover.copies = copies_.get();
  mover.agents = agents_.get();
  mover.fencing_number = fencing_number_;
  mover.on_removals = on_removals;
  mover_ = std::make_unique<BlobMover>(std::move(mover));
  placement_ = std::make_unique<PlacementJob>(PlacementJob::Options{
      index_, membership_.get(), mover_.get(), copies_.get(), on_removals});
  jobs_->Register(v1::JOB_KIND_REBALANCE, [this](JobContext* context) {
    return placement_->RunRebalance(context);
  });
  jobs_->Register(v1::JOB_KIND_REPAIR, [this](JobContext* context) {
    return placement_->RunRepair(context);
  });
  jobs_->Register(v1::JOB_KIND_DRAIN, [this](JobContext* context) {
    return placement_->RunDrain(context);
  });
  volume_removal_ = std::make_unique<VolumeRemoval>(index_, membership_.get(),
                                                    commits_.get());
}

absl::Status Master::CheckMutation(const index::Mutation& mutation) {
  const Membership::View view = membership_->view();
  if (!view->unavailable_reason.empty()) {
    return absl::UnavailableError(view->unavailable_reason);
  }
  if (volume_removal_ != nullptr) {
    RETURN_IF_ERROR(volume_removal_->CheckMutation(mutation));
  }
  if (mutation.kind == index::Mutation::Kind::kMove ||
      mutation.kind == index::Mutation::Kind::kRestore) {
    return CheckPlaces(view->map, mutation.record);
  }
  if (mutation.kind != index::Mutation::Kind::kPut) return absl::OkStatus();
  return CheckPut(view->map, mutation);
}

absl::Status Master::Serve(grpc::ServerBuilder* builder,
                           const std::string& listen_address) {
  const auto now_ms = [this] { return clock_->NowMs(); };
  metadata_ = std::make_unique<InProcessMetadata>(
      InProcessMetadata::Options{index_, membership_.get(), commits_.get(),
                                 deletes_.get(), &versions_, now_ms});
  store_ = client::NewStoreClient(metadata_.get(), loop_.get());
  batches_ = std::make_unique<BatchHandler>(
      BatchHandler::Options{index_, membership_.get(), commits_.get(),
                            deletes_.get(), leases_.get(), now_ms});
  metadata_service_ = std::make_unique<MetadataService>(
      MetadataService::Options{index_, membership_.get(), now_ms, &held_});
  admin_service_ =
      std::make_unique<AdminService>(index_, membership_.get(), jobs_.get(),
                                     volume_removal_.get(), auto_repair_.get());
  store_service_ = std::make_unique<StoreService>(store_.get(), loop_.get());
  batch_server_ =
      std::make_unique<rpc::BatchServer<v1::BatchRequest, v1::BatchResponse>>(
          batches_.get(),
          [this](grpc::ServerContext* context, auto* stream, void* tag) {
            auto* const cq = loop_->server_cq();
            metadata_service_->RequestBatch(context, stream, cq, cq, tag);
          });

  rpc::ConfigureServer(builder);
  builder->RegisterService(metadata_service_.get());
  builder->RegisterService(admin_service_.get());
  builder->RegisterService(store_service_.get());
  ASSIGN_OR_RETURN(server_, rpc::StartServer(builder, listen_address));
  batch_server_->Start();
  return absl::OkStatus();
}

void Master::KeepTime() {
  absl::Time heartbeat_at = absl::InfinitePast();
  while (true) {
    {
      base::MutexLock lock(&mu_);
      if (!stopping_) stop_.WaitFor(&mu_, kKeeperPause);
      if (stopping_) return;
    }
    const bool heartbeat = absl::Now() >= heartbeat_at;
    if (heartbeat) heartbeat_at = absl::Now() + base::kHeartbeatInterval;
    KeepTimeOnce(heartbeat);
  }
}

void Master::KeepTimeOnce(bool heartbeat) {
  membership_->Tick();
  batches_->Tick();
  leases_->Tick();
  if (!heartbeat) return;
  absl::Status status = clock_->Reserve();
  // A mark that grew in a lost index would hide the loss.
  if (membership_->CheckServing().ok()) {
    status.Update(mark_->Advance());
    status.Update(background_verify_->Tick());
    status.Update(merge_->Tick());
    status.Update(volume_marks_->Store());
    status.Update(confirmation_->Tick());
  }
  if (!status.ok())
    base::LogWarning("writing to the index: ", status.message());
}

void Master::Stop(absl::Duration timeout) {
  {
    base::MutexLock lock(&mu_);
    if (stopping_) return;
    stopping_ = true;
    stop_.SignalAll();
  }
  if (auto_repair_ != nullptr) auto_repair_->Stop();
  if (jobs_ != nullptr) jobs_->Stop();  // Who watches is told.
  if (keeper_.joinable()) keeper_.join();
  if (metadata_service_ != nullptr) metadata_service_->StopWatches();
  if (server_ != nullptr) {
    batches_->Drain(timeout);
    server_->Shutdown(absl::ToChronoTime(absl::Now() + timeout));
  }
  if (batch_server_ != nullptr) batch_server_->Stop();
  // Nobody asks the agents any more when they go; they answer what is under
  // way, so those who wait for that go after them.
  if (removals_ != nullptr) removals_->Stop();
  store_service_ = nullptr;
  store_ = nullptr;
  if (commits_ != nullptr) commits_->Stop();
  if (leases_ != nullptr) leases_->Abandon();
  agents_ = nullptr;
  loop_ = nullptr;  // The last answers have come when it has ended.
  if (deletes_ != nullptr) deletes_->Stop();
  if (mark_ != nullptr && membership_ != nullptr &&
      membership_->CheckServing().ok()) {
    mark_->Advance().IgnoreError();  // The next start's first heartbeat does.
  }
  if (clock_ != nullptr) {
    const absl::Status released = clock_->Release();
    if (!released.ok()) base::LogWarning(released.message());
  }
}

}  // namespace cairn::master
