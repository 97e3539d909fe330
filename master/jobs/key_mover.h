// Plans and moves the keys of one page of the index.

#ifndef CAIRN_MASTER_JOBS_KEY_MOVER_H_
#define CAIRN_MASTER_JOBS_KEY_MOVER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "index/index_store.h"
#include "master/jobs/blob_mover.h"
#include "master/jobs/job_runner.h"
#include "master/jobs/placement_plan.h"
#include "master/membership.h"

namespace cairn::master {

// What is wanted of one key.
using PlanOf = std::function<Plan(const v1::ClusterMap& map,
                                  absl::string_view key, const v1::Record&)>;

// What became of the keys of one walk.
struct MoveTally {
  int64_t moved = 0;   // Copies.
  int64_t bytes = 0;   // Of these.
  int64_t failed = 0;  // Keys: could not be moved now; another try may.
  // Of these: an older copy has to be removed first from where they go.
  int64_t waiting = 0;
  int64_t stuck = 0;  // Keys: should be moved and nothing can be done.
  // The failed and the stuck ones, if they are not more than kMovePlanKeys;
  // what became of the first kJobProblemsShown.
  std::vector<std::string> left;
  std::vector<std::string> problems;
};

// For one thread; it starts others itself.
class KeyMover {
 public:
  // All outlive the mover. `bytes_max`: of one group, if it is not one copy.
  KeyMover(index::IndexStore* index, Membership* membership, BlobMover* mover,
           JobContext* context, int64_t bytes_max)
      : index_(index),
        membership_(membership),
        mover_(mover),
        context_(context),
        bytes_max_(bytes_max) {}

  // Moves what `plan` wants of these keys, each as often as it wants it, and
  // adds to `tally`. Blocks. kCancelled; kUnavailable: the index is away.
  absl::Status Move(std::vector<std::string> keys,
                    std::vector<v1::Record> records, const PlanOf& plan,
                    MoveTally* tally);

 private:
  struct Item {
    std::string key;
    v1::Record record;
    std::set<std::string> bad_sources;
    PlannedMove move;
    absl::optional<std::string> value;  // As BlobMove's.
    absl::Status result;
  };
  static std::string NameOf(const Item& item);
  struct Group {
    uint32_t source_id = 0;
    uint32_t target_id = 0;
    std::vector<Item*> items;
    int64_t bytes = 0;
  };

  // Those of `items` that have something to move; it is in their `move`.
  absl::StatusOr<std::vector<Item*>> PlanAll(const v1::ClusterMap& map,
                                             const std::vector<Item*>& items,
                                             const PlanOf& plan,
                                             MoveTally* tally);
  // Adds those of `items`, which have no source, to `moving` of which the index
  // has the value.
  absl::Status TakeFromIndex(std::vector<Item*> items, MoveTally* tally,
                             std::vector<Item*>* moving);
  // False: there is no good copy to read from.
  static bool AvoidBadSources(const v1::ClusterMap& map, Item* item);
  std::vector<Group> GroupUp(const std::vector<Item*>& items) const;
  void RunGroups(const v1::ClusterMap& map, std::vector<Group>* groups);
  void RunGroup(const v1::ClusterMap& map, Group* group);
  // Takes in what became of them; returns those that are to be planned again.
  absl::Status Judge(const std::vector<Item*>& items, MoveTally* tally,
                     std::vector<Item*>* again);
  absl::Status LookUp(std::vector<Item*>* items);
  static void AddLeft(const Item& item, absl::string_view why,
                      MoveTally* tally);

  index::IndexStore* const index_;
  Membership* const membership_;
  BlobMover* const mover_;
  JobContext* const context_;
  const int64_t bytes_max_;
  // By key and version: sources that were bad. A copy that failed waits to be
  // removed before another can be made in its place, in a later Move(); it must
  // not begin with the same source. At most kMovePlanKeys.
  std::map<std::string, std::set<std::string>> bad_sources_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_KEY_MOVER_H_
