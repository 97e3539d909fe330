#include "index/index_store.h"

#include "base/status.h"

namespace cairn::index {

absl::Status IndexStore::Restore(absl::Span<const Mutation> restores,
                                 absl::Span<const Removal> removals) {
  // A restore is of any age: no time is needed.
  ASSIGN_OR_RETURN(const std::vector<MutationResult> results,
                   Commit(restores, /*index_time_ms=*/0));
  for (const MutationResult& result : results) RETURN_IF_ERROR(result.status);
  return removals.empty() ? absl::OkStatus() : AddRemovals(removals);
}

}  // namespace cairn::index
