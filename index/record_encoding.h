// The bytes of what an index holds, the same in every backend.
// docs/index_schema.md is the specification: what is stored must never change
// under a format number.

#ifndef CAIRN_INDEX_RECORD_ENCODING_H_
#define CAIRN_INDEX_RECORD_ENCODING_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "index/index_store.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::index {

// First byte of a record: tells a scan without parsing what to pass over.
inline constexpr char kValueRecord = '\x01';
inline constexpr char kTombstoneRecord = '\x02';
// First byte of an inlined value.
inline constexpr char kInlinedValue = '\x01';

std::string EncodeRecord(const v1::Record& record);
// kDataLoss: not a record.
absl::Status DecodeRecord(absl::string_view bytes, v1::Record* record);
bool IsTombstone(absl::string_view record_bytes);

// Big-endian, so that bytes sort as numbers do.
std::string EncodeNumber(int64_t number);
// kDataLoss: not 8 bytes.
absl::StatusOr<int64_t> DecodeNumber(absl::string_view bytes);

// Begins the entries of one volume in the removal queue, and those of one key
// on that volume.
std::string RemovalPrefix(uint32_t volume_id);
std::string RemovalPrefix(uint32_t volume_id, absl::string_view key);
std::string EncodeRemoval(const Removal& removal);
absl::StatusOr<Removal> DecodeRemoval(absl::string_view bytes);

// Entries of the list of tombstones sort by time, then key.
std::string EncodeTombstone(int64_t time_ms, absl::string_view key);
struct TombstoneEntry {
  int64_t time_ms = 0;
  std::string key;
};
absl::StatusOr<TombstoneEntry> DecodeTombstone(absl::string_view bytes);

}  // namespace cairn::index

#endif  // CAIRN_INDEX_RECORD_ENCODING_H_
