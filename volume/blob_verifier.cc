#include "volume/blob_verifier.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/status.h"
#include "proto/convert.h"

namespace cairn::volume {
namespace {

using google::protobuf::util::MessageDifferencer;

v1::VerifiedBlob Result(v1::BlobHealth health, absl::string_view why) {
  v1::VerifiedBlob result;
  result.set_health(health);
  result.set_why(std::string(why));
  return result;
}

v1::VerifiedBlob Corrupt(absl::string_view why) {
  return Result(v1::BLOB_HEALTH_CORRUPT, why);
}

// kNotFound, kDataLoss: of the blob itself. Else the disk is in the way.
v1::VerifiedBlob FromError(const absl::Status& status) {
  if (absl::IsNotFound(status)) {
    return Result(v1::BLOB_HEALTH_MISSING, "there is no such file");
  }
  return Result(absl::IsDataLoss(status) ? v1::BLOB_HEALTH_CORRUPT
                                         : v1::BLOB_HEALTH_UNREADABLE,
                status.message());
}

absl::StatusOr<uint64_t> HashOf(BlobStore* store,
                                const BlobStore::OpenBlob& blob,
                                const std::function<bool()>& go_on) {
  base::Xxh3Hasher hasher;
  std::string piece;
  for (int64_t offset = 0; offset < blob.size_bytes;) {
    if (!go_on()) return absl::CancelledError("nobody waits for it");
    RETURN_IF_ERROR(store->Read(
        blob, offset, std::min(base::kPieceBytes, blob.size_bytes - offset),
        &piece));
    if (piece.empty()) return absl::DataLossError("the file became shorter");
    hasher.Update(piece);
    offset += static_cast<int64_t>(piece.size());
  }
  return hasher.Finish();
}

}  // namespace

v1::VerifiedBlob VerifyBlob(BlobStore* store, const v1::ExpectedBlob& expected,
                            bool attributes_only,
                            const std::function<bool()>& go_on) {
  const auto stat = store->Stat(expected.blob());
  if (!stat.ok()) return FromError(stat.status());
  if (expected.blob().tombstone()) {
    return stat->whole() ? Result(v1::BLOB_HEALTH_GOOD, "")
                         : Corrupt("it is damaged");
  }
  const auto blob = store->Open(expected.blob());
  if (!blob.ok()) return FromError(blob.status());
  if (blob->size_bytes != expected.size_bytes()) {
    return Corrupt(absl::StrCat("it has ", blob->size_bytes,
                                " bytes instead of ", expected.size_bytes()));
  }
  if (!stat->whole()) return Corrupt("its xattr is damaged");
  if (stat->digest().xxh3() != expected.digest().xxh3() ||
      stat->digest().md5() != expected.digest().md5()) {
    return Corrupt("its xattr has other hashes than the index");
  }
  if (!MessageDifferencer::Equals(stat->metadata(), expected.metadata())) {
    return Corrupt("its xattr has another type or metadata than the index");
  }
  if (attributes_only) return Result(v1::BLOB_HEALTH_GOOD, "");
  const auto hash = HashOf(store, *blob, go_on);
  if (!hash.ok()) return FromError(hash.status());
  if (*hash != expected.digest().xxh3()) {
    return Corrupt("its bytes do not match their hash");
  }
  return Result(v1::BLOB_HEALTH_GOOD, "");
}

}  // namespace cairn::volume
