// Agents over client::AgentPool: one batched stream for each volume.

#ifndef CAIRN_MASTER_POOLED_AGENTS_H_
#define CAIRN_MASTER_POOLED_AGENTS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

#include "base/mutex.h"
#include "client/agent_client.h"
#include "client/metadata_client.h"
#include "master/agents.h"
#include "rpc/event_loop.h"

namespace cairn::master {

class PooledAgents final : public Agents {
 public:
  using ViewOf = std::function<std::shared_ptr<const client::ClusterView>()>;
  // `loop` must outlive this. Answers may come until the loop has ended.
  PooledAgents(rpc::EventLoop* loop, ViewOf view)
      : view_(std::move(view)), pool_(loop) {}
  // Answers what is under way kUnavailable; an answer may lead to new calls,
  // which are answered alike.
  ~PooledAgents() override { stopping_.store(true); }

  // A volume that is down is not asked; kUnavailable.
  void Unlink(uint32_t volume_id, v1::UnlinkOp op, absl::Time deadline,
              Done done) override;
  void Mark(uint32_t volume_id, const v1::BlobId& blob) override;
  void Put(uint32_t volume_id, v1::SmallPutOp op, absl::Time deadline,
           Done done) override;

 private:
  // nullptr: down or unknown.
  std::shared_ptr<client::AgentClient> Get(uint32_t volume_id);

  const ViewOf view_;
  // Set on the thread that then ends the pool, which makes the calls that must
  // see it.
  std::atomic<bool> stopping_{false};
  client::AgentPool pool_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_POOLED_AGENTS_H_
