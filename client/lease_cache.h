// Answers of lookups that this client holds under leases, so that a key that
// is asked for again costs no message to the master. Never older than the last
// acknowledged write: see master/lease_table.h.

#ifndef CAIRN_CLIENT_LEASE_CACHE_H_
#define CAIRN_CLIENT_LEASE_CACHE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "base/limits.h"
#include "base/monotonic.h"
#include "base/mutex.h"
#include "proto/cairn/v1/metadata.pb.h"

namespace cairn::client {

// Thread safety: any method from any thread. Renewals, revocations and the end
// of the stream must be reported in the order in which they came.
class LeaseCache {
 public:
  // Milliseconds of a clock that only goes forward; a test may give its own.
  using MonotonicMs = int64_t (*)();
  explicit LeaseCache(MonotonicMs now_ms = &base::MonotonicMs)
      : now_ms_(now_ms) {}

  // True: `result` is the answer, found or NOT_FOUND. `with_value`: only one
  // that was asked for with its value will do.
  bool Find(absl::string_view key, bool with_value, v1::OpResult* result);

  // To be taken before the lookup is sent, and given to Insert() with its
  // answer: a revocation that comes in between makes the answer unfit to keep.
  int64_t Ticket(absl::string_view key);
  void Insert(int64_t ticket, absl::string_view key, bool with_value,
              const v1::OpResult& result);

  // The master has renewed what was asked for at `sent_ms`.
  void Renewed(int64_t sent_ms);
  // When this returns nothing is answered from the lease any more.
  void Revoke(const v1::Revocation& revocation);
  // The stream has ended.
  void Clear();
  // False: the cluster serves nothing now, and neither does this.
  void SetServing(bool serving);

  // The time to be sent as BatchRequest.lease_renewal.
  int64_t NoteRenewalSent();
  // True: there are leases, and they should be renewed now.
  bool WantsRenewal();

 private:
  static constexpr int kShards = 16;
  struct Entry {
    v1::OpResult result;
    bool with_value = false;
    int64_t bytes = 0;
  };
  struct Shard {
    base::Mutex mu;
    absl::flat_hash_map<std::string, Entry> entries ABSL_GUARDED_BY(mu);
    int64_t bytes ABSL_GUARDED_BY(mu) = 0;
    // Grows with each revocation.
    int64_t ticket ABSL_GUARDED_BY(mu) = 0;
  };

  void Empty();
  Shard& ShardOf(absl::string_view key);
  static void Erase(Shard* shard, absl::string_view key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard->mu);

  const MonotonicMs now_ms_;
  std::array<Shard, kShards> shards_;
  // Each stands for itself. valid_until_ms_ may be read late by a moment, as
  // if the read had come before the write that it missed.
  std::atomic<int64_t> valid_until_ms_{0};
  std::atomic<int64_t> renewal_sent_ms_{0};
  std::atomic<bool> used_{false};  // Something was kept since it was emptied.
  std::atomic<bool> serving_{true};
};

}  // namespace cairn::client

#endif  // CAIRN_CLIENT_LEASE_CACHE_H_
