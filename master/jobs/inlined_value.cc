#include "master/jobs/inlined_value.h"

#include <algorithm>
#include <cstdint>

#include "base/hash.h"

namespace cairn::master {

bool HasGoodValue(const index::Found& found) {
  const v1::Record& record = found.record;
  return found.has_value && !record.tombstone() &&
         static_cast<int64_t>(found.value.size()) == record.size_bytes() &&
         base::Xxh3(found.value) == record.digest().xxh3();
}

v1::SmallPutOp PutOf(const v1::BlobId& blob, const v1::Record& record,
                     const std::string& value, bool committed) {
  v1::SmallPutOp op;
  *op.mutable_blob() = blob;
  op.set_data(value);
  *op.mutable_digest() = record.digest();
  *op.mutable_metadata() = record.metadata();
  op.set_replicas(std::max(1, record.replicas_size()));
  op.set_durability(v1::DURABILITY_FSYNC);
  op.set_committed(committed);
  return op;
}

}  // namespace cairn::master
