#include "master/key_lister.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/limits.h"

namespace cairn::master {

absl::StatusOr<v1::ListKeysResponse> ListKeys(
    index::IndexStore* index, const v1::ListKeysRequest& request) {
  if (request.page_size() < 0 || request.page_size() > base::kListPageKeysMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "page_size=", request.page_size(), ": give 1 to ",
        base::kListPageKeysMax, ", or 0 for ", base::kListPageKeysDefault));
  }
  index::IndexStore::ScanOptions options;
  options.prefix = request.prefix();
  options.start = request.start();
  options.delimiter = request.delimiter();
  options.with_records = request.with_records();
  options.with_key_block = request.with_key_block();
  options.limit = request.page_size() == 0 ? base::kListPageKeysDefault
                                           : request.page_size();
  // A page may be shorter than asked: `next` says where to go on.
  if (options.with_records) {
    options.limit = std::min<int64_t>(options.limit, base::kListPageRecordsMax);
  }
  auto page = index->Scan(options);
  if (!page.ok()) {
    return absl::UnavailableError(
        absl::StrCat("the index does not answer: ", page.status().message()));
  }
  v1::ListKeysResponse response;
  response.set_keys_count(static_cast<int32_t>(page->keys_count));
  response.set_key_block(std::move(page->key_block));
  for (std::string& key : page->keys) response.add_keys(std::move(key));
  for (v1::Record& record : page->records) {
    *response.add_records() = std::move(record);
  }
  response.set_next(std::move(page->next));
  return response;
}

}  // namespace cairn::master
