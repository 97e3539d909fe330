#include "index/redis/scripts.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/hash.h"

namespace cairn::index {
namespace {

constexpr absl::string_view kPlain = "#!lua\n";
constexpr absl::string_view kAllowOom = "#!lua flags=allow-oom\n";

constexpr absl::string_view kCheckShard =
    "if redis.call('GET', KEYS[6]) ~= ARGV[1] then return 'LOST' end\n";
constexpr absl::string_view kCheckMeta =
    "if redis.call('HGET', KEYS[1], 'index') ~= ARGV[1] then "
    "return 'LOST' end\n";

// Puts ARGV[first] ... into the queue, counting by volume those that are new.
constexpr absl::string_view kAddRemovals = R"(
local function add_removals(first)
  for i = first, #ARGV do
    if redis.call('ZADD', KEYS[3], 0, ARGV[i]) == 1 then
      redis.call('HINCRBY', KEYS[5], string.sub(ARGV[i], 1, 4), 1)
    end
  end
end
)";

constexpr absl::string_view kCommit = R"(
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now < tonumber(ARGV[2]) or now > tonumber(ARGV[3]) then return 'LATE' end
if ARGV[4] == '' then
  if redis.call('ZLEXCOUNT', KEYS[1], ARGV[5], ARGV[6]) ~= 0 then
    return 'MISS'
  end
elseif redis.call('ZREM', KEYS[1], ARGV[4]) == 0 then
  return 'MISS'
end
redis.call('ZADD', KEYS[1], 0, ARGV[7])
if ARGV[9] == '=' then
  redis.call('HSET', KEYS[2], ARGV[8], ARGV[10])
elseif ARGV[9] == '-' then
  redis.call('HDEL', KEYS[2], ARGV[8])
end
if ARGV[11] ~= '' then redis.call('ZREM', KEYS[4], ARGV[11]) end
if ARGV[12] ~= '' then redis.call('ZADD', KEYS[4], 0, ARGV[12]) end
add_removals(13)
return 'DONE'
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
add_removals(5)
return 'DONE'
)";

constexpr absl::string_view kQueue = R"(
if ARGV[2] == 'ZADD' then
  add_removals(3)
  return 'DONE'
end
for i = 3, #ARGV do
  if redis.call('ZREM', KEYS[3], ARGV[i]) == 1 then
    local volume = string.sub(ARGV[i], 1, 4)
    if redis.call('HINCRBY', KEYS[5], volume, -1) == 0 then
      redis.call('HDEL', KEYS[5], volume)
    end
  end
end
return 'DONE'
)";

constexpr absl::string_view kClear = R"(
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5])
return 'DONE'
)";

constexpr absl::string_view kSetMeta = R"(
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
return 'DONE'
)";

constexpr absl::string_view kNextNumber = R"(
return redis.call('HINCRBY', KEYS[1], ARGV[2], 1)
)";

constexpr absl::string_view kTakeOwnership = R"(
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return owner and 'DONE' or 'FREE'
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
  static const auto& script =
      *new RedisScript(Make({kPlain, kCheckShard, kAddRemovals, kCommit}));
  return script;
}

const RedisScript& CommitWhenFullScript() {
  static const auto& script =
      *new RedisScript(Make({kAllowOom, kCheckShard, kAddRemovals, kCommit}));
  return script;
}

const RedisScript& ForgetScript() {
  static const auto& script =
      *new RedisScript(Make({kAllowOom, kCheckShard, kAddRemovals, kForget}));
  return script;
}

const RedisScript& QueueScript() {
  static const auto& script =
      *new RedisScript(Make({kAllowOom, kCheckShard, kAddRemovals, kQueue}));
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

const RedisScript& TakeOwnershipScript() {
  static const auto& script =
      *new RedisScript(Make({kAllowOom, kTakeOwnership}));
  return script;
}

}  // namespace cairn::index
