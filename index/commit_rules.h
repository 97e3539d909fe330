// What one mutation does to its key, decided from the key's current record
// alone: the part of a commit that is the same for every embedded backend.
// Pure functions. docs/index_schema.md states the rules in words.

#ifndef CAIRN_INDEX_COMMIT_RULES_H_
#define CAIRN_INDEX_COMMIT_RULES_H_

#include <vector>

#include "index/index_store.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::index {

struct Decision {
  // As Commit() reports it; `removals` is left empty.
  MutationResult result;
  // True: `record` becomes the key's record, together with what follows.
  // False: nothing changes (refused, or a repetition of what was done).
  bool changes = false;
  v1::Record record;
  // These enter the removal queue.
  std::vector<Removal> removals;
  // These leave it, before the others enter. The store must find each of them
  // there; else TargetGone() is what was decided.
  std::vector<Removal> takes;
};

// `current` is the key's record, a tombstone included; nullptr: it has none.
// `full`: the store takes no new values.
Decision Decide(const v1::Record* current, const Mutation& mutation,
                int64_t index_time_ms, bool full);

// Of a kMove whose target the queue does not hold: somebody has removed it.
Decision TargetGone(const v1::Record& current);

// The blobs that `record` names, or its tombstone blobs.
std::vector<Removal> BlobsOf(const std::string& key, const v1::Record& record);

// Whether the index keeps the mutation's value beside the record.
bool KeepsValue(const Mutation& mutation);

}  // namespace cairn::index

#endif  // CAIRN_INDEX_COMMIT_RULES_H_
