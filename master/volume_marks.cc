#include "master/volume_marks.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

// "0a1b2c3d=17 0a1b2c3e=19".
constexpr char kMetaName[] = "volume_marks";

}  // namespace

absl::StatusOr<std::unique_ptr<VolumeMarks>> VolumeMarks::Open(
    index::IndexStore* index) {
  std::unique_ptr<VolumeMarks> marks(new VolumeMarks(index));
  const absl::StatusOr<std::string> stored = index->GetMeta(kMetaName);
  if (absl::IsNotFound(stored.status())) return marks;
  RETURN_IF_ERROR(stored.status());
  base::MutexLock lock(&marks->mu_);
  for (const auto one : absl::StrSplit(*stored, ' ', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(one, absl::MaxSplits('=', 1));
    uint32_t id = 0;
    int64_t mark = 0;
    // Lost ones are noted again by the next heartbeats.
    if (!absl::SimpleHexAtoi(parts.first, &id) ||
        !absl::SimpleAtoi(parts.second, &mark)) {
      continue;
    }
    marks->marks_[id] = mark;
  }
  return marks;
}

int64_t VolumeMarks::Of(uint32_t volume_id) {
  base::MutexLock lock(&mu_);
  const auto it = marks_.find(volume_id);
  return it == marks_.end() ? 0 : it->second;
}

void VolumeMarks::Note(uint32_t volume_id, int64_t mark) {
  base::MutexLock lock(&mu_);
  int64_t& known = marks_[volume_id];
  if (mark <= known) return;
  known = mark;
  changed_ = true;
}

absl::Status VolumeMarks::Store() {
  std::string text;
  {
    base::MutexLock lock(&mu_);
    if (!changed_) return absl::OkStatus();
    changed_ = false;
    for (const auto& [id, mark] : marks_) {
      absl::StrAppend(&text, text.empty() ? "" : " ", VolumeIdText(id), "=",
                      mark);
    }
  }
  const absl::Status stored = index_->SetMeta(kMetaName, text);
  if (stored.ok()) return stored;
  base::MutexLock lock(&mu_);
  changed_ = true;
  return stored;
}

}  // namespace cairn::master
