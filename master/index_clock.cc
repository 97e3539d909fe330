#include "master/index_clock.h"

#include <time.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "base/limits.h"
#include "base/status.h"

namespace cairn::master {
namespace {

constexpr char kMetaName[] = "clock";
const int64_t kReserveMs = absl::ToInt64Milliseconds(base::kClockReserve);

int64_t ReadClock(clockid_t id) {
  timespec now;
  clock_gettime(id, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

// "<mark> <lead over the wall clock>", both in milliseconds.
absl::Status Parse(const std::string& text, int64_t* reserved_ms,
                   int64_t* lead_ms) {
  const std::vector<std::string> parts = absl::StrSplit(text, ' ');
  if (parts.size() == 2 && absl::SimpleAtoi(parts[0], reserved_ms) &&
      absl::SimpleAtoi(parts[1], lead_ms)) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat("the index's clock reads \"", text,
                   "\", which is not a time: run `cairn rebuild`"));
}

}  // namespace

IndexClock::Sources IndexClock::SystemSources() {
  return {[] { return ReadClock(CLOCK_REALTIME); },
          [] { return ReadClock(CLOCK_BOOTTIME); }};
}

IndexClock::IndexClock(index::IndexStore* index, Sources sources)
    : index_(index), sources_(std::move(sources)) {}

absl::StatusOr<std::unique_ptr<IndexClock>> IndexClock::Open(
    index::IndexStore* index, Sources sources) {
  int64_t reserved_ms = 0;
  int64_t lead_ms = 0;
  const absl::StatusOr<std::string> stored = index->GetMeta(kMetaName);
  if (stored.ok()) {
    RETURN_IF_ERROR(Parse(*stored, &reserved_ms, &lead_ms));
  } else if (!absl::IsNotFound(stored.status())) {
    return stored.status();
  }
  std::unique_ptr<IndexClock> clock(new IndexClock(index, std::move(sources)));
  clock->start_elapsed_ms_ = clock->sources_.elapsed_ms();
  const int64_t start_ms =
      std::max(reserved_ms, clock->sources_.wall_ms() + lead_ms);
  {
    base::MutexLock lock(&clock->mu_);
    clock->start_ms_ = start_ms;
  }
  RETURN_IF_ERROR(clock->Store(start_ms + kReserveMs));
  return clock;
}

int64_t IndexClock::NowMs() {
  const int64_t elapsed = sources_.elapsed_ms() - start_elapsed_ms_;
  base::MutexLock lock(&mu_);
  return std::min(start_ms_ + elapsed, reserved_ms_);
}

absl::Status IndexClock::Reserve() {
  const int64_t now = NowMs();
  {
    base::MutexLock lock(&mu_);
    if (now + kReserveMs / 2 < reserved_ms_) return absl::OkStatus();
  }
  // From the real time: while the clock stood still it fell behind.
  return Store(FreeMs() + kReserveMs);
}

absl::Status IndexClock::AdvanceTo(int64_t ms) {
  const int64_t behind_ms = ms - FreeMs();
  if (behind_ms <= 0) return absl::OkStatus();
  {
    base::MutexLock lock(&mu_);
    start_ms_ += behind_ms;
  }
  return Store(FreeMs() + kReserveMs);
}

int64_t IndexClock::FreeMs() {
  const int64_t elapsed = sources_.elapsed_ms() - start_elapsed_ms_;
  base::MutexLock lock(&mu_);
  return start_ms_ + elapsed;
}

absl::Status IndexClock::Release() {
  const int64_t now = NowMs();
  {
    base::MutexLock lock(&mu_);
    reserved_ms_ = now;
  }
  return Store(now);
}

absl::Status IndexClock::Store(int64_t reserved_ms) {
  const int64_t lead = std::max<int64_t>(0, FreeMs() - sources_.wall_ms());
  RETURN_IF_ERROR(
      index_->SetMeta(kMetaName, absl::StrCat(reserved_ms, " ", lead)));
  base::MutexLock lock(&mu_);
  reserved_ms_ = reserved_ms;
  return absl::OkStatus();
}

}  // namespace cairn::master
