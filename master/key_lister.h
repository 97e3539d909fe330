// One page of keys, as MetadataService.ListKeys and StoreService.List give it.

#ifndef CAIRN_MASTER_KEY_LISTER_H_
#define CAIRN_MASTER_KEY_LISTER_H_

#include "absl/status/statusor.h"
#include "index/index_store.h"
#include "proto/cairn/v1/metadata.pb.h"

namespace cairn::master {

// kInvalidArgument: page_size is out of range. Blocks.
absl::StatusOr<v1::ListKeysResponse> ListKeys(
    index::IndexStore* index, const v1::ListKeysRequest& request);

}  // namespace cairn::master

#endif  // CAIRN_MASTER_KEY_LISTER_H_
