// Names and bytes of the Redis index that are its own: shards, and the members
// of a shard's sorted set of records. docs/index_schema.md specifies them.

#ifndef CAIRN_INDEX_REDIS_SHARD_ENCODING_H_
#define CAIRN_INDEX_REDIS_SHARD_ENCODING_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::index {

// Enough that a large cluster spreads them well, few enough that a listing can
// ask all of them at once. Part of the format.
inline constexpr int kShards = 256;

int ShardOf(absl::string_view key);

// The names in Redis. All of one shard have one hash tag, so that a script may
// use them together.
struct ShardNames {
  std::string records;     // ZSET: key and record in one member.
  std::string values;      // HASH: key to version and inlined value.
  std::string removals;    // ZSET: entries of the removal queue.
  std::string tombstones;  // ZSET: entries of the list of tombstones.
  std::string volumes;     // HASH: volume id to its entries in `removals`.
  std::string index_id;    // Which index this is: gone if Redis was emptied.
};
const ShardNames& NamesOf(int shard);
// All six, in that order: the KEYS of a script.
std::vector<std::string> KeysOf(const ShardNames& names);
// In a Redis Cluster, beside these: the number of the last fact when the shard
// was last known to be whole. Not among a script's KEYS.
std::string StampNameOf(int shard);
// The name that tells which index it is, on the server that has `name`: the
// shard's `index_id`, or kMetaName.
std::string IdNameBeside(absl::string_view name);
inline constexpr char kMetaName[] = "cairn:{meta}";
inline constexpr char kOwnerName[] = "cairn:{meta}:owner";

// A member is the key with its bytes 00 and 01 escaped, a 00, the record. So
// members sort as keys do and all of one key stand together.
std::string EscapeKey(absl::string_view key);
std::string EncodeMember(absl::string_view key, const v1::Record& record);
// kDataLoss: not a member.
absl::Status DecodeMember(absl::string_view member, std::string* key,
                          v1::Record* record);
// Without parsing the record. "" if it is not a member.
std::string KeyOfMember(absl::string_view member);
bool IsTombstoneMember(absl::string_view member);
// Bounds of ZRANGEBYLEX around the one member of a key.
std::string MemberMin(absl::string_view key);
std::string MemberMax(absl::string_view key);

// 12 bytes, so that a value is never taken for that of another version.
std::string EncodeVersion(const v1::Version& version);

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_SHARD_ENCODING_H_
