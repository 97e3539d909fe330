#include "master/membership.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/status.h"
#include "master/cluster_state.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

const absl::Duration kSilenceMax =
    base::kHeartbeatInterval * base::kHeartbeatsMissedMax;

absl::Time MonotonicNow() {
  return absl::UnixEpoch() +
         absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

int64_t WallMs() { return absl::ToUnixMillis(absl::Now()); }

v1::Volume VolumeOf(const v1::JoinRequest& request) {
  v1::Volume volume;
  volume.set_volume_id(request.volume_id());
  volume.set_state(v1::VOLUME_STATE_UP);
  volume.set_grpc_address(request.grpc_address());
  volume.set_http_address(request.http_address());
  volume.set_zone(request.zone());
  *volume.mutable_subvolumes() = request.subvolumes();
  volume.set_signing_secret(request.signing_secret());
  return volume;
}

}  // namespace

Membership::Membership(Options options)
    : index_(options.index),
      mark_(options.mark),
      volume_marks_(options.volume_marks),
      fencing_number_(options.fencing_number),
      now_(options.now ? std::move(options.now) : Now(&MonotonicNow)),
      now_ms_(options.now_ms ? std::move(options.now_ms) : &WallMs),
      started_(now_()),
      stored_epoch_(options.map.epoch()),
      map_(std::move(options.map)) {
  base::MutexLock lock(&mu_);
  if (options.lost) LoseLocked("its rebuild has not ended");
  // Volumes keep the state they had until they had time to come back.
  for (const v1::Volume& volume : map_.volumes()) {
    sessions_[volume.volume_id()].last_beat =
        started_ + base::kStartGrace - kSilenceMax;
  }
  auto view = std::make_shared<client::ClusterView>();
  view->map = map_;
  view->unavailable_reason = ReasonLocked();
  view_ = std::move(view);
}

absl::StatusOr<v1::JoinResponse> Membership::Join(
    const v1::JoinRequest& request) {
  {
    base::MutexLock lock(&mu_);
    RETURN_IF_ERROR(CheckRequest(map_, request));
    bool guest = false;
    RETURN_IF_ERROR(JudgeLocked(request, &guest));
    RETURN_IF_ERROR(guest ? JoinGuestLocked(request)
                          : JoinMemberLocked(request));
  }
  RETURN_IF_ERROR(Publish());
  v1::JoinResponse response;
  response.set_fencing_number(fencing_number_);
  base::MutexLock lock(&mu_);
  if (LostLocked()) return response;
  *response.mutable_map() = WithoutSecrets(view_->map);
  response.set_mark(mark_->value());
  return response;
}

absl::Status Membership::CheckRequest(const v1::ClusterMap& map,
                                      const v1::JoinRequest& request) {
  if (request.volume_id() == 0 || request.session_id() == 0 ||
      request.grpc_address().empty() || request.http_address().empty()) {
    return absl::InvalidArgumentError(
        "a volume joins with volume_id, session_id, grpc_address and "
        "http_address: set all of them");
  }
  const std::string id = VolumeIdText(request.volume_id());
  for (const uint32_t removed : map.removed_volume_ids()) {
    if (removed != request.volume_id()) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("volume ", id, " was removed from this cluster for good: ",
                     "give the agent an empty --data to join as a new volume"));
  }
  if (request.subvolumes_size() != map.subvolumes_per_volume()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "volume ", id, " has ", request.subvolumes_size(),
        " subvolumes, but this cluster was made with --subvolumes=",
        map.subvolumes_per_volume(), ": start the agent with that number"));
  }
  return absl::OkStatus();
}

absl::Status Membership::JudgeLocked(const v1::JoinRequest& request,
                                     bool* guest) {
  const std::string id = VolumeIdText(request.volume_id());
  if (request.cluster_id().empty() ||
      request.cluster_id() == map_.cluster_id()) {
    if (!request.cluster_id().empty() && request.mark() > mark_->value()) {
      LoseLocked(absl::StrCat("volume ", id, " has the mark ", request.mark(),
                              ", the index has ", mark_->value()));
    }
    *guest = LostLocked() && FindLocked(request.volume_id()) == nullptr;
    return absl::OkStatus();
  }
  *guest = true;
  const std::string why =
      absl::StrCat("volume ", id, " belongs to cluster ", request.cluster_id(),
                   ", the index to cluster ", map_.cluster_id());
  if (!IsFormed(map_)) {
    LoseLocked(why);
    return absl::OkStatus();
  }
  // Volumes of the index's own cluster are here: this one is the stranger.
  if (member_joined_) {
    return absl::FailedPreconditionError(absl::StrCat(
        why,
        ": point its --master at its own cluster, or give the agent an "
        "empty --data"));
  }
  if (guests_.count(request.volume_id()) == 0) base::LogError(why);
  return absl::OkStatus();
}

void Membership::LoseLocked(const std::string& why) {
  if (!lost_) base::LogError(kLostReason, " (", why, ")");
  lost_ = true;
}

bool Membership::LiveLocked(const Session& session) {
  return session.session_id != 0 && now_() - session.last_beat < kSilenceMax;
}

absl::Status Membership::CheckSessionLocked(const Session& session,
                                            const v1::Volume& volume,
                                            const v1::JoinRequest& request) {
  // An agent that was restarted comes from the same address: the one that beat
  // there before is gone, and nobody has to wait for it.
  if (!LiveLocked(session) || session.session_id == request.session_id() ||
      volume.grpc_address() == request.grpc_address()) {
    return absl::OkStatus();
  }
  return absl::AlreadyExistsError(
      absl::StrCat("volume ", VolumeIdText(request.volume_id()),
                   " is served by the agent at ", volume.grpc_address(),
                   ": stop that one first, and never copy a volume's "
                   "directory"));
}

absl::Status Membership::JoinGuestLocked(const v1::JoinRequest& request) {
  const auto it = guests_.find(request.volume_id());
  if (it != guests_.end()) {
    RETURN_IF_ERROR(
        CheckSessionLocked(it->second.session, it->second.volume, request));
  }
  Guest& guest = guests_[request.volume_id()];
  guest.volume = VolumeOf(request);
  guest.session = {request.session_id(), now_()};
  return absl::OkStatus();
}

absl::Status Membership::JoinMemberLocked(const v1::JoinRequest& request) {
  v1::Volume* volume = FindLocked(request.volume_id());
  Session& session = sessions_[request.volume_id()];
  if (volume != nullptr) {
    RETURN_IF_ERROR(CheckSessionLocked(session, *volume, request));
  } else if (map_.volumes_size() >= base::kVolumesMax) {
    return absl::FailedPreconditionError(
        absl::StrCat("the cluster has ", map_.volumes_size(),
                     " volumes, the most it can have: remove one first"));
  }
  session = {request.session_id(), now_()};
  if (!lost_) {
    member_joined_ = true;
    guests_.clear();  // Their next heartbeat makes them join, and be refused.
  }
  v1::Volume joined = VolumeOf(request);
  if (volume != nullptr) {
    joined.set_draining(volume->draining());
    joined.set_unconfirmed(volume->unconfirmed() || SetBackLocked(request));
  }
  joined.set_weight(WeightOf(joined, volume == nullptr ? 0 : volume->weight()));
  if (volume == nullptr) {
    base::LogInfo("volume ", VolumeIdText(request.volume_id()), " at ",
                  request.grpc_address(), " joined the cluster");
    volume = map_.add_volumes();
  }
  UpdateLocked(volume, std::move(joined));
  return absl::OkStatus();
}

bool Membership::SetBackLocked(const v1::JoinRequest& request) {
  if (volume_marks_ == nullptr || lost_) return false;
  const int64_t known = volume_marks_->Of(request.volume_id());
  if (request.mark() >= known) return false;
  base::LogWarning("volume ", VolumeIdText(request.volume_id()),
                   " has come back in an older state (its mark is ",
                   request.mark(), " and was ", known,
                   "): it is compared with the index before its copies count");
  return true;
}

v1::Volume* Membership::FindLocked(uint32_t volume_id) {
  for (v1::Volume& volume : *map_.mutable_volumes()) {
    if (volume.volume_id() == volume_id) return &volume;
  }
  return nullptr;
}

void Membership::UpdateLocked(v1::Volume* old_volume, v1::Volume new_volume) {
  if (!SameButFill(*old_volume, new_volume)) map_.set_epoch(map_.epoch() + 1);
  if (old_volume->state() == v1::VOLUME_STATE_DOWN) {
    base::LogInfo("volume ", VolumeIdText(new_volume.volume_id()), " is up");
  }
  *old_volume = std::move(new_volume);
}

absl::StatusOr<v1::HeartbeatResponse> Membership::Heartbeat(
    const v1::HeartbeatRequest& request) {
  bool publish = false;
  {
    base::MutexLock lock(&mu_);
    const auto guest = guests_.find(request.volume_id());
    if (guest != guests_.end() &&
        guest->second.session.session_id == request.session_id()) {
      guest->second.session.last_beat = now_();
      *guest->second.volume.mutable_subvolumes() = request.subvolumes();
      return v1::HeartbeatResponse();
    }
    v1::Volume* volume = FindLocked(request.volume_id());
    const auto it = sessions_.find(request.volume_id());
    if (volume == nullptr || it == sessions_.end() ||
        it->second.session_id != request.session_id()) {
      return absl::NotFoundError(
          absl::StrCat("volume ", VolumeIdText(request.volume_id()),
                       " has no such session: join again"));
    }
    it->second.last_beat = now_();
    v1::Volume beaten = *volume;
    beaten.set_state(v1::VOLUME_STATE_UP);
    beaten.clear_last_seen_time_ms();
    if (request.subvolumes_size() == map_.subvolumes_per_volume()) {
      *beaten.mutable_subvolumes() = request.subvolumes();
      beaten.set_weight(WeightOf(beaten, volume->weight()));
    }
    UpdateLocked(volume, std::move(beaten));
    if (request.mark() > mark_->value()) {
      LoseLocked(absl::StrCat("volume ", VolumeIdText(request.volume_id()),
                              " has the mark ", request.mark()));
    } else if (volume_marks_ != nullptr) {
      volume_marks_->Note(request.volume_id(), request.mark());
    }
    publish = map_.epoch() != view_->map.epoch();
  }
  // A failure is tried again by the next Tick(); the beat itself has counted.
  if (publish) Publish().IgnoreError();
  v1::HeartbeatResponse response;
  base::MutexLock lock(&mu_);
  if (LostLocked()) return response;
  response.set_mark(mark_->value());
  if (request.map_epoch() < view_->map.epoch()) {
    *response.mutable_map() = WithoutSecrets(view_->map);
  }
  return response;
}

void Membership::Tick() {
  {
    base::MutexLock lock(&mu_);
    const absl::Time now = now_();
    for (v1::Volume& volume : *map_.mutable_volumes()) {
      const Session& session = sessions_[volume.volume_id()];
      if (volume.state() != v1::VOLUME_STATE_UP ||
          now - session.last_beat < kSilenceMax) {
        continue;
      }
      volume.set_state(v1::VOLUME_STATE_DOWN);
      volume.set_last_seen_time_ms(
          now_ms_() - absl::ToInt64Milliseconds(now - session.last_beat));
      map_.set_epoch(map_.epoch() + 1);
      base::LogWarning("volume ", VolumeIdText(volume.volume_id()), " at ",
                       volume.grpc_address(),
                       " is down: ", base::kHeartbeatsMissedMax,
                       " heartbeats were missed");
    }
  }
  const absl::Status published = Publish();
  if (!published.ok()) base::LogWarning(published.message());
}

bool Membership::LostLocked() {
  // Volumes of another cluster, and none of the index's own to contradict.
  return lost_ || (!guests_.empty() && !member_joined_);
}

bool Membership::SettledLocked() {
  if (settled_) return true;
  bool all_joined = true;
  for (const v1::Volume& volume : map_.volumes()) {
    const bool expected = volume.state() == v1::VOLUME_STATE_UP;
    if (expected && sessions_[volume.volume_id()].session_id == 0) {
      all_joined = false;
    }
  }
  settled_ = member_joined_ &&
             (all_joined || now_() - started_ >= base::kStartGrace / 2);
  return settled_;
}

bool Membership::lost() {
  base::MutexLock lock(&mu_);
  return LostLocked();
}

bool Membership::settling() {
  base::MutexLock lock(&mu_);
  return !LostLocked() && IsFormed(map_) && !SettledLocked() &&
         now_() - started_ < base::kStartGrace;
}

std::string Membership::ReasonLocked() {
  if (LostLocked()) return kLostReason;
  if (!IsFormed(map_)) {
    return absl::StrCat(
        "the cluster waits for its first ", map_.replicas(),
        map_.replicas() == 1 ? " volume: " : " volumes: ", map_.volumes_size(),
        " of ", map_.replicas(), " have joined");
  }
  if (SettledLocked()) return "";
  // Until then an index that was restored from a backup would look healthy.
  return "no volume has joined since the master was started: start the volumes";
}

absl::Status Membership::Publish() {
  base::MutexLock publish(&publish_mu_);
  auto next = std::make_shared<client::ClusterView>();
  bool store = false;
  {
    base::MutexLock lock(&mu_);
    next->unavailable_reason = ReasonLocked();
    if (view_->map.epoch() == map_.epoch() &&
        view_->unavailable_reason == next->unavailable_reason) {
      return absl::OkStatus();
    }
    next->map = map_;
    store = !LostLocked() && stored_epoch_ != map_.epoch();
  }
  if (store) {
    RETURN_IF_ERROR(StoreMap(index_, next->map));
    stored_epoch_ = next->map.epoch();
  }
  base::MutexLock lock(&mu_);
  if (view_->unavailable_reason != next->unavailable_reason) {
    base::LogInfo("the cluster ",
                  next->unavailable_reason.empty() ? "serves reads and writes"
                                                   : "serves nothing: ",
                  next->unavailable_reason);
  }
  view_ = std::move(next);
  changed_.SignalAll();
  return absl::OkStatus();
}

bool Membership::HadTimeToJoin() {
  base::MutexLock lock(&mu_);
  return now_() - started_ >= base::kStartGrace / 2;
}

absl::Status Membership::Recover(v1::ClusterMap map) {
  v1::ClusterMap stored;
  {
    base::MutexLock lock(&mu_);
    lost_ = true;  // Until the map is durable, also without guests.
    map.set_epoch(std::max(map.epoch(), map_.epoch()) + 1);
    for (const auto& [id, guest] : guests_) sessions_[id] = guest.session;
    guests_.clear();
    map_ = std::move(map);
    for (const v1::Volume& volume : map_.volumes()) {
      // One that is not here gets as long as it has always had.
      Session& session = sessions_[volume.volume_id()];
      if (session.session_id == 0) session.last_beat = now_();
    }
    for (v1::Volume& volume : *map_.mutable_volumes()) {
      volume.clear_last_seen_time_ms();
      volume.clear_unconfirmed();  // All that it has was listed.
    }
    stored = map_;
  }
  {
    base::MutexLock publish(&publish_mu_);
    RETURN_IF_ERROR(StoreMap(index_, stored));
    stored_epoch_ = stored.epoch();
  }
  {
    base::MutexLock lock(&mu_);
    lost_ = false;
    member_joined_ = true;
    settled_ = true;
  }
  return Publish();
}

Membership::View Membership::view() {
  base::MutexLock lock(&mu_);
  return view_;
}

Membership::View Membership::WaitForChange(const View& known,
                                           absl::Duration timeout) {
  base::MutexLock lock(&mu_);
  if (view_ == known && !stopping_) changed_.WaitFor(&mu_, timeout);
  return view_;
}

void Membership::StopWatching() {
  base::MutexLock lock(&mu_);
  stopping_ = true;
  changed_.SignalAll();
}

absl::Status Membership::CheckServing() {
  base::MutexLock lock(&mu_);
  if (view_->unavailable_reason.empty()) return absl::OkStatus();
  return absl::UnavailableError(view_->unavailable_reason);
}

absl::Status Membership::CheckCanLeave(uint32_t volume_id) {
  base::MutexLock lock(&mu_);
  return CheckCanLeaveLocked(volume_id);
}

absl::Status Membership::CheckCanLeaveLocked(uint32_t volume_id) {
  const std::string reason = ReasonLocked();
  if (!reason.empty()) return absl::UnavailableError(reason);
  int others = 0;
  bool found = false;
  for (const v1::Volume& volume : map_.volumes()) {
    if (volume.volume_id() == volume_id) {
      found = true;
    } else if (!volume.draining()) {
      ++others;
    }
  }
  if (!found) {
    return absl::NotFoundError(
        absl::StrCat("no volume ", VolumeIdText(volume_id),
                     " is in the cluster: see `cairn volume list`"));
  }
  if (others >= map_.replicas()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "replicas=", map_.replicas(), " but only ", others,
      others == 1 ? " volume" : " volumes", " would be left without ",
      VolumeIdText(volume_id), ": add a volume first"));
}

absl::Status Membership::SetDraining(uint32_t volume_id, bool draining) {
  {
    base::MutexLock lock(&mu_);
    const absl::Status can_leave = CheckCanLeaveLocked(volume_id);
    const bool refused = absl::IsFailedPrecondition(can_leave) && !draining;
    if (!refused) RETURN_IF_ERROR(can_leave);
    v1::Volume* const volume = FindLocked(volume_id);
    if (volume->draining() != draining) {
      volume->set_draining(draining);
      map_.set_epoch(map_.epoch() + 1);
      base::LogInfo("volume ", VolumeIdText(volume_id),
                    draining ? " is draining: it takes no new blobs"
                             : " takes new blobs again");
    }
  }
  return Publish();
}

absl::Status Membership::Remove(uint32_t volume_id) {
  {
    base::MutexLock lock(&mu_);
    RETURN_IF_ERROR(CheckCanLeaveLocked(volume_id));
    auto* const volumes = map_.mutable_volumes();
    volumes->erase(std::find_if(volumes->begin(), volumes->end(),
                                [&](const v1::Volume& volume) {
                                  return volume.volume_id() == volume_id;
                                }));
    map_.add_removed_volume_ids(volume_id);
    map_.set_epoch(map_.epoch() + 1);
    sessions_.erase(volume_id);
    base::LogInfo("volume ", VolumeIdText(volume_id),
                  " was removed from the cluster for good");
  }
  return Publish();
}

absl::Duration Membership::DownFor(uint32_t volume_id) {
  base::MutexLock lock(&mu_);
  const v1::Volume* const volume = FindLocked(volume_id);
  if (volume == nullptr || volume->state() == v1::VOLUME_STATE_UP) {
    return absl::ZeroDuration();
  }
  // A map of before that was noted has none.
  if (volume->last_seen_time_ms() == 0) {
    return now_() - sessions_[volume_id].last_beat;
  }
  return absl::Milliseconds(now_ms_() - volume->last_seen_time_ms());
}

std::map<uint32_t, uint64_t> Membership::Unconfirmed() {
  std::map<uint32_t, uint64_t> found;
  base::MutexLock lock(&mu_);
  for (const v1::Volume& volume : map_.volumes()) {
    if (!volume.unconfirmed() || volume.state() != v1::VOLUME_STATE_UP) {
      continue;
    }
    found[volume.volume_id()] = sessions_[volume.volume_id()].session_id;
  }
  return found;
}

absl::Status Membership::Confirm(uint32_t volume_id, uint64_t session_id) {
  {
    base::MutexLock lock(&mu_);
    v1::Volume* const volume = FindLocked(volume_id);
    if (volume == nullptr || sessions_[volume_id].session_id != session_id) {
      return absl::AbortedError(absl::StrCat("volume ", VolumeIdText(volume_id),
                                             " has joined anew meanwhile"));
    }
    if (volume->unconfirmed()) {
      volume->clear_unconfirmed();
      map_.set_epoch(map_.epoch() + 1);
      base::LogInfo("volume ", VolumeIdText(volume_id),
                    " has been compared with the index: its copies count");
    }
  }
  return Publish();
}

std::vector<v1::Volume> Membership::Volumes() {
  std::vector<v1::Volume> volumes = VolumesWithSecrets();
  for (v1::Volume& volume : volumes) volume.clear_signing_secret();
  return volumes;
}

std::vector<v1::Volume> Membership::VolumesWithSecrets() {
  std::vector<v1::Volume> volumes;
  base::MutexLock lock(&mu_);
  for (const v1::Volume& volume : map_.volumes()) volumes.push_back(volume);
  for (auto& [id, guest] : guests_) {
    volumes.push_back(guest.volume);
    if (!LiveLocked(guest.session)) {
      volumes.back().set_state(v1::VOLUME_STATE_DOWN);
    }
  }
  std::sort(volumes.begin(), volumes.end(),
            [](const v1::Volume& a, const v1::Volume& b) {
              return a.volume_id() < b.volume_id();
            });
  return volumes;
}

}  // namespace cairn::master
