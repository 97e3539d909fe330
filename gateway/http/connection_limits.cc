#include "gateway/http/connection_limits.h"

#include "absl/time/clock.h"
#include "base/limits.h"

namespace cairn::http {

ConnectionLimits::ConnectionLimits(int connections_max,
                                   int connections_per_ip_max)
    : connections_max_(connections_max),
      connections_per_ip_max_(connections_per_ip_max) {}

Admission ConnectionLimits::Admit(absl::string_view ip) {
  base::MutexLock lock(&mu_);
  if (served_ < connections_max_) {
    int& of_ip = served_by_ip_[ip];
    if (of_ip < connections_per_ip_max_) {
      ++of_ip;
      ++served_;
      return Admission::kServe;
    }
    if (of_ip == 0) served_by_ip_.erase(ip);
  }
  if (refused_ >= base::kRefusedConnectionsMax) return Admission::kDrop;
  ++refused_;
  return Admission::kRefuse;
}

void ConnectionLimits::Release(absl::string_view ip, Admission admission) {
  base::MutexLock lock(&mu_);
  if (admission == Admission::kRefuse) {
    --refused_;
  } else if (admission == Admission::kServe) {
    --served_;
    const auto it = served_by_ip_.find(ip);
    if (it != served_by_ip_.end() && --it->second == 0) {
      served_by_ip_.erase(it);
    }
  }
  if (served_ + refused_ == 0) changed_.SignalAll();
}

int64_t ConnectionLimits::connections() const {
  base::MutexLock lock(&mu_);
  return served_ + refused_;
}

bool ConnectionLimits::WaitForNone(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  base::MutexLock lock(&mu_);
  while (served_ + refused_ > 0) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    changed_.WaitFor(&mu_, left);
  }
  return true;
}

}  // namespace cairn::http
