// The scripts that change the index: each one atomic step inside Redis.
//
// Decisions are made outside, from the record that was read
// (index/commit_rules.h); a script only checks that this record is still the
// one that is there, and that not too much time has passed since.

#ifndef CAIRN_INDEX_REDIS_SCRIPTS_H_
#define CAIRN_INDEX_REDIS_SCRIPTS_H_

#include <string>

namespace cairn::index {

struct RedisScript {
  std::string source;
  std::string sha1;  // What EVALSHA takes.
};

// What scripts answer.
inline constexpr char kDone[] = "DONE";
inline constexpr char kMiss[] = "MISS";  // The record is another by now.
inline constexpr char kLate[] = "LATE";  // Redis' clock is out of the window.
inline constexpr char kLost[] = "LOST";  // This is not the index any more.

inline constexpr char kFree[] = "FREE";

// Commits several keys, each for itself. KEYS: records, values, removals,
// tombstones, volumes, index of each shard that they are in, one after the
// other. ARGV: the index's id, then for each key:
// 1 how many of KEYS come before its shard's; 2, 3 the window of Redis' clock,
// in milliseconds; 4 the member that must be there, "": none between 5 and 6;
// 7 the new member; 8 the key; 9 "=": its value becomes 10, "-": it has none,
// "": unchanged; 11 the tombstone entry to take out, 12 to put in, "": none;
// 13 how many entries leave the queue, all of which must be there, 14 how many
// enter it then; 15 ... those entries.
// Answers a list, DONE, MISS or LATE for each key in that order; or LOST.
// Refused with OOM, as a whole, while Redis is at its maxmemory.
const RedisScript& CommitScript();
// The same, also when memory is full: deletes must go on.
const RedisScript& CommitWhenFullScript();

// KEYS: those of one shard. ARGV: 1 the index's id; 2 the tombstone's member; 3
// its entry in the list; 4 what the queue's entries of this key have after the
// volume id; 5 ... removals. MISS: it has changed, or its key has entries in
// the queue.
const RedisScript& ForgetScript();

// KEYS: those of one shard. ARGV: 1 the index's id; 2 "ZADD" or "ZREM"; 3 ...
// removals.
const RedisScript& QueueScript();

// KEYS: as above, all but the index's id are emptied. ARGV: 1 that id.
const RedisScript& ClearScript();

// KEYS: the meta hash. ARGV: 1 the index's id; 2 a field; 3 its value; ...
const RedisScript& SetMetaScript();
// KEYS: the meta hash. ARGV: 1 the index's id; 2 the field. The new number.
const RedisScript& NextNumberScript();

// KEYS: index and stamp of one shard. ARGV: 1 the index's id; 2 the stamp,
// which never goes back. Changes something each time, so that WAIT has what to
// wait for.
const RedisScript& StampScript();

// KEYS: the owner's name. ARGV: 1 who asks; 2 for how many milliseconds.
// DONE: it is theirs, as before; FREE: it is theirs, and was nobody's; else who
// has it.
const RedisScript& TakeOwnershipScript();

// KEYS: the owner's name. ARGV: 1 who has it. Anybody else keeps it.
const RedisScript& DropOwnershipScript();

}  // namespace cairn::index

#endif  // CAIRN_INDEX_REDIS_SCRIPTS_H_
