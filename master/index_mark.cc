#include "master/index_mark.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cairn::master {
namespace {

constexpr char kMetaName[] = "mark";

}  // namespace

absl::StatusOr<std::unique_ptr<IndexMark>> IndexMark::Open(
    index::IndexStore* index) {
  std::unique_ptr<IndexMark> mark(new IndexMark(index));
  const absl::StatusOr<std::string> stored = index->GetMeta(kMetaName);
  if (absl::IsNotFound(stored.status())) return mark;
  RETURN_IF_ERROR(stored.status());
  int64_t value = 0;
  if (!absl::SimpleAtoi(*stored, &value)) {
    return absl::DataLossError(
        absl::StrCat("the index's mark reads \"", *stored,
                     "\", which is not a number: run `cairn rebuild`"));
  }
  mark->value_.store(value);
  return mark;
}

absl::Status IndexMark::Restore(int64_t value) {
  RETURN_IF_ERROR(index_->SetMeta(kMetaName, absl::StrCat(value)));
  value_.store(value);
  return absl::OkStatus();
}

absl::Status IndexMark::Advance() {
  if (!dirty_.exchange(false)) return absl::OkStatus();
  const int64_t next = value_.load() + 1;
  const absl::Status stored = index_->SetMeta(kMetaName, absl::StrCat(next));
  if (!stored.ok()) {
    dirty_.store(true);
    return stored;
  }
  value_.store(next);
  return absl::OkStatus();
}

}  // namespace cairn::master
