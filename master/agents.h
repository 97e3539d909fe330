// What the master asks of volume agents: unlinks, marks, blobs of tombstones.

#ifndef CAIRN_MASTER_AGENTS_H_
#define CAIRN_MASTER_AGENTS_H_

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "proto/cairn/v1/volume.pb.h"

namespace cairn::master {

// Thread safety: any method from any thread. Nothing blocks. `done` is called
// exactly once, from a thread of the implementation or from within the call.
// OK: the agent has confirmed it, synced. Anything else: it may or may not
// have happened.
class Agents {
 public:
  using Done = std::function<void(absl::Status)>;
  virtual ~Agents() = default;
  virtual void Unlink(uint32_t volume_id, v1::UnlinkOp op, absl::Time deadline,
                      Done done) = 0;
  // The index has accepted this blob: it is made read-only. Not answered.
  virtual void Mark(uint32_t volume_id, const v1::BlobId& blob) = 0;
  virtual void Put(uint32_t volume_id, v1::SmallPutOp op, absl::Time deadline,
                   Done done) = 0;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_AGENTS_H_
