#include "index/redis/shard_merge.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/status.h"

namespace cairn::index {
namespace {

// After a skip it is not known how many are wanted: begin small.
constexpr int64_t kPieceMin = 2;

}  // namespace

ShardMerge::ShardMerge(Options options)
    : options_(std::move(options)), shards_(options_.sets.size()) {
  for (Shard& shard : shards_) shard.from = absl::StrCat("[", options_.first);
  // Half as much again as an even spread would need.
  const int64_t count = static_cast<int64_t>(shards_.size());
  piece_ = std::clamp<int64_t>(options_.wanted * 3 / (2 * count) + 4, kPieceMin,
                               base::kIndexRangeMax);
}

absl::Status ShardMerge::Refill() {
  const std::string max =
      options_.end.empty() ? "+" : absl::StrCat("(", options_.end);
  std::vector<RedisCommand> commands;
  std::vector<Shard*> asked;
  for (size_t i = 0; i < shards_.size(); ++i) {
    Shard& shard = shards_[i];
    // Those that will be next to run out come along.
    if (shard.ended ||
        static_cast<int64_t>(shard.members.size()) > piece_ / 4) {
      continue;
    }
    commands.push_back({"ZRANGEBYLEX", options_.sets[i], shard.from, max,
                        "LIMIT", "0", absl::StrCat(piece_)});
    asked.push_back(&shard);
  }
  if (asked.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(auto replies, options_.run(std::move(commands)));
  for (size_t i = 0; i < asked.size(); ++i) {
    if (!replies[i].is(RedisReply::Type::kList)) {
      return absl::UnavailableError(
          absl::StrCat("listing the index: ", replies[i].text));
    }
    Shard& shard = *asked[i];
    shard.ended = static_cast<int64_t>(replies[i].list.size()) < piece_;
    for (RedisReply& member : replies[i].list) {
      shard.members.push_back(std::move(member.text));
    }
    if (!shard.members.empty()) {
      shard.from = absl::StrCat("(", shard.members.back());
    }
  }
  piece_ = std::min<int64_t>(2 * piece_, base::kIndexRangeMax);
  heap_valid_ = false;
  return absl::OkStatus();
}

int ShardMerge::Smallest() {
  const auto after = [this](int a, int b) {
    return shards_[a].members.front() > shards_[b].members.front();
  };
  if (!heap_valid_) {
    heap_.clear();
    for (size_t i = 0; i < shards_.size(); ++i) {
      if (!shards_[i].members.empty()) heap_.push_back(static_cast<int>(i));
    }
    std::make_heap(heap_.begin(), heap_.end(), after);
    heap_valid_ = true;
  }
  if (heap_.empty()) return -1;
  std::pop_heap(heap_.begin(), heap_.end(), after);
  const int smallest = heap_.back();
  heap_.pop_back();
  return smallest;
}

absl::StatusOr<const std::string*> ShardMerge::Next() {
  // A shard that has run out may have what comes next.
  if (!heap_valid_) {
    const auto may_have_more = [](const Shard& shard) {
      return shard.members.empty() && !shard.ended;
    };
    while (std::any_of(shards_.begin(), shards_.end(), may_have_more)) {
      RETURN_IF_ERROR(Refill());
    }
  }
  const int smallest = Smallest();
  if (smallest < 0) return nullptr;
  Shard& shard = shards_[smallest];
  current_ = std::move(shard.members.front());
  shard.members.pop_front();
  if (!shard.members.empty()) {
    heap_.push_back(smallest);
    std::push_heap(heap_.begin(), heap_.end(), [this](int a, int b) {
      return shards_[a].members.front() > shards_[b].members.front();
    });
  } else if (!shard.ended) {
    heap_valid_ = false;
  }
  return &current_;
}

void ShardMerge::SkipTo(absl::string_view bound) {
  const std::string from = absl::StrCat("[", bound);
  for (Shard& shard : shards_) {
    while (!shard.members.empty() && shard.members.front() < bound) {
      shard.members.pop_front();
    }
    if (shard.members.empty())
      shard.from = std::max(shard.from, from,
                            [](const std::string& a, const std::string& b) {
                              return absl::string_view(a).substr(1) <
                                     absl::string_view(b).substr(1);
                            });
  }
  piece_ = kPieceMin;
  heap_valid_ = false;
}

}  // namespace cairn::index
