// DELETE: a key is deleted.

#ifndef CAIRN_GATEWAY_DELETE_HANDLER_H_
#define CAIRN_GATEWAY_DELETE_HANDLER_H_

#include "gateway/call.h"

namespace cairn::gateway {

// 204 once the key can never come back; 404 if there was none; 412. Does not
// block.
void HandleDelete(CallPtr call);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_DELETE_HANDLER_H_
