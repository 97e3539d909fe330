// Writers and readers of an index for tests, who notice each wrong answer.

#ifndef CAIRN_INDEX_REDIS_REDIS_LOAD_H_
#define CAIRN_INDEX_REDIS_REDIS_LOAD_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "index/index_store.h"

namespace cairn::index {

// Versions are milliseconds after an index time that stands still.
absl::Status CommitPut(IndexStore* store, const std::string& key,
                       int64_t version);
// The version.
absl::StatusOr<int64_t> LookupOf(IndexStore* store, const std::string& key);
// Where its record is.
std::string RecordsNameOf(const std::string& key);

// Two threads write groups of keys of their own, each higher than before; two
// look them up and know what has been acknowledged.
class RedisLoad {
 public:
  explicit RedisLoad(IndexStore* store);
  ~RedisLoad() { Stop(); }

  // Waits until some more groups have been acknowledged and read; aborts the
  // test if that takes a minute.
  void AwaitProgress();
  // Ends it, and looks up every key once more. What was wrong: answers that are
  // older than what was acknowledged before the question, missing keys, and
  // commits that were refused.
  std::vector<std::string> Stop();
  // Calls that ended with kUnavailable.
  int64_t unavailable() const { return unavailable_; }

 private:
  static constexpr int kWriters = 2;
  static constexpr int kKeys = 400;  // Of each writer: most shards.

  static std::string KeyAt(int writer, int number);
  void Write(int writer);
  void Read(int writer);
  // Looks up some keys and compares.
  void Check(const std::vector<std::string>& keys,
             const std::vector<int64_t>& least);
  void Complain(std::string what);

  IndexStore* const store_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> written_{0};
  std::atomic<int64_t> read_{0};
  std::atomic<int64_t> unavailable_{0};
  // The last acknowledged version of each key. A writer alone adds to its own.
  std::atomic<int64_t> acknowledged_[kWriters][kKeys] = {};
  std::vector<std::thread> threads_;

  base::Mutex mu_;
  std::vector<std::string> complaints_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_REDIS_LOAD_H_
