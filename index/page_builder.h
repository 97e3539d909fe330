// PageBuilder makes a page of a listing from keys that come in byte order:
// limit, delimiter and `next` are handled here, once for every backend.

#ifndef CAIRN_INDEX_PAGE_BUILDER_H_
#define CAIRN_INDEX_PAGE_BUILDER_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "index/index_store.h"

namespace cairn::index {

// The first byte string after all that begin with `prefix`; nothing when
// there is none ("" and prefixes of 0xff bytes alone).
std::optional<std::string> AfterPrefix(absl::string_view prefix);

// Not thread-safe. Lives for one page; `options` must outlive it.
class PageBuilder {
 public:
  explicit PageBuilder(const IndexStore::ScanOptions& options)
      : options_(options) {}

  // Where the scan starts, and where it ends (exclusive; nothing: at the end).
  std::string First() const;
  std::optional<std::string> End() const {
    return AfterPrefix(options_.prefix);
  }

  enum class Then {
    kNext,  // Go on with the following key.
    kSkip,  // Go on with the first key that is not below skip_to().
    kDone,  // The page is full, or nothing can follow.
  };
  // Takes a key of the range that has a value. `record` is called only when
  // the page needs it.
  Then Add(absl::string_view key, const std::function<v1::Record()>& record);
  const std::string& skip_to() const { return skip_to_; }

  IndexStore::Page Take() { return std::move(page_); }

 private:
  const IndexStore::ScanOptions& options_;
  IndexStore::Page page_;
  std::string skip_to_;
};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_PAGE_BUILDER_H_
