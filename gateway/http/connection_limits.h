// Counts connections, all and for each client address, over all reactors.

#ifndef CAIRN_GATEWAY_HTTP_CONNECTION_LIMITS_H_
#define CAIRN_GATEWAY_HTTP_CONNECTION_LIMITS_H_

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace cairn::http {

enum class Admission {
  kServe,
  kRefuse,  // Above a limit: tell so, and close.
  kDrop,    // And there are too many of those, too.
};

// Thread safety: any method from any thread.
class ConnectionLimits {
 public:
  ConnectionLimits(int connections_max, int connections_per_ip_max);

  // Counts a connection from `ip`, unless kDrop.
  Admission Admit(absl::string_view ip);
  // Takes back an Admit() that said `admission`.
  void Release(absl::string_view ip, Admission admission);

  // Those counted, refused ones included.
  int64_t connections() const;
  // Blocks until none is left, at most `timeout`. False: some are left.
  bool WaitForNone(absl::Duration timeout);

 private:
  const int connections_max_;
  const int connections_per_ip_max_;

  mutable base::Mutex mu_;
  base::CondVar changed_;
  int served_ ABSL_GUARDED_BY(mu_) = 0;
  int refused_ ABSL_GUARDED_BY(mu_) = 0;
  absl::flat_hash_map<std::string, int> served_by_ip_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::http

#endif  // CAIRN_GATEWAY_HTTP_CONNECTION_LIMITS_H_
