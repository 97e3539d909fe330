// Between the messages on the wire and the types of base/.

#ifndef CAIRN_PROTO_CONVERT_H_
#define CAIRN_PROTO_CONVERT_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/hash.h"
#include "base/version.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn {

base::Version FromProto(const v1::Version& version);
v1::Version ToProto(const base::Version& version);
void SetDigest(const base::Digest& digest, v1::Digest* out);
// A short or long md5 yields zeros there: it then matches nothing.
base::Digest FromProto(const v1::Digest& digest);

// Bytes of type, encoding, and user names and values together.
int64_t MetadataBytes(const v1::ValueMetadata& metadata);
// kInvalidArgument when they are above kMetadataBytesMax, or a name is not a
// lower-case HTTP token, or a value holds control bytes.
absl::Status CheckMetadata(const v1::ValueMetadata& metadata);

// code and message of OpResult and BlobOpResult as a Status.
absl::Status StatusFromCode(int code, absl::string_view message);

// "0a1b2c3d": how a volume id is written everywhere.
std::string VolumeIdText(uint32_t volume_id);
// "0a1b2c3d/2": how a subvolume is written everywhere.
std::string PlaceText(uint32_t volume_id, int subvolume);
std::string PlaceText(const v1::SubvolumeId& where);

}  // namespace cairn

#endif  // CAIRN_PROTO_CONVERT_H_
