#include "index/redis/scripts.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/hash.h"

namespace cairn::index {
namespace {

constexpr absl::string_view kPlain = "#!lua\n";
constexpr absl::string_view kAllowOom = "#!lua flags=allow-oom\n";

// Of the first shard alone: the others of one script are in the same Redis.
constexpr absl::string_view kCheckShard =
    "if redis.call('GET', KEYS[6]) ~= ARGV[1] then return 'LOST' end\n";
constexpr absl::string_view kCheckMeta =
    "if redis.call('HGET', KEYS[1], 'index') ~= ARGV[1] then "
    "return 'LOST' end\n";

// Puts ARGV[first] ... ARGV[last] into the queue of the shard whose names come
// after KEYS[shard], counting by volume those that are new.
constexpr absl::string_view kAddRemovals = R"(
local function add_removals(shard, first, last)
  for i = first, last do
    if redis.call('ZADD', KEYS[shard + 3], 0, ARGV[i]) == 1 then
      redis.call('HINCRBY', KEYS[shard + 5], string.sub(ARGV[i], 1, 4), 1)
    end
  end
end
)";

// Takes ARGV[first] ... ARGV[last] out of it.
constexpr absl::string_view kTakeRemovals = R"(
local function take_removals(shard, first, last)
  for i = first, last do
    if redis.call('ZREM', KEYS[shard + 3], ARGV[i]) == 1 then
      local volume = string.sub(ARGV[i], 1, 4)
      if redis.call('HINCRBY', KEYS[shard + 5], volume, -1) == 0 then
        redis.call('HDEL', KEYS[shard + 5], volume)
      end
    end
  end
end
)";

// ARGV[at + 1] is a key's first argument: scripts.h has their numbers. Its
// entries of the queue end at `taken` and at `added`.
constexpr absl::string_view kCommit = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function commit(shard, at, taken, added)
  if now < tonumber(ARGV[at + 2]) or now > tonumber(ARGV[at + 3]) then
    return 'LATE'
  end
  for i = at + 15, taken do
    if not redis.call('ZSCORE', KEYS[shard + 3], ARGV[i]) then
      return 'MISS'
    end
  end
  local records = KEYS[shard + 1]
  if ARGV[at + 4] == '' then
    if redis.call('ZLEXCOUNT', records, ARGV[at + 5], ARGV[at + 6]) ~= 0 then
      return 'MISS'
    end
  elseif redis.call('ZREM', records, ARGV[at + 4]) == 0 then
    return 'MISS'
  end
  redis.call('ZADD', records, 0, ARGV[at + 7])
  local op = ARGV[at + 9]
  if op == '=' then
    redis.call('HSET', KEYS[shard + 2], ARGV[at + 8], ARGV[at + 10])
  elseif op == '-' then
    redis.call('HDEL', KEYS[shard + 2], ARGV[at + 8])
  end
  local out, new = ARGV[at + 11], ARGV[at + 12]
  if out ~= '' then redis.call('ZREM', KEYS[shard + 4], out) end
  if new ~= '' then redis.call('ZADD', KEYS[shard + 4], 0, new) end
  take_removals(shard, at + 15, taken)
  add_removals(shard, taken + 1, added)
  return 'DONE'
end
local answers = {}
local at = 1
while at < #ARGV do
  local taken = at + 14 + tonumber(ARGV[at + 13])
  local added = taken + tonumber(ARGV[at + 14])
  answers[#answers + 1] = commit(tonumber(ARGV[at + 1]), at, taken, added)
  at = added
end
return answers
)";

constexpr absl::string_view kForget = R"(
if not redis.call('ZSCORE', KEYS[1], ARGV[2]) then return 'MISS' end
for _, volume in ipairs(redis.call('HKEYS', KEYS[5])) do
  local low = '[' .. volume .. ARGV[4]
  local found = redis.call('ZRANGEBYLEX', KEYS[3], low, '+', 'LIMIT', 0, 1)
  if found[1] and string.sub(found[1], 1, #low - 1) == string.sub(low, 2) then
    return 'MISS'
  end
end
redis.call('ZREM', KEYS[1], ARGV[2])
redis.call('ZREM', KEYS[4], ARGV[3])
add_removals(0, 5, #ARGV)
return 'DONE'
)";

constexpr absl::string_view kQueue = R"(
if ARGV[2] == 'ZADD' then
  add_removals(0, 3, #ARGV)
  return 'DONE'
end
take_removals(0, 3, #ARGV)
return 'DONE'
)";

constexpr absl::string_view kClear = R"(
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
return 'DONE'
)";

constexpr absl::string_view kSetMeta = R"(
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 'DONE'
)";

constexpr absl::string_view kNextNumber = R"(
return redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
)";

constexpr absl::string_view kStamp = R"(
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'LOST' end
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
redis.call('SET', KEYS[2], math.max(last, tonumber(ARGV[2])))
return 'DONE'
)";

constexpr absl::string_view kTakeOwnership = R"(
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return owner and 'DONE' or 'FREE'
)";

constexpr absl::string_view kDropOwnership = R"(
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 'DONE'
)";

RedisScript Make(std::initializer_list<absl::string_view> parts) {
  RedisScript script;
  for (const absl::string_view part : parts) {
    absl::StrAppend(&script.source, part);
  }
  script.sha1 = base::Sha1Hex(script.source);
  return script;
}

}  // namespace

const RedisScript& CommitScript() {
  static const auto& script = *new RedisScript(
      Make({kPlain, kCheckShard, kAddRemovals, kTakeRemovals, kCommit}));
  return script;
}

const RedisScript& CommitWhenFullScript() {
  static const auto& script = *new RedisScript(
      Make({kAllowOom, kCheckShard, kAddRemovals, kTakeRemovals, kCommit}));
  return script;
}

const RedisScript& ForgetScript() {
  static const auto& script =
      *new RedisScript(Make({kAllowOom, kCheckShard, kAddRemovals, kForget}));
  return script;
}

const RedisScript& QueueScript() {
  static const auto& script = *new RedisScript(
      Make({kAllowOom, kCheckShard, kAddRemovals, kTakeRemovals, kQueue}));
  return script;
}

const RedisScript& ClearScript() {
  static const auto& script =
      *new RedisScript(Make({kAllowOom, kCheckShard, kClear}));
  return script;
}

const RedisScript& SetMetaScript() {
  static const auto& script =
      *new RedisScript(Make({kAllowOom, kCheckMeta, kSetMeta}));
  return script;
}

const RedisScript& NextNumberScript() {
  static const auto& script =
      *new RedisScript(Make({kAllowOom, kCheckMeta, kNextNumber}));
  return script;
}

const RedisScript& StampScript() {
  static const auto& script = *new RedisScript(Make({kAllowOom, kStamp}));
  return script;
}

const RedisScript& DropOwnershipScript() {
  static const auto& script =
      *new RedisScript(Make({kAllowOom, kDropOwnership}));
  return script;
}

const RedisScript& TakeOwnershipScript() {
  static const auto& script =
      *new RedisScript(Make({kAllowOom, kTakeOwnership}));
  return script;
}

}  // namespace cairn::index
