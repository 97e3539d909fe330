#include "master/lease_table.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"
#include "base/limits.h"

namespace cairn::master {
namespace {

const int64_t kTermMs =
    absl::ToInt64Milliseconds(base::kLeaseTerm + base::kLeaseSlack);

template <typename Vector>
bool Contains(const Vector& ids, int64_t id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

template <typename Vector>
void Remove(Vector* ids, int64_t id) {
  ids->erase(std::remove(ids->begin(), ids->end(), id), ids->end());
}

}  // namespace

LeaseTable::LeaseTable(MonotonicMs now_ms, int64_t held_ms)
    : now_ms_(std::move(now_ms)) {
  if (held_ms <= 0) return;
  // Stands for all clients of the master before: it hears nothing, confirms
  // nothing, and runs out.
  base::MutexLock lock(&mu_);
  Holder& earlier = holders_[++last_id_];
  earlier.tell = [](const v1::Revocation&) {};
  earlier.open = false;
  earlier.expires_ms = now_ms_() + held_ms;
  RevokeLocked(last_id_, "", /*all=*/true);
}

int64_t LeaseTable::AddHolder(Tell tell) {
  base::MutexLock lock(&mu_);
  holders_[++last_id_].tell = std::move(tell);
  return last_id_;
}

void LeaseTable::RemoveHolder(int64_t holder) {
  base::MutexLock lock(&mu_);
  const auto it = holders_.find(holder);
  if (it == holders_.end()) return;
  it->second.open = false;
  it->second.tell = [](const v1::Revocation&) {};
}

void LeaseTable::Renew(int64_t holder) {
  base::MutexLock lock(&mu_);
  const auto it = holders_.find(holder);
  if (it == holders_.end() || !it->second.open) return;
  it->second.expires_ms = now_ms_() + kTermMs;
}

bool LeaseTable::Grant(int64_t holder, absl::string_view key) {
  base::MutexLock lock(&mu_);
  const auto it = holders_.find(holder);
  if (it == holders_.end() || !it->second.open || it->second.clearing) {
    return false;
  }
  if (it->second.leases >= base::kLeasesPerClientMax) {
    ClearLocked(holder, &it->second);
    return false;
  }
  Key& entry = keys_[key];
  if (entry.writes > 0) return false;
  if (Contains(entry.holders, holder)) return true;
  entry.holders.push_back(holder);
  ++it->second.leases;
  return true;
}

int64_t LeaseTable::RevokeLocked(int64_t holder, absl::string_view key,
                                 bool all) {
  const int64_t id = ++last_id_;
  v1::Revocation revocation;
  revocation.set_id(id);
  revocation.set_all(all);
  revocation.set_key(std::string(key));
  Pending& pending = pending_[id];
  pending.holder = holder;
  pending.all = all;
  pending.key = std::string(key);
  if (all) pending_all_.push_back(id);
  holders_[holder].tell(revocation);
  return id;
}

void LeaseTable::ClearLocked(int64_t id, Holder* holder) {
  holder->clearing = true;
  DropLeasesLocked(id);
  RevokeLocked(id, "", /*all=*/true);
}

void LeaseTable::DropLeasesLocked(int64_t holder) {
  for (auto it = keys_.begin(); it != keys_.end();) {
    const auto here = it++;
    Key& entry = here->second;
    Remove(&entry.holders, holder);
    if (entry.holders.empty() && entry.revocations.empty() &&
        entry.writes == 0) {
      keys_.erase(here);
    }
  }
  holders_[holder].leases = 0;
}

void LeaseTable::Acknowledge(int64_t revocation_id) {
  Ready ready;
  {
    base::MutexLock lock(&mu_);
    ConfirmLocked(revocation_id, &ready);
  }
  for (const auto& go_on : ready) go_on();
}

void LeaseTable::ConfirmLocked(int64_t revocation_id, Ready* ready) {
  const auto it = pending_.find(revocation_id);
  if (it == pending_.end()) return;  // It had run out.
  const Pending pending = std::move(it->second);
  pending_.erase(it);
  if (pending.all) {
    Remove(&pending_all_, revocation_id);
    const auto holder = holders_.find(pending.holder);
    if (holder != holders_.end()) holder->second.clearing = false;
  } else if (const auto key = keys_.find(pending.key); key != keys_.end()) {
    Remove(&key->second.revocations, revocation_id);
    EraseIfUnused(pending.key);
  }
  for (const WaiterPtr& waiter : pending.waiters) {
    if (--waiter->left == 0) ready->push_back(std::move(waiter->ready));
  }
}

void LeaseTable::EraseIfUnused(absl::string_view key) {
  const auto it = keys_.find(key);
  if (it == keys_.end()) return;
  const Key& entry = it->second;
  if (entry.holders.empty() && entry.revocations.empty() && entry.writes == 0) {
    keys_.erase(it);
  }
}

bool LeaseTable::BeginWrite(absl::string_view key,
                            std::function<void()> ready) {
  base::MutexLock lock(&mu_);
  const int64_t now_ms = now_ms_();
  Key& entry = keys_[key];
  ++entry.writes;
  for (const int64_t holder : std::exchange(entry.holders, {})) {
    const int64_t id = RevokeLocked(holder, key, /*all=*/false);
    Holder& who = holders_[holder];
    --who.leases;
    if (who.expires_ms > now_ms) {
      entry.revocations.push_back(id);
    } else {
      // It has run out, so nobody waits. The holder was told all the same: if
      // it renews, it hears of this before it hears that it has renewed.
      pending_.erase(id);
    }
  }
  if (entry.revocations.empty() && pending_all_.empty()) return true;
  const auto waiter = std::make_shared<Waiter>();
  waiter->ready = std::move(ready);
  for (const auto* ids : {&entry.revocations, &pending_all_}) {
    for (const int64_t id : *ids) {
      pending_[id].waiters.push_back(waiter);
      ++waiter->left;
    }
  }
  return false;
}

void LeaseTable::EndWrite(absl::string_view key) {
  base::MutexLock lock(&mu_);
  const auto it = keys_.find(key);
  if (it == keys_.end() || it->second.writes == 0) return;
  --it->second.writes;
  EraseIfUnused(key);
}

void LeaseTable::Tick() {
  Ready ready;
  {
    base::MutexLock lock(&mu_);
    const int64_t now_ms = now_ms_();
    std::vector<int64_t> run_out;
    for (const auto& [id, pending] : pending_) {
      const auto holder = holders_.find(pending.holder);
      if (holder == holders_.end() || holder->second.expires_ms <= now_ms) {
        run_out.push_back(id);
      }
    }
    for (const int64_t id : run_out) ConfirmLocked(id, &ready);
    std::vector<int64_t> gone;
    for (const auto& [id, holder] : holders_) {
      if (!holder.open && holder.expires_ms <= now_ms) gone.push_back(id);
    }
    for (const int64_t id : gone) {
      if (holders_[id].leases > 0) DropLeasesLocked(id);
      holders_.erase(id);
    }
  }
  for (const auto& go_on : ready) go_on();
}

void LeaseTable::Abandon() {
  Ready ready;
  {
    base::MutexLock lock(&mu_);
    while (!pending_.empty()) ConfirmLocked(pending_.begin()->first, &ready);
  }
  for (const auto& go_on : ready) go_on();
}

int64_t LeaseTable::leases_count() {
  base::MutexLock lock(&mu_);
  int64_t count = 0;
  for (const auto& [id, holder] : holders_) count += holder.leases;
  return count;
}

}  // namespace cairn::master
