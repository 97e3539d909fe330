// A clock that only goes forward: for how long something took or is good.

#ifndef CAIRN_BASE_MONOTONIC_H_
#define CAIRN_BASE_MONOTONIC_H_

#include <chrono>
#include <cstdint>

namespace cairn::base {

// Milliseconds since some moment before the process began.
inline int64_t MonotonicMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace cairn::base

#endif  // CAIRN_BASE_MONOTONIC_H_
