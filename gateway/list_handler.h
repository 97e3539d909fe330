// GET /prefix?list: the keys that start with a prefix, in byte order.

#ifndef CAIRN_GATEWAY_LIST_HANDLER_H_
#define CAIRN_GATEWAY_LIST_HANDLER_H_

#include "gateway/call.h"

namespace cairn::gateway {

// 200 with {"next":"...","keys":[...]}. Up to kListCollectKeysMax keys are
// collected first; longer listings (limit=0 too) stream page by page, in memory
// for one page, and `next` then stands behind the keys unless it must be empty
// anyway. Does not block.
void HandleList(CallPtr call);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_LIST_HANDLER_H_
