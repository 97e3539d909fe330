#include "index/redis/shard_encoding.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/hash.h"
#include "index/record_encoding.h"

namespace cairn::index {
namespace {

constexpr char kEnd = '\x00';
constexpr char kEscape = '\x01';

std::vector<ShardNames> MakeNames() {
  std::vector<ShardNames> names(kShards);
  for (int shard = 0; shard < kShards; ++shard) {
    const std::string start =
        absl::StrCat("cairn:{", absl::Hex(shard, absl::kZeroPad2), "}:");
    names[shard].records = start + "records";
    names[shard].values = start + "values";
    names[shard].removals = start + "removals";
    names[shard].tombstones = start + "tombstones";
    names[shard].volumes = start + "volumes";
    names[shard].index_id = start + "index";
  }
  return names;
}

void AppendBigEndian(uint64_t number, int bytes, std::string* out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(number >> shift));
  }
}

}  // namespace

int ShardOf(absl::string_view key) {
  return static_cast<int>(base::Xxh3(key) % kShards);
}

const ShardNames& NamesOf(int shard) {
  static const auto& names = *new std::vector<ShardNames>(MakeNames());
  return names[shard];
}

std::vector<std::string> KeysOf(const ShardNames& names) {
  return {names.records,    names.values,  names.removals,
          names.tombstones, names.volumes, names.index_id};
}

std::string StampNameOf(int shard) {
  return absl::StrCat("cairn:{", absl::Hex(shard, absl::kZeroPad2), "}:stamp");
}

std::string IdNameBeside(absl::string_view name) {
  if (absl::StartsWith(name, kMetaName)) return kMetaName;
  return absl::StrCat(name.substr(0, name.find('}')), "}:index");
}

std::string EscapeKey(absl::string_view key) {
  std::string out;
  out.reserve(key.size() + 100);  // A record follows.
  for (const char c : key) {
    if (c == kEnd || c == kEscape) {
      out.push_back(kEscape);
      out.push_back(static_cast<char>(c + 1));
    } else {
      out.push_back(c);
    }
  }
  return out;
}

std::string EncodeMember(absl::string_view key, const v1::Record& record) {
  std::string out = EscapeKey(key);
  out.push_back(kEnd);
  out += EncodeRecord(record);
  return out;
}

std::string KeyOfMember(absl::string_view member) {
  std::string key;
  for (size_t i = 0; i < member.size() && member[i] != kEnd; ++i) {
    if (member[i] == kEscape && i + 1 < member.size()) {
      key.push_back(static_cast<char>(member[++i] - 1));
    } else {
      key.push_back(member[i]);
    }
  }
  return key;
}

absl::Status DecodeMember(absl::string_view member, std::string* key,
                          v1::Record* record) {
  const size_t end = member.find(kEnd);
  if (end == absl::string_view::npos) {
    return absl::DataLossError("the index holds a damaged member");
  }
  if (key != nullptr) *key = KeyOfMember(member);
  return DecodeRecord(member.substr(end + 1), record);
}

bool IsTombstoneMember(absl::string_view member) {
  const size_t end = member.find(kEnd);
  return end != absl::string_view::npos && IsTombstone(member.substr(end + 1));
}

std::string MemberMin(absl::string_view key) {
  return absl::StrCat("[", EscapeKey(key), absl::string_view(&kEnd, 1));
}

std::string MemberMax(absl::string_view key) {
  return absl::StrCat("(", EscapeKey(key), absl::string_view(&kEscape, 1));
}

std::string EncodeVersion(const v1::Version& version) {
  std::string out;
  AppendBigEndian(version.time_ms(), 6, &out);
  AppendBigEndian(version.counter(), 2, &out);
  AppendBigEndian(version.writer_id(), 4, &out);
  return out;
}

}  // namespace cairn::index
