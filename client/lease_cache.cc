#include "client/lease_cache.h"

#include <utility>

#include "absl/hash/hash.h"
#include "absl/time/time.h"

namespace cairn::client {
namespace {

const int64_t kTermMs = absl::ToInt64Milliseconds(base::kLeaseTerm);
const int64_t kRenewalMs = absl::ToInt64Milliseconds(base::kLeaseRenewal);
// What an entry takes beside its key and value: record, replicas, hash table.
constexpr int64_t kEntryBytes = 400;

}  // namespace

LeaseCache::Shard& LeaseCache::ShardOf(absl::string_view key) {
  // Other bits than those that the shard's own table takes first.
  return shards_[(absl::Hash<absl::string_view>()(key) >> 32) % kShards];
}

bool LeaseCache::Find(absl::string_view key, bool with_value,
                      v1::OpResult* result) {
  if (now_ms_() >= valid_until_ms_.load()) return false;
  Shard& shard = ShardOf(key);
  base::MutexLock lock(&shard.mu);
  const auto it = shard.entries.find(key);
  if (it == shard.entries.end() || (with_value && !it->second.with_value)) {
    return false;
  }
  *result = it->second.result;
  return true;
}

int64_t LeaseCache::Ticket(absl::string_view key) {
  Shard& shard = ShardOf(key);
  base::MutexLock lock(&shard.mu);
  return shard.ticket;
}

void LeaseCache::Insert(int64_t ticket, absl::string_view key, bool with_value,
                        const v1::OpResult& result) {
  Shard& shard = ShardOf(key);
  base::MutexLock lock(&shard.mu);
  if (shard.ticket != ticket || !serving_.load()) return;
  const auto known = shard.entries.find(key);
  if (known != shard.entries.end()) {
    if (known->second.with_value && !with_value) return;  // Has more.
    Erase(&shard, key);
  }
  const int64_t bytes = kEntryBytes + static_cast<int64_t>(key.size()) +
                        static_cast<int64_t>(result.inline_value().size());
  shard.bytes += bytes;
  // The master goes on to count what falls out as leased: it revokes it, or
  // ends all leases when they are too many.
  while (!shard.entries.empty() &&
         (shard.bytes > base::kLeaseCacheBytesMax / kShards ||
          shard.entries.size() >= base::kLeaseCacheKeysMax / kShards)) {
    const std::string victim = shard.entries.begin()->first;
    Erase(&shard, victim);
  }
  shard.entries[std::string(key)] = {result, with_value, bytes};
  used_.store(true);
}

void LeaseCache::Erase(Shard* shard, absl::string_view key) {
  const auto it = shard->entries.find(key);
  if (it == shard->entries.end()) return;
  shard->bytes -= it->second.bytes;
  shard->entries.erase(it);
}

void LeaseCache::Renewed(int64_t sent_ms) {
  valid_until_ms_.store(sent_ms + kTermMs);
}

void LeaseCache::Revoke(const v1::Revocation& revocation) {
  if (revocation.all()) return Empty();
  Shard& shard = ShardOf(revocation.key());
  base::MutexLock lock(&shard.mu);
  ++shard.ticket;
  Erase(&shard, revocation.key());
}

void LeaseCache::Clear() {
  valid_until_ms_.store(0);
  Empty();
}

void LeaseCache::Empty() {
  used_.store(false);
  for (Shard& shard : shards_) {
    base::MutexLock lock(&shard.mu);
    ++shard.ticket;
    shard.entries.clear();
    shard.bytes = 0;
  }
}

void LeaseCache::SetServing(bool serving) {
  serving_.store(serving);
  if (!serving) Clear();
}

int64_t LeaseCache::NoteRenewalSent() {
  const int64_t now_ms = now_ms_();
  renewal_sent_ms_.store(now_ms);
  return now_ms;
}

bool LeaseCache::WantsRenewal() {
  return used_.load() && now_ms_() - renewal_sent_ms_.load() >= kRenewalMs;
}

}  // namespace cairn::client
