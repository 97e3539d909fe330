// Watches over the copies: counts the keys that have too few live ones, and
// starts a repair when a volume has been down, or a disk failed, for long
// enough.

#ifndef CAIRN_MASTER_JOBS_AUTO_REPAIR_H_
#define CAIRN_MASTER_JOBS_AUTO_REPAIR_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "index/index_store.h"
#include "master/jobs/job_runner.h"
#include "master/membership.h"

namespace cairn::master {

// Thread safety: under_replicated() from any thread, the others from one.
class AutoRepair {
 public:
  struct Options {
    index::IndexStore* index = nullptr;  // All outlive this.
    Membership* membership = nullptr;
    JobRunner* jobs = nullptr;
    // Zero: never by itself.
    absl::Duration repair_after = base::kRepairAfterDefault;
    int64_t bytes_per_second_max = base::kRepairRateDefault;
    absl::Duration pause = absl::Seconds(1);  // Between two looks.
  };
  explicit AutoRepair(Options options) : options_(options) {}
  ~AutoRepair() { Stop(); }

  void Start();
  void Stop();

  // Keys with fewer live copies than there should be; -1: not counted yet.
  int64_t under_replicated() const { return under_replicated_.load(); }

 private:
  void Run();
  // Not OK: the index does not answer.
  absl::Status CountIfDue(const v1::ClusterMap& map);
  absl::StatusOr<int64_t> Count(const v1::ClusterMap& map);
  void StartIfDue(const v1::ClusterMap& map);
  // What has been gone for long enough: "0a1b2c3d, 0a1b2c3e/2"; "": nothing.
  std::string LongGone(const v1::ClusterMap& map);
  bool stopping();

  const Options options_;
  // A number for status pages; nothing else is read because of it.
  std::atomic<int64_t> under_replicated_{-1};

  // The thread's own.
  std::string counted_for_;  // What was gone when they were counted.
  absl::Time count_at_ = absl::InfinitePast();
  std::map<std::string, absl::Time> failed_since_;  // Disks, by their place.
  std::string repaired_for_;
  absl::Time repaired_at_ = absl::InfinitePast();
  JobRunner::JobPtr repair_;

  base::Mutex mu_;
  base::CondVar stop_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_AUTO_REPAIR_H_
