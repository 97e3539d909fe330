#include "index/record_encoding.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace cairn::index {
namespace {

constexpr int kVolumeBytes = 4;
constexpr int kLengthBytes = 2;
// Behind the key of a removal: subvolume, version (6 + 2 + 4), kind.
constexpr int kRemovalTailBytes = 2 + 12 + 1;

void AppendBigEndian(uint64_t number, int bytes, std::string* out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(number >> shift));
  }
}

// Takes the first `bytes` bytes off `rest`, which must have them.
uint64_t TakeBigEndian(int bytes, absl::string_view* rest) {
  uint64_t number = 0;
  for (int i = 0; i < bytes; ++i) {
    number = (number << 8) | static_cast<unsigned char>((*rest)[i]);
  }
  rest->remove_prefix(bytes);
  return number;
}

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("the index holds a damaged ", what));
}

}  // namespace

std::string EncodeRecord(const v1::Record& record) {
  std::string out(1, record.tombstone() ? kTombstoneRecord : kValueRecord);
  record.AppendToString(&out);
  return out;
}

absl::Status DecodeRecord(absl::string_view bytes, v1::Record* record) {
  if (bytes.empty() ||
      (bytes[0] != kValueRecord && bytes[0] != kTombstoneRecord) ||
      !record->ParseFromArray(bytes.data() + 1,
                              static_cast<int>(bytes.size()) - 1) ||
      record->tombstone() != IsTombstone(bytes)) {
    return Damaged("record");
  }
  return absl::OkStatus();
}

bool IsTombstone(absl::string_view record_bytes) {
  return !record_bytes.empty() && record_bytes[0] == kTombstoneRecord;
}

std::string EncodeNumber(int64_t number) {
  std::string out;
  AppendBigEndian(static_cast<uint64_t>(number), sizeof(number), &out);
  return out;
}

absl::StatusOr<int64_t> DecodeNumber(absl::string_view bytes) {
  if (bytes.size() != sizeof(int64_t)) return Damaged("number");
  return static_cast<int64_t>(TakeBigEndian(sizeof(int64_t), &bytes));
}

std::string RemovalPrefix(uint32_t volume_id) {
  std::string out;
  AppendBigEndian(volume_id, kVolumeBytes, &out);
  return out;
}

std::string RemovalPrefix(uint32_t volume_id, absl::string_view key) {
  std::string out;
  out.reserve(kVolumeBytes + kLengthBytes + key.size() + kRemovalTailBytes);
  AppendBigEndian(volume_id, kVolumeBytes, &out);
  AppendBigEndian(key.size(), kLengthBytes, &out);
  out.append(key.data(), key.size());
  return out;
}

std::string EncodeRemoval(const Removal& removal) {
  const v1::BlobId& blob = removal.blob;
  std::string out = RemovalPrefix(removal.volume_id, blob.key());
  AppendBigEndian(blob.subvolume(), 2, &out);
  AppendBigEndian(blob.version().time_ms(), 6, &out);
  AppendBigEndian(blob.version().counter(), 2, &out);
  AppendBigEndian(blob.version().writer_id(), 4, &out);
  out.push_back(blob.tombstone() ? 1 : 0);
  return out;
}

absl::StatusOr<Removal> DecodeRemoval(absl::string_view bytes) {
  if (bytes.size() < kVolumeBytes + kLengthBytes + kRemovalTailBytes) {
    return Damaged("removal");
  }
  Removal removal;
  removal.volume_id =
      static_cast<uint32_t>(TakeBigEndian(kVolumeBytes, &bytes));
  const size_t key_bytes = TakeBigEndian(kLengthBytes, &bytes);
  if (bytes.size() != key_bytes + kRemovalTailBytes) return Damaged("removal");
  v1::BlobId& blob = removal.blob;
  blob.set_key(bytes.data(), key_bytes);
  bytes.remove_prefix(key_bytes);
  blob.set_subvolume(static_cast<int32_t>(TakeBigEndian(2, &bytes)));
  blob.mutable_version()->set_time_ms(
      static_cast<int64_t>(TakeBigEndian(6, &bytes)));
  blob.mutable_version()->set_counter(
      static_cast<int32_t>(TakeBigEndian(2, &bytes)));
  blob.mutable_version()->set_writer_id(
      static_cast<uint32_t>(TakeBigEndian(4, &bytes)));
  blob.set_tombstone(TakeBigEndian(1, &bytes) == 1);
  return removal;
}

std::string EncodeTombstone(int64_t time_ms, absl::string_view key) {
  std::string out = EncodeNumber(time_ms);
  out.append(key.data(), key.size());
  return out;
}

absl::StatusOr<TombstoneEntry> DecodeTombstone(absl::string_view bytes) {
  if (bytes.size() <= sizeof(int64_t)) return Damaged("tombstone");
  TombstoneEntry entry;
  ASSIGN_OR_RETURN(entry.time_ms,
                   DecodeNumber(bytes.substr(0, sizeof(int64_t))));
  entry.key = std::string(bytes.substr(sizeof(int64_t)));
  return entry;
}

}  // namespace cairn::index
