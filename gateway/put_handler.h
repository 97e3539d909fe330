// PUT and POST: a value is written.

#ifndef CAIRN_GATEWAY_PUT_HANDLER_H_
#define CAIRN_GATEWAY_PUT_HANDLER_H_

#include "gateway/call.h"

namespace cairn::gateway {

// 201 (new) or 204 (replaced) once the ack rule holds; else a problem. All
// that can be refused before the body is: names and sizes, conditions, too few
// usable volumes. Bodies up to kSmallBlobBytesMax are held whole; larger ones
// stream to the agents, as fast as the slowest takes them. Does not block.
void HandlePut(CallPtr call);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_PUT_HANDLER_H_
