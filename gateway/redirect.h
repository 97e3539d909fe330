// Sends a reader to the nginx of a replica.

#ifndef CAIRN_GATEWAY_REDIRECT_H_
#define CAIRN_GATEWAY_REDIRECT_H_

#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "gateway/call.h"

namespace cairn::gateway {

// The absolute, signed URL of replica `replica` (index into record.replicas),
// good for kRedirectLifetime. Never log it: who has it can read the value.
// nullopt: a URL cannot carry the value's type or encoding, or the map does
// not know the volume's secret: stream it instead.
absl::optional<std::string> RedirectUrl(const Call& call,
                                        const v1::ClusterMap& map,
                                        const v1::Record& record, int replica);

// False: nginx would answer the conditions of `head` otherwise than
// EvaluateConditions() and IfRangeHolds() do. It does not see our ETag when it
// checks If-Match, refuses a condition that stands on two lines, and reads
// dates that are none.
bool NginxReadsAlike(const http::RequestHead& head);

// The host:port under which `head` reached us, for the way back: its Host if
// that is a plain host[:port] or [v6][:port], else `fallback`.
std::string ReturnAddress(const http::RequestHead& head,
                          absl::string_view fallback);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_REDIRECT_H_
