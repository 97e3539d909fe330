#include "index/memory_index_store.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/version.h"
#include "index/commit_rules.h"
#include "index/page_builder.h"
#include "proto/convert.h"

namespace cairn::index {
namespace {

constexpr int64_t kFreeBytes = int64_t{1} << 40;

// In the order of the queue; a cursor is its text.
std::string RemovalName(const Removal& removal) {
  return absl::StrCat(VolumeIdText(removal.volume_id), "/", removal.blob.key(),
                      "/", absl::Hex(removal.blob.subvolume(), absl::kZeroPad4),
                      "/", FromProto(removal.blob.version()).ToHex(),
                      removal.blob.tombstone() ? "/t" : "/v");
}

class MemoryIndexStore final : public IndexStore {
 public:
  explicit MemoryIndexStore(const OpenOptions& options) : options_(options) {}

  absl::StatusOr<std::vector<absl::StatusOr<Found>>> Lookup(
      absl::Span<const std::string> keys, bool with_values) override {
    base::MutexLock lock(&mu_);
    std::vector<absl::StatusOr<Found>> found;
    for (const std::string& key : keys) {
      const auto it = keys_.find(key);
      if (it == keys_.end()) {
        found.emplace_back(absl::NotFoundError("the key does not exist"));
      } else {
        found.emplace_back(View(it->second, with_values));
      }
    }
    return found;
  }

  absl::StatusOr<std::vector<MutationResult>> Commit(
      absl::Span<const Mutation> group, int64_t index_time_ms) override {
    base::MutexLock lock(&mu_);
    std::vector<MutationResult> results;
    for (const Mutation& mutation : group) {
      const auto it = keys_.find(mutation.key);
      Decision decision =
          Decide(it == keys_.end() ? nullptr : &it->second.record, mutation,
                 index_time_ms, kFreeBytes < options_.free_bytes_min);
      if (!HasAll(decision.takes)) decision = TargetGone(it->second.record);
      if (decision.changes) {
        for (const Removal& removal : decision.takes) {
          removals_.erase(RemovalName(removal));
        }
        for (const Removal& removal : decision.removals) {
          removals_[RemovalName(removal)] = removal;
        }
        Found& stored = keys_[mutation.key];
        stored.record = std::move(decision.record);
        if (mutation.kind != Mutation::Kind::kMove) {
          stored.has_value = KeepsValue(mutation);
          stored.value = stored.has_value ? mutation.inline_value : "";
        }
        decision.result.removals = std::move(decision.removals);
      }
      if (mutation.kind == Mutation::Kind::kDelete &&
          decision.result.status.ok()) {
        decision.result.removals = RemovalsOfKey(mutation.key);
      }
      results.push_back(std::move(decision.result));
    }
    return results;
  }

  absl::StatusOr<Page> Scan(const ScanOptions& options) override {
    if (options.limit < 1) return absl::InvalidArgumentError("limit");
    base::MutexLock lock(&mu_);
    PageBuilder builder(options);
    const auto end = builder.End();
    auto it = keys_.lower_bound(builder.First());
    while (it != keys_.end() && (!end.has_value() || it->first < *end)) {
      if (it->second.record.tombstone() && !options.with_tombstones) {
        ++it;
        continue;
      }
      const auto then =
          builder.Add(it->first, [&] { return it->second.record; });
      if (then == PageBuilder::Then::kDone) break;
      it = then == PageBuilder::Then::kNext
               ? std::next(it)
               : keys_.lower_bound(builder.skip_to());
    }
    return builder.Take();
  }

  absl::StatusOr<std::vector<Removal>> Removals(uint32_t volume_id,
                                                int64_t limit,
                                                std::string* cursor) override {
    base::MutexLock lock(&mu_);
    std::vector<Removal> found;
    auto it = cursor->empty() ? removals_.lower_bound(VolumeIdText(volume_id))
                              : removals_.upper_bound(*cursor);
    for (; it != removals_.end() && it->second.volume_id == volume_id &&
           static_cast<int64_t>(found.size()) < limit;
         ++it) {
      found.push_back(it->second);
      *cursor = it->first;
    }
    return found;
  }

  absl::Status FinishRemovals(absl::Span<const Removal> done) override {
    base::MutexLock lock(&mu_);
    for (const Removal& removal : done) removals_.erase(RemovalName(removal));
    return absl::OkStatus();
  }

  absl::Status AddRemovals(absl::Span<const Removal> removals) override {
    base::MutexLock lock(&mu_);
    for (const Removal& one : removals) removals_[RemovalName(one)] = one;
    return absl::OkStatus();
  }

  absl::StatusOr<bool> HasRemoval(const Removal& removal) override {
    base::MutexLock lock(&mu_);
    return removals_.count(RemovalName(removal)) > 0;
  }

  absl::StatusOr<int64_t> ForgetTombstones(int64_t before_ms,
                                           int64_t limit) override {
    base::MutexLock lock(&mu_);
    int64_t forgotten = 0;
    for (auto it = keys_.begin(); it != keys_.end() && forgotten < limit;) {
      const auto here = it++;
      const v1::Record& record = here->second.record;
      if (!record.tombstone() || record.version().time_ms() >= before_ms ||
          !RemovalsOfKey(here->first).empty()) {
        continue;
      }
      for (const Removal& removal : BlobsOf(here->first, record)) {
        removals_[RemovalName(removal)] = removal;
      }
      keys_.erase(here);
      ++forgotten;
    }
    return forgotten;
  }

  absl::Status Clear() override {
    base::MutexLock lock(&mu_);
    keys_.clear();
    removals_.clear();
    return absl::OkStatus();
  }

  absl::StatusOr<std::string> GetMeta(absl::string_view name) override {
    base::MutexLock lock(&mu_);
    const auto it = meta_.find(std::string(name));
    if (it == meta_.end()) return absl::NotFoundError(name);
    return it->second;
  }

  absl::Status SetMeta(absl::string_view name,
                       absl::string_view value) override {
    base::MutexLock lock(&mu_);
    meta_[std::string(name)] = std::string(value);
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> NextNumber(absl::string_view name) override {
    base::MutexLock lock(&mu_);
    return ++numbers_[std::string(name)];
  }

  IndexStats Stats() override {
    base::MutexLock lock(&mu_);
    IndexStats stats;
    for (const auto& [key, found] : keys_) {
      ++(found.record.tombstone() ? stats.tombstones_count : stats.keys_count);
    }
    stats.removals_count = static_cast<int64_t>(removals_.size());
    stats.full = kFreeBytes < options_.free_bytes_min;
    return stats;
  }

  absl::Status Walk(
      bool with_values,
      const std::function<absl::Status(absl::string_view key,
                                       const Found& found)>& visit) override {
    std::map<std::string, Found> moment;
    {
      base::MutexLock lock(&mu_);
      moment = keys_;
    }
    for (const auto& [key, found] : moment) {
      absl::Status status = visit(key, View(found, with_values));
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  }

  std::string uri() const override { return "memory:"; }

 private:
  static Found View(const Found& stored, bool with_value) {
    Found found = stored;
    if (!with_value) {
      found.has_value = false;
      found.value.clear();
    }
    return found;
  }

  bool HasAll(const std::vector<Removal>& removals)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (const Removal& removal : removals) {
      if (removals_.count(RemovalName(removal)) == 0) return false;
    }
    return true;
  }

  std::vector<Removal> RemovalsOfKey(const std::string& key)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::vector<Removal> found;
    for (const auto& [name, removal] : removals_) {
      if (removal.blob.key() == key) found.push_back(removal);
    }
    return found;
  }

  const OpenOptions options_;
  base::Mutex mu_;
  std::map<std::string, Found> keys_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Removal> removals_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, std::string> meta_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, int64_t> numbers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<IndexStore> NewMemoryIndexStore(const OpenOptions& options) {
  return std::make_unique<MemoryIndexStore>(options);
}

}  // namespace cairn::index
