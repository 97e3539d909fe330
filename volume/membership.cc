#include "volume/membership.h"

#include <sys/random.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"
#include "proto/convert.h"
#include "rpc/server.h"

namespace cairn::volume {
namespace {

constexpr absl::Duration kJoinBackoffMin = absl::Milliseconds(100);
constexpr absl::Duration kCallTimeout = absl::Seconds(3);
// The master answers from memory or one index lookup a blob.
constexpr absl::Duration kCheckTimeout = absl::Seconds(30);

uint64_t DrawSessionId() {
  uint64_t id = 0;
  CHECK(getrandom(&id, sizeof(id), 0) == sizeof(id));
  return id;
}

void SetTimeout(absl::Duration timeout, grpc::ClientContext* context) {
  context->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

// The master names removal in its sentence (MetadataService.Join).
bool SaysRemoved(const absl::Status& status) {
  return absl::StrContains(status.message(), "was removed");
}

bool IsDraining(const v1::ClusterMap& map, uint32_t volume_id) {
  for (const v1::Volume& volume : map.volumes()) {
    if (volume.volume_id() == volume_id) return volume.draining();
  }
  return false;
}

}  // namespace

MembershipOptions DefaultMembershipOptions() {
  MembershipOptions options;
  options.heartbeat_interval = base::kHeartbeatInterval;
  options.check_interval = base::kCheckBlobsInterval;
  options.unmarked_age_max = base::kUnmarkedAgeMax;
  return options;
}

Membership::Membership(MembershipOptions options, VolumeDirectory* directory,
                       BlobStore* store, GroupCommitter* committer,
                       OnJoined on_joined, OnRefused on_refused)
    : options_(std::move(options)),
      directory_(directory),
      store_(store),
      committer_(committer),
      on_joined_(std::move(on_joined)),
      on_refused_(std::move(on_refused)),
      stub_(v1::MetadataService::NewStub(
          rpc::NewChannel(options_.master, "membership"))),
      session_id_(DrawSessionId()),
      keeper_([this] { RunKeeper(); }),
      session_([this] { RunSession(); }),
      checks_([this] { RunChecks(); }) {}

Membership::~Membership() {
  {
    base::MutexLock lock(&mu_);
    stopping_ = true;
    changed_.SignalAll();
  }
  session_.join();
  checks_.join();
  keeper_.join();
}

bool Membership::Pause(absl::Duration duration) {
  const absl::Time deadline = absl::Now() + duration;
  base::MutexLock lock(&mu_);
  while (!stopping_ && absl::Now() < deadline) {
    changed_.WaitFor(&mu_, deadline - absl::Now());
  }
  return !stopping_;
}

void Membership::RunSession() {
  absl::Duration backoff = kJoinBackoffMin;
  bool in_session = false;
  bool told = false;  // A master that is away is logged once.
  do {
    const absl::Status status = in_session ? Beat() : Join();
    if (status.ok()) {
      if (!in_session) base::LogInfo("joined the cluster at ", options_.master);
      in_session = true;
      told = false;
      backoff = kJoinBackoffMin;
      continue;
    }
    if (status.code() == absl::StatusCode::kFailedPrecondition) {
      return on_refused_(status, SaysRemoved(status));
    }
    if (in_session && absl::IsNotFound(status)) {
      in_session = false;  // Join again, at once.
      backoff = absl::ZeroDuration();
      continue;
    }
    if (!told) {
      base::LogWarning("the master at ", options_.master, " does not take ",
                       in_session ? "heartbeats" : "joins", ": ",
                       status.message(), "; trying on");
    }
    told = true;
    backoff =
        std::clamp(backoff * 2, kJoinBackoffMin, base::kReconnectBackoffMax);
  } while (Pause(in_session ? options_.heartbeat_interval : backoff));
}

absl::Status Membership::Join() {
  v1::JoinRequest request;
  request.set_volume_id(directory_->volume_id());
  request.set_session_id(session_id_);
  request.set_cluster_id(directory_->cluster_id());
  request.set_grpc_address(options_.grpc_address);
  request.set_http_address(options_.http_address);
  request.set_zone(options_.zone);
  for (auto& report : store_->Report()) {
    *request.add_subvolumes() = std::move(report);
  }
  request.set_mark(directory_->mark());
  request.set_signing_secret(directory_->secret());
  grpc::ClientContext context;
  SetTimeout(kCallTimeout, &context);
  v1::JoinResponse response;
  RETURN_IF_ERROR(rpc::FromGrpc(stub_->Join(&context, request, &response)));
  {
    base::MutexLock lock(&mu_);
    news_.reset();  // Of the session before.
    while (keeping_) changed_.Wait(&mu_);
  }
  RETURN_IF_ERROR(Store(response.map(), response.mark()));
  // A master that has just begun counts higher than all before it. One that
  // does not (its index was lost) is obeyed in no removal, but may rebuild.
  const absl::Status fence =
      directory_->CheckFencingNumber(response.fencing_number());
  if (!fence.ok()) base::LogWarning(fence.message());
  bool first = false;
  {
    base::MutexLock lock(&mu_);
    first = !joined_;
    joined_ = true;
    changed_.SignalAll();
  }
  if (first) on_joined_();
  return absl::OkStatus();
}

absl::Status Membership::Beat() {
  v1::HeartbeatRequest request;
  request.set_volume_id(directory_->volume_id());
  request.set_session_id(session_id_);
  for (auto& report : store_->Report()) {
    *request.add_subvolumes() = std::move(report);
  }
  request.set_mark(directory_->mark());
  request.set_map_epoch(directory_->cluster_map().epoch());
  grpc::ClientContext context;
  SetTimeout(kCallTimeout, &context);
  v1::HeartbeatResponse response;
  RETURN_IF_ERROR(
      rpc::FromGrpc(stub_->Heartbeat(&context, request, &response)));
  base::MutexLock lock(&mu_);
  if (news_ == nullptr) news_ = std::make_unique<v1::HeartbeatResponse>();
  if (response.has_map()) *news_->mutable_map() = response.map();
  news_->set_mark(response.mark());
  changed_.SignalAll();
  return absl::OkStatus();
}

void Membership::RunKeeper() {
  while (true) {
    std::unique_ptr<v1::HeartbeatResponse> news;
    {
      base::MutexLock lock(&mu_);
      keeping_ = false;
      changed_.SignalAll();
      while (news_ == nullptr && !stopping_) changed_.Wait(&mu_);
      if (stopping_) return;
      news = std::move(news_);
      keeping_ = true;
    }
    const absl::Status status = Store(news->map(), news->mark());
    if (!status.ok()) {
      base::LogWarning("what the master said is not on disk: ",
                       status.message());
    }
  }
}

absl::Status Membership::Store(const v1::ClusterMap& map, int64_t mark) {
  if (!map.cluster_id().empty()) {
    RETURN_IF_ERROR(directory_->StoreClusterMap(map));
    committer_->SetUnsynced(map.durability() == v1::DURABILITY_OS);
    committer_->SetTakesNewBlobs(!IsDraining(map, directory_->volume_id()));
  }
  return directory_->StoreMark(mark);
}

void Membership::RunChecks() {
  if (options_.unclean_start) {
    for (int i = 0; i < store_->subvolume_count(); ++i) {
      const absl::Status status = store_->FindUnmarked(i);
      if (!status.ok()) {
        base::LogWarning(
            "subvolume ", i,
            " was not searched for unmarked blobs: ", status.message());
      }
      if (!Pause(absl::ZeroDuration())) return;
    }
    base::LogInfo("unmarked blobs after an unclean stop: ",
                  store_->unmarked().size());
  }
  {
    base::MutexLock lock(&mu_);
    while (!joined_ && !stopping_) changed_.Wait(&mu_);
  }
  do {
    const auto settled = CheckBlobs(absl::Now() - options_.unmarked_age_max);
    if (!settled.ok()) {
      base::LogInfo("unmarked blobs stay so for now: ",
                    settled.status().message());
    } else if (*settled > 0) {
      base::LogInfo("unmarked blobs marked or removed: ", *settled);
    }
  } while (Pause(options_.check_interval));
}

absl::StatusOr<int> Membership::CheckBlobs(absl::Time limit) {
  const std::vector<UnmarkedSet::Entry> entries =
      store_->unmarked().Since(limit);
  int settled = 0;
  for (size_t first = 0; first < entries.size();
       first += base::kCheckBlobsMax) {
    v1::CheckBlobsRequest request;
    request.set_volume_id(directory_->volume_id());
    const size_t end = std::min(entries.size(), first + base::kCheckBlobsMax);
    for (size_t i = first; i < end; ++i) {
      *request.add_blobs() = entries[i].blob;
    }
    grpc::ClientContext context;
    SetTimeout(kCheckTimeout, &context);
    v1::CheckBlobsResponse response;
    RETURN_IF_ERROR(
        rpc::FromGrpc(stub_->CheckBlobs(&context, request, &response)));
    if (response.verdicts_size() != request.blobs_size()) {
      return absl::InternalError("the master did not answer for each blob");
    }
    settled += Obey(entries, first, limit, response);
    if (!Pause(absl::ZeroDuration())) break;
  }
  return settled;
}

int Membership::Obey(const std::vector<UnmarkedSet::Entry>& entries,
                     size_t first, absl::Time limit,
                     const v1::CheckBlobsResponse& verdicts) {
  int settled = 0;
  for (int i = 0; i < verdicts.verdicts_size(); ++i) {
    const v1::BlobId& blob = entries[first + i].blob;
    if (verdicts.verdicts(i) == v1::CheckBlobsResponse::VERDICT_COMMITTED) {
      committer_->Mark(blob);
      ++settled;
    }
    if (verdicts.verdicts(i) != v1::CheckBlobsResponse::VERDICT_DISOWNED) {
      continue;
    }
    // A job may have made it (again) since the master was asked.
    if (!store_->unmarked().IsSince(entries[first + i].name, limit)) continue;
    // Only an unmarked one. Not synced: should it come back, it is asked
    // about again.
    const auto removed = store_->Unlink(blob, /*committed_too=*/false);
    if (removed.ok()) ++settled;
    if (absl::IsFailedPrecondition(removed.status())) {
      store_->unmarked().Remove(entries[first + i].name);
    }
  }
  return settled;
}

}  // namespace cairn::volume
