// The one extended attribute of a blob, `user.c`: what its name does not say.
// docs/disk_format.md is the specification, with offsets.

#ifndef CAIRN_VOLUME_BLOB_XATTR_H_
#define CAIRN_VOLUME_BLOB_XATTR_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/hash.h"

namespace cairn::volume {

inline constexpr char kBlobXattrName[] = "user.c";
// ext4 keeps at most 4,032 bytes of user attributes a file; the rest is for
// its own bookkeeping and for attributes of others.
inline constexpr int kBlobXattrBytesMax = 4000;

// A value of up to 68 bytes stays inside a 256-byte inode of ext4; one with a
// common type and no metadata has 41.
struct BlobXattr {
  bool tombstone = false;
  // R at the time of the write, 1 to 255.
  int replicas = 0;
  int64_t size_bytes = 0;
  base::Digest digest;
  std::string content_type;
  std::string content_encoding;
  // Ordered, so that the same blob has the same bytes on each replica.
  std::map<std::string, std::string> user;
  // Only of a key whose name carries a part of it; else empty.
  std::string key;
};

// kInvalidArgument: it has more than kBlobXattrBytesMax bytes, because there
// is too much metadata.
absl::StatusOr<std::string> EncodeBlobXattr(const BlobXattr& xattr);

// kDataLoss: not what EncodeBlobXattr() makes, or damaged. Safe for any bytes.
absl::StatusOr<BlobXattr> DecodeBlobXattr(absl::string_view bytes);

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_BLOB_XATTR_H_
