// One value on its way out through StoreService.Get.

#ifndef CAIRN_MASTER_VALUE_GET_H_
#define CAIRN_MASTER_VALUE_GET_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "client/store_client.h"
#include "proto/cairn/v1/store.pb.h"

namespace cairn::master {

// Sends the value, its stat with the first piece; goes on with the next replica
// where one fails, and looks the key up again if it was replaced before the
// first piece. Blocks until all is sent. `send` returns false when the client
// is gone. kDataLoss: all was sent, but a whole value does not match its hash.
absl::Status GetValue(client::StoreClient* store, const v1::GetRequest& request,
                      const std::string& request_id,
                      const std::function<bool(const v1::GetResponse&)>& send);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_VALUE_GET_H_
