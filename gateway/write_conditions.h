// The conditions of a PUT, POST or DELETE, as the one atomic step of the index
// will check them, and as far as they can be answered before the body.

#ifndef CAIRN_GATEWAY_WRITE_CONDITIONS_H_
#define CAIRN_GATEWAY_WRITE_CONDITIONS_H_

#include <functional>

#include "absl/status/statusor.h"
#include "gateway/call.h"

namespace cairn::gateway {

// Gives the precondition of `call` to `done`: If-Match, If-None-Match, and
// for POST that the key is new. If-Unmodified-Since and ETags in
// If-None-Match, which the index does not know, are checked against the
// record of now, and the write is then tied to that record's ETag.
//
// `check_now`: look the key up even when the index could check everything
// later, so that a large body is not sent for nothing.
//
// kFailedPrecondition, kAlreadyExists: they do not hold. kUnavailable and
// kDeadlineExceeded: the lookup that was needed got no answer. `done` may be
// called from within.
void ResolveWriteConditions(
    const CallPtr& call, bool check_now,
    std::function<void(absl::StatusOr<v1::Precondition>)> done);

// What the client is told when the precondition of `call` did not hold.
absl::Status PreconditionFailed(const Call& call);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_WRITE_CONDITIONS_H_
