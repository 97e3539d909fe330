// CommitGroup carries the mutations of one Commit() to their end: read, decide,
// compare and set, and again for the keys that somebody else was first with.

#ifndef CAIRN_INDEX_REDIS_COMMIT_GROUP_H_
#define CAIRN_INDEX_REDIS_COMMIT_GROUP_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "index/commit_rules.h"
#include "index/index_store.h"
#include "index/redis/index_session.h"
#include "index/redis/redis_connection.h"

namespace cairn::index {

// Lives for one Commit(). Not thread-safe.
class CommitGroup {
 public:
  // `session` and `group` outlive it.
  CommitGroup(IndexSession* session, absl::Span<const Mutation> group,
              int64_t index_time_ms);

  // The results in the group's order; the removals of deletes are left empty.
  // kUnavailable: the outcome of all is unknown.
  absl::StatusOr<std::vector<MutationResult>> Run();

 private:
  // All mutations of one key: decided one after the other, written as one.
  struct Key {
    std::string key;
    std::vector<size_t> places;  // Of its mutations in the group.
    std::string member;          // As read, "": the key has no record.
    std::optional<v1::Record> record;
    // A script was sent and its outcome was not heard. What it would have
    // written, and what it would have meant.
    bool unknown = false;
    std::string tried_member;
    std::vector<MutationResult> tried;
    // Entries that its mutations take and that the queue held when it was read.
    absl::flat_hash_set<std::string> queued;
    bool full = false;     // Redis refused a put for want of memory.
    int64_t redis_ms = 0;  // What its server's clock showed at least by now.
  };
  // What the key's script is to do.
  struct Change {
    std::string member;
    v1::Record record;
    const Mutation* value_of = nullptr;  // The last mutation that changed it.
    std::set<std::string> takes;         // Entries that leave the queue,
    std::set<std::string> removals;      // and those that enter it then.
    bool has_put = false;
    std::vector<std::string> args;  // For the script.
    int64_t oldest_ms = INT64_MAX;  // Of the versions that have an age.
    std::vector<MutationResult> results;
  };

  absl::Status Read();
  // Reads which entries of `takes` the queue holds.
  absl::Status ReadQueue();
  // Decides one mutation of a key whose record is `record` now.
  Decision DecideOne(const Key& key, const Change& change,
                     const v1::Record* record, const Mutation& mutation,
                     bool full) const;
  // Nothing to write: all is settled, and in results_.
  std::optional<Change> DecideKey(Key* key);
  // Its arguments for CommitScript(), without the first.
  std::vector<std::string> ArgsFor(const Key& key, const Change& change) const;
  // Which go into one script, as places in `keys`.
  std::vector<std::vector<size_t>> Grouped(
      const std::vector<Key>& keys, const std::vector<Change>& changes) const;
  static ScriptCall CallFor(const std::vector<size_t>& places,
                            const std::vector<Key>& keys,
                            std::vector<Change>* changes);
  // Sends what was decided; keys that are done leave pending_.
  absl::Status Write();
  // Whether the key is done. Not OK: its outcome is and stays unknown.
  absl::StatusOr<bool> Settle(Key* key, Change change, const RedisReply& reply);
  void Finish(const Key& key, std::vector<MutationResult> results);
  // The same, where nothing is to be written.
  void FinishAsFound(const Key& key, std::vector<MutationResult> results);
  // The index's clock, as it went on since Commit() was called if that is more
  // than a moment ago: reading may have been stuck.
  int64_t IndexTimeMs() const;

  IndexSession* const session_;
  const absl::Span<const Mutation> group_;
  const int64_t index_time_ms_;
  const int64_t start_ms_;  // Monotonic, when index_time_ms_ was the time.
  const absl::Time deadline_;
  bool full_ = false;
  int64_t read_ms_ = 0;  // When the keys were last read (monotonic).
  // Of keys that were found as they are to be, maybe by this server alone.
  std::vector<int> unconfirmed_;
  std::vector<Key> pending_;
  std::vector<MutationResult> results_;
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_COMMIT_GROUP_H_
