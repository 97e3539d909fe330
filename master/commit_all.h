// Commits through the commit queue, and waits.

#ifndef CAIRN_MASTER_COMMIT_ALL_H_
#define CAIRN_MASTER_COMMIT_ALL_H_

#include <vector>

#include "absl/status/status.h"
#include "index/index_store.h"
#include "master/commit_queue.h"

namespace cairn::master {

// What became of each, in their order. Blocks; never from a thread of the
// queue or of its sinks.
std::vector<absl::Status> CommitAll(CommitQueue* queue,
                                    std::vector<index::Mutation> mutations);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_COMMIT_ALL_H_
