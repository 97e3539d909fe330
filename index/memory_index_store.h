// An IndexStore in memory, for tests of what uses one. Forgets all when
// destroyed; obeys the same contract suite as the real ones.

#ifndef CAIRN_INDEX_MEMORY_INDEX_STORE_H_
#define CAIRN_INDEX_MEMORY_INDEX_STORE_H_

#include <memory>

#include "index/index_store.h"

namespace cairn::index {

// Its disk has 1 TiB free: options.free_bytes_min above that makes it full.
std::unique_ptr<IndexStore> NewMemoryIndexStore(
    const OpenOptions& options = OpenOptions());

}  // namespace cairn::index

#endif  // CAIRN_INDEX_MEMORY_INDEX_STORE_H_
