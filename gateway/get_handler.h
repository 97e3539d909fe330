// GET and HEAD of a value.

#ifndef CAIRN_GATEWAY_GET_HANDLER_H_
#define CAIRN_GATEWAY_GET_HANDLER_H_

#include "gateway/call.h"

namespace cairn::gateway {

// HEAD: 200. GET: 200 or 206 when the value came with its record or is
// streamed through the gateway, else 302 to a replica's nginx. Streamed are:
// everything under --reads=proxy, values whose type a URL cannot carry,
// requests with If-Match or If-Unmodified-Since (nginx would answer them
// otherwise), and readers whom a volume sent back: for those a second miss
// must not happen, however fast the value is being replaced. Does not block.
void HandleGet(CallPtr call);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_GET_HANDLER_H_
