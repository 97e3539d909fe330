#include "index/page_builder.h"

#include <algorithm>
#include <utility>

#include "base/key_block.h"

namespace cairn::index {

std::optional<std::string> AfterPrefix(absl::string_view prefix) {
  std::string after(prefix);
  while (!after.empty() && after.back() == '\xff') after.pop_back();
  if (after.empty()) return std::nullopt;
  ++after.back();
  return after;
}

std::string PageBuilder::First() const {
  return std::max(options_.prefix, options_.start);
}

PageBuilder::Then PageBuilder::Add(absl::string_view key,
                                   const std::function<v1::Record()>& record) {
  absl::string_view entry = key;
  bool cut = false;
  if (!options_.delimiter.empty()) {
    const size_t at = key.find(options_.delimiter, options_.prefix.size());
    if (at != absl::string_view::npos) {
      entry = key.substr(0, at + options_.delimiter.size());
      cut = true;
    }
  }
  if (page_.keys_count >= options_.limit) {
    // Of a cut key the cut itself: what the next page begins with.
    page_.next = std::string(entry);
    return Then::kDone;
  }
  ++page_.keys_count;
  if (options_.with_key_block) {
    base::AppendToKeyBlock(entry, &page_.key_block);
  } else {
    page_.keys.emplace_back(entry);
  }
  if (options_.with_records) {
    page_.records.push_back(cut ? v1::Record() : record());
  }
  if (!cut) return Then::kNext;
  const std::optional<std::string> after = AfterPrefix(entry);
  if (!after.has_value()) return Then::kDone;
  skip_to_ = *after;
  return Then::kSkip;
}

}  // namespace cairn::index
