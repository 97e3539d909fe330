// Which clients may answer lookups of which keys by themselves, and the wait of
// a write until none may any more.
//
// A lease lets a gateway answer a key it was asked for again without a message
// to the master, and never with something older than the last acknowledged
// write: before a key is written, its leases are revoked, and each holder
// confirms. One that does not answer is waited for until its leases have run
// out. After C. Gray and D. Cheriton, "Leases: An Efficient Fault-Tolerant
// Mechanism for Distributed File Cache Consistency", SOSP 1989.

#ifndef CAIRN_MASTER_LEASE_TABLE_H_
#define CAIRN_MASTER_LEASE_TABLE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "proto/cairn/v1/metadata.pb.h"

namespace cairn::master {

// Thread safety: any method from any thread. Nothing blocks. Callbacks are
// called without a lock held.
class LeaseTable {
 public:
  // Milliseconds of a clock that only goes forward.
  using MonotonicMs = std::function<int64_t()>;
  // Tells a holder, in the order of the calls and of what else it is sent.
  // Called under the table's lock: it may only queue.
  using Tell = std::function<void(const v1::Revocation& revocation)>;

  // `held_ms`: for so long all writes wait, since clients may hold leases of
  // the master before this one. 0: there was none.
  LeaseTable(MonotonicMs now_ms, int64_t held_ms);

  // A client's stream; returns its id. It holds nothing until Renew().
  int64_t AddHolder(Tell tell);
  // The stream has ended. The client may not know yet: what it holds counts
  // until it runs out.
  void RemoveHolder(int64_t holder);
  // The holder's leases last kLeaseTerm from now on.
  void Renew(int64_t holder);
  // Called before the index is read. False: a write of the key is under way,
  // or the holder has too many; the answer is good for this once only.
  bool Grant(int64_t holder, absl::string_view key);
  // The holder has carried out what Tell() told it under this id.
  void Acknowledge(int64_t revocation_id);

  // From here to EndWrite() nobody is granted the key. True: nobody holds it.
  // False: `ready` is called when nobody does any more.
  bool BeginWrite(absl::string_view key, std::function<void()> ready);
  // The write has been answered, whatever became of it. Once for each
  // BeginWrite().
  void EndWrite(absl::string_view key);

  // Call some times a second: lets leases run out.
  void Tick();

  // Calls every `ready` that waits. For when nothing is written any more.
  void Abandon();

  // For tests: leases that are held.
  int64_t leases_count();

 private:
  struct Holder {
    Tell tell;
    bool open = true;
    int64_t expires_ms = 0;
    int64_t leases = 0;
    bool clearing = false;  // Until it has confirmed that all have ended.
  };
  struct Key {
    absl::InlinedVector<int64_t, 2> holders;
    // Revocations of this key that are not confirmed.
    absl::InlinedVector<int64_t, 2> revocations;
    int writes = 0;  // Begun and not ended.
  };
  struct Waiter {
    int left = 0;  // Revocations.
    std::function<void()> ready;
  };
  using WaiterPtr = std::shared_ptr<Waiter>;
  // One that is not confirmed.
  struct Pending {
    int64_t holder = 0;
    bool all = false;
    std::string key;
    std::vector<WaiterPtr> waiters;
  };
  using Ready = std::vector<std::function<void()>>;

  int64_t RevokeLocked(int64_t holder, absl::string_view key, bool all)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ClearLocked(int64_t id, Holder* holder)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Takes the holder out of every key.
  void DropLeasesLocked(int64_t holder) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void ConfirmLocked(int64_t revocation_id, Ready* ready)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void EraseIfUnused(absl::string_view key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const MonotonicMs now_ms_;

  base::Mutex mu_;
  absl::flat_hash_map<int64_t, Holder> holders_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, Key> keys_ ABSL_GUARDED_BY(mu_);
  // By revocation id.
  absl::flat_hash_map<int64_t, Pending> pending_ ABSL_GUARDED_BY(mu_);
  // Those that concern every key.
  absl::InlinedVector<int64_t, 2> pending_all_ ABSL_GUARDED_BY(mu_);
  int64_t last_id_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_LEASE_TABLE_H_
