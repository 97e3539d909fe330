// IndexStore remembers which subvolumes hold each value, and what waits to be
// removed from them. Losing it loses no data: it can be made again from the
// volumes' files.
//
// Thread safety: any method of any implementation, from any thread, at once.
// Blocking: each call may wait for disk or network; hold no mutex across one.
// Durability: calls that say "durable" have reached the disk when they return
// OK if the store was opened with DURABILITY_FSYNC, else the page cache.

#ifndef CAIRN_INDEX_INDEX_STORE_H_
#define CAIRN_INDEX_INDEX_STORE_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/cairn/v1/common.pb.h"
#include "proto/cairn/v1/metadata.pb.h"

namespace cairn::index {

// What was found for one key.
struct Found {
  v1::Record record;  // May be a tombstone.
  bool has_value = false;
  std::string value;  // The inlined value, when asked for.
};

// One blob of one subvolume that is to be unlinked.
struct Removal {
  uint32_t volume_id = 0;
  v1::BlobId blob;
};

// One write of one key.
struct Mutation {
  enum class Kind {
    kPut,     // Make `record` the newest.
    kDelete,  // Put a tombstone; record.version must be set, and only it.
    // A tombstone gets replicas: blobs that were written for it.
    kTombstoneReplicas,
    // Copies of the current version lie elsewhere now: `record` names version,
    // tombstone and the new replicas, the rest of the key stays as it is.
    kMove,
    // Make `record`, a value or a tombstone, the key's, whatever its age: for
    // what was found on disk. `removals` enter the queue with it. One that has
    // the version of the current record takes its place.
    kRestore,
  };
  Kind kind = Kind::kPut;
  std::string key;
  v1::Record record;
  v1::Precondition precondition;
  std::vector<Removal> removals;  // kRestore only.
  std::string inline_value;       // Kept if not empty, or if size_bytes is 0.
  // kMove: the replicas that the record must have now, in their order, and the
  // entries of this key that leave the removal queue in the same step: those
  // that were put there before the new copies were made.
  std::vector<v1::SubvolumeId> replicas_before;
  std::vector<Removal> takes;
};

// The outcome of one mutation.
struct MutationResult {
  // OK. kAborted: the key is at a higher version; `current` says which.
  // kOutOfRange: version more than kVersionAgeMax behind or kVersionAheadMax
  // ahead of index time. kFailedPrecondition. kNotFound: kDelete of a key that
  // has no value (a tombstone is none). kResourceExhausted: the store is full.
  // kMove: kAborted when version or replicas are not those of before, or when
  // an entry of `takes` is not in the queue (any more).
  // In all these nothing changed. A put whose version is the current one is
  // OK, checked before preconditions: the same commit came twice. So is
  // a kMove whose replicas are there already.
  absl::Status status;
  v1::Record current;     // kAborted: in the way.
  bool replaced = false;  // kPut: there was a value before.
  // kDelete: every blob of the key that is queued for removal now, older
  // entries of the queue included. kPut, kMove: the entries this write added;
  // of a kMove these are the copies that the record no longer names.
  std::vector<Removal> removals;
};

// Counts for status pages; may lag by seconds.
struct IndexStats {
  int64_t keys_count = 0;
  int64_t tombstones_count = 0;
  int64_t removals_count = 0;
  bool full = false;
};

class IndexStore {
 public:
  virtual ~IndexStore() = default;

  // The newest record of each key, in the order asked; kNotFound in the place
  // of a key that has none (a tombstone is returned as a record).
  // kUnavailable, for all or in a place, says nothing about any key.
  virtual absl::StatusOr<std::vector<absl::StatusOr<Found>>> Lookup(
      absl::Span<const std::string> keys, bool with_values) = 0;

  // Applies the mutations in their order, each seeing those before it; all are
  // durable when it returns. Each key changes as a whole: replaced and deleted
  // blobs enter the removal queue in the same write. Not OK (kUnavailable): the
  // outcome of all is unknown.
  // `index_time_ms` is the clock against which versions are checked.
  virtual absl::StatusOr<std::vector<MutationResult>> Commit(
      absl::Span<const Mutation> group, int64_t index_time_ms) = 0;
  // Puts what was found on disk into an index that is being made again: as
  // Commit() of these kRestore mutations and AddRemovals(), but durable only
  // once a later call is that is durable; no crash keeps that one and loses
  // this. Not OK, for whatever one of them: a part may be in; safe to repeat.
  // REQUIRES: nobody else writes.
  virtual absl::Status Restore(absl::Span<const Mutation> restores,
                               absl::Span<const Removal> removals);
  // Whether Commit() waits for a disk or for another process, so that a thread
  // with other work should leave it to one of its own.
  virtual bool commits_wait() const { return true; }

  // Keys in byte order from `start` (inclusive) that begin with `prefix`, at
  // most `limit`; tombstones are passed over, unless asked for. Starts in O(log
  // n). `next` is the first key not returned, empty at the end. See
  // ListKeysRequest for `delimiter`.
  struct Page {
    int64_t keys_count = 0;  // In `keys` or in `key_block`.
    std::vector<std::string> keys;
    std::string key_block;            // See base/key_block.h.
    std::vector<v1::Record> records;  // As many as keys, or none.
    std::string next;
  };
  struct ScanOptions {
    std::string prefix;
    std::string start;
    std::string delimiter;
    int64_t limit = 1000;
    bool with_records = false;
    bool with_tombstones = false;
    bool with_key_block = false;  // Instead of `keys`, which stay empty.
  };
  virtual absl::StatusOr<Page> Scan(const ScanOptions& options) = 0;

  // --- The removal queue ---

  // Up to `limit` entries of a volume, in the queue's order, from after
  // `cursor` ("" at first), which is moved on.
  virtual absl::StatusOr<std::vector<Removal>> Removals(
      uint32_t volume_id, int64_t limit, std::string* cursor) = 0;
  // Takes entries out: their unlinks are confirmed. Need not be durable.
  virtual absl::Status FinishRemovals(absl::Span<const Removal> done) = 0;
  // Puts entries in, durably (disowned blobs).
  virtual absl::Status AddRemovals(absl::Span<const Removal> removals) = 0;
  // Is this very blob in the queue?
  virtual absl::StatusOr<bool> HasRemoval(const Removal& removal) = 0;
  // Forgets tombstones that are older than `before_ms` and whose key has no
  // entry in the queue; their own blobs enter it. At most `limit`; returns
  // how many were forgotten.
  virtual absl::StatusOr<int64_t> ForgetTombstones(int64_t before_ms,
                                                   int64_t limit) = 0;

  // Empties the index, durably: records, values, tombstones and the removal
  // queue. Facts and numbers stay. Not one step: after an error, or a crash, a
  // part may be gone. REQUIRES: nobody else writes.
  virtual absl::Status Clear() = 0;

  // --- Small durable facts: cluster id, map, mark, clock ---

  // kNotFound: never set. Names are short ASCII.
  virtual absl::StatusOr<std::string> GetMeta(absl::string_view name) = 0;
  // Durable even with DURABILITY_OS.
  virtual absl::Status SetMeta(absl::string_view name,
                               absl::string_view value) = 0;
  // Adds 1 to a counter, durably, and returns it; the first is 1.
  virtual absl::StatusOr<int64_t> NextNumber(absl::string_view name) = 0;

  virtual IndexStats Stats() = 0;

  // Every record, tombstones included, with inlined values if asked, in byte
  // order; stops at the first status that is not OK and returns it. An embedded
  // index shows one moment. Another shows each key once, as it was at some
  // moment of the walk; keys that are new or forgotten meanwhile may be
  // missing.
  virtual absl::Status Walk(
      bool with_values,
      const std::function<absl::Status(absl::string_view key,
                                       const Found& found)>& visit) = 0;

  // The URI it was opened with, without a password.
  virtual std::string uri() const = 0;
  // What an acknowledged write may lose because of how the index is kept;
  // empty: nothing. A part of a sentence.
  virtual std::string risk() const { return ""; }
};

struct OpenOptions {
  v1::Durability durability = v1::DURABILITY_FSYNC;
  // Puts are refused (kResourceExhausted) when the index's disk has less free
  // than this; deletes go on.
  int64_t free_bytes_min = 64 << 20;
  // Who opens an index that others can reach: the same after each start, and
  // nobody else's at that time. Empty: somebody new.
  std::string owner;
};
// "rocksdb:PATH", "redis://[user:pass@]host[:port][/db]",
// "redis+unix:///PATH[?db=N]", "redis+cluster://host:port,...",
// "redis+sentinel://host:port,.../NAME". kInvalidArgument: an unknown scheme;
// the message lists the known ones. kFailedPrecondition: another process has it
// open, or an index cannot be kept there; the message says what to change.
// kUnavailable: it does not answer.
absl::StatusOr<std::unique_ptr<IndexStore>> OpenIndexStore(
    absl::string_view uri, const OpenOptions& options);

}  // namespace cairn::index

#endif  // CAIRN_INDEX_INDEX_STORE_H_
