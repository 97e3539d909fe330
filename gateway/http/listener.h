// Opens the socket on which an edge listens.

#ifndef CAIRN_GATEWAY_HTTP_LISTENER_H_
#define CAIRN_GATEWAY_HTTP_LISTENER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

struct sockaddr_storage;

namespace cairn::http {

// Listens on host:port or [v6]:port, non-blocking; accepted connections inherit
// TCP_NODELAY. A port in use is an error: SO_REUSEPORT, httplib's default,
// would let two gateways share it unnoticed. Blocks while a name is resolved.
// * kInvalidArgument: not host:port, or an unknown host
// * kFailedPrecondition: the address cannot be listened on; the message names
//   it and says why
absl::StatusOr<int> Listen(absl::string_view address);

// The port of a socket from Listen().
int LocalPort(int fd);

// "127.0.0.1:4711", "[::1]:4711".
std::string FormatAddress(const sockaddr_storage& address);
// The part before the last colon.
absl::string_view HostOf(absl::string_view address);

}  // namespace cairn::http

#endif  // CAIRN_GATEWAY_HTTP_LISTENER_H_
