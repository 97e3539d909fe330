// Every bound of Cairn, with its reason. Sizes are bytes unless named else.

#ifndef CAIRN_BASE_LIMITS_H_
#define CAIRN_BASE_LIMITS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace cairn::base {

// --- Keys and values -------------------------------------------------------

// A key with all bytes escaped (3,072) fits a request line of 8 KiB twice.
inline constexpr int64_t kKeyBytesMax = 1024;
// S3's limit; also far below ext4's 16 TiB a file.
inline constexpr int64_t kValueBytesMax = int64_t{5} << 40;
// Type, encoding and user metadata of a value together. With a 1,024-byte key
// and 60 bytes of fixed fields it stays below ext4's 4,032 bytes of xattrs,
// and, escaped in a signed URL, below nginx's 8 KiB request line.
inline constexpr int64_t kMetadataBytesMax = 2048;
// Values up to this come with the index record: one disk read less. One
// record in the index then stays well below RocksDB's 16 KiB blocks.
inline constexpr int64_t kInlineBytesDefault = 4096;
inline constexpr int64_t kInlineBytesMax = 64 << 10;
// The default where the index is Redis, which is memory; the sum is in
// docs/operations.md.
inline constexpr int64_t kInlineBytesRedisDefault = 128;
// Bodies up to this are held whole and ride in batches; larger ones stream.
// 64 in one batch make 4 MiB.
inline constexpr int64_t kSmallBlobBytesMax = 64 << 10;
// One piece of a streamed blob: large enough that a gRPC message (60 us) costs
// little beside it, small enough that 4 in flight per replica are 1 MiB.
inline constexpr int64_t kPieceBytes = 256 << 10;
inline constexpr int kPiecesInFlightMax = 4;
// What a peer may send as one piece.
inline constexpr int64_t kPieceBytesMax = 1 << 20;

// --- Cluster ---------------------------------------------------------------

inline constexpr int kReplicasMax = 16;
inline constexpr int kSubvolumesMax = 256;
inline constexpr int kVolumesMax = 1000;
// Directories of a subvolume: two hexadecimal digits.
inline constexpr int kDirectoriesPerSubvolume = 256;

inline constexpr absl::Duration kHeartbeatInterval = absl::Seconds(1);
inline constexpr int kHeartbeatsMissedMax = 3;
// How old or new a version may be when it is committed; see docs.
inline constexpr absl::Duration kVersionAgeMax = absl::Seconds(60);
inline constexpr absl::Duration kVersionAheadMax = absl::Seconds(5);
// A tombstone or an unmarked blob younger than this may belong to a write
// that is still under way: twice kVersionAgeMax.
inline constexpr absl::Duration kTombstoneAgeMin = absl::Seconds(120);
inline constexpr absl::Duration kUnmarkedAgeMax = absl::Seconds(120);

// --- Batches ---------------------------------------------------------------

// Operations in one batch message. 256 x 4 KiB inlined is 1 MiB.
inline constexpr int kBatchOpsMax = 256;
// Up to this many operations of a message an agent that syncs nothing executes
// on the thread that reads messages; more are worth a switch to the writers.
inline constexpr int kOpsHereMax = 16;
// Bytes after which a batch is sent although more operations wait.
inline constexpr int64_t kBatchBytesMax = 4 << 20;
// gRPC's receive limit on our channels: a batch and a half-MiB of framing.
inline constexpr int kGrpcMessageBytesMax = 16 << 20;
inline constexpr int kListPageKeysDefault = 1000;
inline constexpr int kListPageKeysMax = 10000;
// Operations a client may have waiting; more are shed (503).
inline constexpr int kOpsWaitingMax = 8192;

// --- Jobs --------------------------------------------------------------------

// Problems that a job's progress spells out; all are counted, and logged.
inline constexpr int kJobProblemsShown = 10;
// How often a stream of progress says how the job is.
inline constexpr absl::Duration kJobProgressInterval = absl::Milliseconds(500);
// A rebuild writes the index when it has read so many blobs or so many bytes of
// values, in whole directories: the larger a group, the less a sorted write
// costs RocksDB (docs/performance.md).
inline constexpr size_t kRebuildGroupBlobs = 8192;
inline constexpr int64_t kRebuildGroupBytes = 16 << 20;
// How often it notes how far it has got, which waits for a sync of the disk;
// a restart reads again what came after.
inline constexpr absl::Duration kRebuildNoteInterval = absl::Seconds(1);
// Keys that a verify checks in one round, and the bytes of their copies, unless
// one alone has more: what one message holds, and what a rate limit lets
// through at once.
inline constexpr int kVerifyGroupKeys = 500;
inline constexpr int64_t kVerifyGroupBytes = 8 << 20;
// The shortest round of a background verify: a shorter one would read all disks
// all the time.
inline constexpr absl::Duration kVerifyEveryMin = absl::Seconds(1);
// Blobs in one VerifyBlobs call: with keys of 1,024 bytes about 1 MiB.
inline constexpr int kVerifyBlobsMax = 1000;
// What an agent needs for a VerifyBlobs call at least, and how fast a slow
// disk reads under load.
inline constexpr absl::Duration kVerifyDeadlineMin = absl::Seconds(30);
inline constexpr int64_t kVerifyBytesPerSecondMin = 1 << 20;
// Keys whose places are planned at once: 5,000 records of 200 B are 1 MB, and
// a plan takes about 10 ms.
inline constexpr int kMovePlanKeys = 5000;
// Copies that one CopyBlobs call makes, and their bytes unless one alone has
// more: one group commit of the agent. Measured with two groups at once on a
// quiet machine, beside readers whose p99 was 1.1 to 1.5 ms without: 128 copies
// made 4,200 and 6,300 a second and a p99 5.0 and 5.5 times as long, 64 copies
// 5,200 and 5.0 times, 32 copies 2,900 and 4.6 times.
inline constexpr int kMoveGroupKeys = kBatchOpsMax / 4;
inline constexpr int64_t kMoveGroupBytes = kBatchBytesMax;
// Groups under way at once: one for each two volumes, which it keeps busy. Two
// at least, since while one is being synced the other is read; with four on
// one machine the p99 of reads was 17 to 18 ms.
inline constexpr int kMoveGroupsMin = 2;
inline constexpr int kMoveGroupsMax = 16;
// How often a key that was replaced while it was moved is planned again; the
// next round of the job takes it up then.
inline constexpr int kMovePlansMax = 4;
// A drain looks for what writes under way brought so often, at most.
inline constexpr int kDrainRoundsMax = 10;
// How long a drain waits for the last blobs to be unlinked without one going.
inline constexpr absl::Duration kDrainStallMax = absl::Seconds(120);
// A volume that is down longer than this has its copies made again elsewhere:
// longer than a restart of a machine.
inline constexpr absl::Duration kRepairAfterDefault = absl::Minutes(10);
inline constexpr absl::Duration kRepairAfterMin = absl::Seconds(1);
// What a repair that starts by itself moves in a second: half of what a
// gigabit carries, so that clients keep the other half.
inline constexpr int64_t kRepairRateDefault = int64_t{64} << 20;
// Keys with too few live copies are counted anew at most this often, and not
// for more than a tenth of the time.
inline constexpr absl::Duration kReplicaCountPause = absl::Seconds(5);

// --- Leases ----------------------------------------------------------------

// For how long a client may answer from a lookup without hearing from the
// master. A client that hangs or is cut off holds up a write of what it has
// leased for this long, once; and so does a restart of the master.
inline constexpr absl::Duration kLeaseTerm = absl::Seconds(1);
// What the master adds to it: clocks of two machines drift apart by far less
// than a thousandth.
inline constexpr absl::Duration kLeaseSlack = absl::Milliseconds(100);
// Renewed this often: three may be late before a lease runs out.
inline constexpr absl::Duration kLeaseRenewal = absl::Milliseconds(250);
// Keys one client may have leased: 65,536 names of 100 bytes are 10 MB in the
// master. Beyond it the client's leases all end and begin anew.
inline constexpr int kLeasesPerClientMax = 65536;
// What a client keeps under leases; 16,384 values of 1 KiB are 20 MB.
inline constexpr int kLeaseCacheKeysMax = 8192;
inline constexpr int64_t kLeaseCacheBytesMax = 24 << 20;

// --- Deadlines -------------------------------------------------------------

// A metadata operation, all tries together.
inline constexpr absl::Duration kMetadataDeadline = absl::Seconds(10);
// A small blob operation on an agent that answers, under load.
inline constexpr absl::Duration kBlobOpDeadline = absl::Seconds(5);
// A large upload must move a piece, and end (sync), in this time.
inline constexpr absl::Duration kBlobPieceDeadline = absl::Seconds(20);
// Reconnects: notice a restarted peer soon.
inline constexpr absl::Duration kReconnectBackoffMax = absl::Seconds(1);
inline constexpr absl::Duration kDrainDeadline = absl::Seconds(25);

// --- Master ----------------------------------------------------------------

// How far the durable mark of the index's clock lies ahead of it: one synced
// write in 5 s; a crash makes the clock jump by at most this.
inline constexpr absl::Duration kClockReserve = absl::Seconds(10);
// After its start the master gives volumes this long to come back before it
// calls them down: an agent notices within a heartbeat and a reconnect.
inline constexpr absl::Duration kStartGrace = absl::Seconds(5);
// Commits that wait for the index, of all clients together; more are shed.
// With their inlined values at most this many bytes.
inline constexpr int kCommitsWaitingMax = 4 * kOpsWaitingMax;
inline constexpr int64_t kCommitBytesWaitingMax = 256 << 20;
// Unlinks that one removal group sends to an agent: one sync of its
// directories for all of them.
inline constexpr int kRemovalGroupMax = 256;
// Fresh entries of the removal queue kept in memory for each volume; the rest
// is read back from the index.
inline constexpr int kRemovalsInMemoryMax = 8192;
// Pause before a volume that failed to unlink is tried again.
inline constexpr absl::Duration kRemovalRetryPause = absl::Seconds(1);
// A delete waits this long for the unlinks; then it writes tombstones.
inline constexpr absl::Duration kDeleteUnlinkDeadline = absl::Seconds(2);
// How often a delete takes a higher version because a write was first.
inline constexpr int kDeleteTriesMax = 100;
// How often old tombstones are looked for, and how many go in one write.
inline constexpr absl::Duration kTombstoneSweepInterval = absl::Seconds(10);
inline constexpr int kTombstoneSweepMax = 1000;
// Blobs in one CheckBlobs call: 1,000 keys of 1,024 bytes are 1 MiB.
inline constexpr int kCheckBlobsMax = 1000;

// --- HTTP ------------------------------------------------------------------

// Objects and arrays in each other in a body announced as application/json:
// deeper ones break common parsers.
inline constexpr int kJsonDepthMax = 128;
// How long a signed redirect is good: a slow client still begins its download,
// a leaked URL soon means nothing. Downloads under way are not cut.
inline constexpr absl::Duration kRedirectLifetime = absl::Minutes(15);
// Keys of a listing that are collected before the answer begins, so that
// `next` can stand before them; longer listings stream. 10,000 keys of 30
// bytes are 0.4 MB, of 1,024 bytes, all escaped, 31 MB.
inline constexpr int64_t kListCollectKeysMax = kListPageKeysMax;
// With a record each (at most 3.3 kB) one page stays below 4 MiB.
inline constexpr int kListPageRecordsMax = 1000;
// How often a read that finds its blobs gone looks the key up again: each
// time the value was replaced in the milliseconds between.
inline constexpr int kReadLookupsMax = 4;
inline constexpr int kRequestIdBytesMax = 64;

// --- The HTTP edge ---------------------------------------------------------

// One read of a socket: a 64 KiB body and its head need two.
inline constexpr int64_t kSocketReadBytes = 64 << 10;
// Reads of one connection before the others get their turn: a fast upload
// moves 2 MiB meanwhile, about 1 ms.
inline constexpr int kSocketReadsPerTurn = 8;
// Extensions and trailers of one chunked body, all together; they are dropped.
inline constexpr int64_t kChunkDroppedBytesMax = 16 << 10;
// After an early answer to an upload, what still comes is read away for this
// long and this much, so that the client sees the answer and no reset.
inline constexpr int64_t kLingerMs = 5000;
inline constexpr int64_t kLingerBytesMax = 16 << 20;
// Connections above the limit that are told so (503); more are just closed.
inline constexpr int kRefusedConnectionsMax = 256;
// Connections taken from the listener before those open get their turn.
inline constexpr int kAcceptsPerTurn = 64;

// --- Disks -----------------------------------------------------------------

// Room kept free on each disk so that deletes, marks and repairs always work.
inline constexpr double kDiskReserveShare = 0.02;
inline constexpr int64_t kDiskReserveBytesMin = 16 << 20;
inline constexpr int64_t kDiskReserveBytesMax = int64_t{4} << 30;
inline constexpr int64_t kDiskReserveInodesMin = 1024;

// How old the answer of statvfs may be that decides whether a disk is full.
// At 500 MB/s half a gigabyte could be written meanwhile; large uploads ask
// for their room when they begin.
inline constexpr absl::Duration kDiskRoomAgeMax = absl::Seconds(1);

// --- Volume agents ---------------------------------------------------------

// Large uploads under way on one agent: 256 x 1.5 MiB of buffers would be
// 384 MiB, but one of 16 writers at a time is the rule.
inline constexpr int kUploadsMax = 256;
// A large upload hands its dirty pages to the disk in steps of this, so that a
// small put's syncfs never waits for more than two of them.
inline constexpr int64_t kWritebackBytes = 8 << 20;
// Bytes of small puts that may wait for a writer; beyond that the agent stops
// reading from its clients. Eight full groups.
inline constexpr int64_t kPutBytesWaitingMax = 32 << 20;
// Groups of up to this many files are synced file by file; larger ones with
// one syncfs (facts: 3 k/s against 11-17 k/s).
inline constexpr int kFsyncFilesMax = 2;
inline constexpr absl::Duration kCheckBlobsInterval = absl::Seconds(60);
// Blobs in one message of a listing: 500 x 3.3 kB stay below 2 MiB.
inline constexpr int kListBlobsPage = 500;
inline constexpr int kDeleteBlobsMax = 1000;
// Unmarked blobs that a clean stop writes down; with more it counts as an
// unclean one, after which the disks are searched for them.
inline constexpr int kUnmarkedSavedMax = 100000;

// --- Index -----------------------------------------------------------------

// Write buffers of the embedded index, all column families together; as much
// again while full ones are written out. 32 MiB hold 200,000 records.
inline constexpr int64_t kIndexWriteBufferBytes = 32 << 20;
// Blocks of the embedded index in memory, its own indexes and filters
// included: those of 10 M keys take 30 MiB.
inline constexpr int64_t kIndexCacheBytes = 64 << 20;
// Its files kept open; each costs about 20 KiB of memory.
inline constexpr int kIndexOpenFilesMax = 512;
// A call of an index in Redis waits so long for a Redis that is away: long
// enough for a restart that loads some million keys from a local disk, and half
// of kMetadataDeadline, so that who asked still hears why.
inline constexpr absl::Duration kIndexWait = absl::Seconds(5);
// One round trip to Redis, a sync of its log under load included.
inline constexpr absl::Duration kIndexCommandDeadline = absl::Seconds(5);
// The first pause between two tries to reach it; doubled up to
// kReconnectBackoffMax.
inline constexpr absl::Duration kIndexPauseMin = absl::Milliseconds(20);
// Connections kept: as many as threads of the master usually ask at once.
inline constexpr int kIndexConnectionsIdleMax = 8;
// Members that one command of a listing returns: 100 x 0.3 us hold nobody up.
inline constexpr int kIndexRangeMax = 100;
// Entries that one script takes in or out of the removal queue: 0.2 ms.
inline constexpr int kIndexQueueGroupMax = 100;
// A master owns its index in Redis for so long and renews it this often; one
// with another data directory can take over when the term is over.
inline constexpr absl::Duration kIndexOwnerTerm = absl::Seconds(10);
inline constexpr absl::Duration kIndexOwnerRenewal = absl::Seconds(2);
// A master that starts waits so long for Redis to write its log anew: 100 M
// keys, 2 s a million.
inline constexpr absl::Duration kIndexLogWait = absl::Minutes(4);
// How old what is known of Redis' memory may be.
inline constexpr absl::Duration kIndexMemoryAge = absl::Seconds(1);
// Tombstones that one search for old ones looks at: 10,000 x 10 us is 0.1 s.
inline constexpr int kForgetScanMax = 10000;

}  // namespace cairn::base

#endif  // CAIRN_BASE_LIMITS_H_
