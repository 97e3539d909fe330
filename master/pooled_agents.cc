#include "master/pooled_agents.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

absl::Status DownStatus(uint32_t volume_id) {
  return absl::UnavailableError(
      absl::StrCat("volume ", VolumeIdText(volume_id), " is down"));
}

}  // namespace

std::shared_ptr<client::AgentClient> PooledAgents::Get(uint32_t volume_id) {
  if (stopping_.load()) return nullptr;
  const auto view = view_();
  const v1::Volume* volume = placement::FindVolume(view->map, volume_id);
  if (volume == nullptr || volume->state() != v1::VOLUME_STATE_UP) {
    return nullptr;
  }
  return pool_.Get(view->map, volume_id);
}

void PooledAgents::Unlink(uint32_t volume_id, v1::UnlinkOp op,
                          absl::Time deadline, Done done) {
  const auto agent = Get(volume_id);
  if (agent == nullptr) return done(DownStatus(volume_id));
  agent->Unlink(std::move(op), deadline, std::move(done));
}

void PooledAgents::Mark(uint32_t volume_id, const v1::BlobId& blob) {
  const auto agent = Get(volume_id);
  // One that does not hear of it asks about the blob later.
  if (agent != nullptr) agent->MarkCommitted(blob);
}

void PooledAgents::Put(uint32_t volume_id, v1::SmallPutOp op,
                       absl::Time deadline, Done done) {
  const auto agent = Get(volume_id);
  if (agent == nullptr) return done(DownStatus(volume_id));
  agent->Put(std::move(op), deadline, std::move(done));
}

}  // namespace cairn::master
