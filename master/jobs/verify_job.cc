#include "master/jobs/verify_job.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/blob_name.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/status.h"
#include "master/await.h"
#include "master/blob_check.h"
#include "master/jobs/inlined_value.h"
#include "master/jobs/placement_plan.h"
#include "master/jobs/volume_checker.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

constexpr int kTriesMax = 5;
constexpr absl::Duration kRetryPause = absl::Seconds(1);
// The fact in the index that is the last VerifySummary.
constexpr char kLastRoundName[] = "last_verify";

// One copy of one value, and what became of it.
struct Copy {
  size_t key = 0;  // Which of the group's.
  v1::SubvolumeId where;
  v1::VerifiedBlob found;
  std::string unchecked;  // Not empty: why `found` says nothing.
};

// Keys that are checked together.
struct Group {
  std::vector<std::string> keys;
  std::vector<v1::Record> records;
  std::vector<Copy> copies;
  int64_t bytes = 0;  // Of all copies.
};

bool Names(const v1::Record& record, const v1::Version& version,
           const v1::SubvolumeId& where) {
  if (FromProto(record.version()) != FromProto(version)) return false;
  for (const v1::SubvolumeId& replica : record.replicas()) {
    if (replica.volume_id() == where.volume_id() &&
        replica.subvolume() == where.subvolume()) {
      return true;
    }
  }
  return false;
}

v1::BlobId BlobOf(const Group& group, const Copy& copy) {
  v1::BlobId blob;
  blob.set_subvolume(copy.where.subvolume());
  blob.set_key(group.keys[copy.key]);
  *blob.mutable_version() = group.records[copy.key].version();
  blob.set_tombstone(group.records[copy.key].tombstone());
  return blob;
}

absl::Duration TimeFor(int64_t bytes) {
  return base::kVerifyDeadlineMin +
         absl::Seconds(bytes / base::kVerifyBytesPerSecondMin);
}

// Takes keys of `page` from `*at` on, until they have so many bytes.
Group TakeGroup(index::IndexStore::Page* page, int64_t bytes_max, size_t* at) {
  Group group;
  while (*at < page->keys.size() &&
         (group.keys.empty() || group.bytes < bytes_max)) {
    v1::Record& record = page->records[*at];
    group.bytes += record.size_bytes() * record.replicas_size();
    for (const v1::SubvolumeId& where : record.replicas()) {
      Copy copy;
      copy.key = group.keys.size();
      copy.where = where;
      group.copies.push_back(std::move(copy));
    }
    group.keys.push_back(std::move(page->keys[*at]));
    group.records.push_back(std::move(record));
    ++*at;
  }
  return group;
}

// One run.
class Verify {
 public:
  struct Way {
    bool attributes_only = false;
    // How long checking the copies is to take; zero: as fast as it can.
    absl::Duration duration;
    // Only what lies on volumes that are unconfirmed; mends, and confirms.
    bool confirms = false;
  };
  Verify(const VerifyJob::Options* options, const Way& way, JobContext* context)
      : options_(*options), way_(way), context_(context) {}

  absl::Status Run() {
    if (!request_.ParseFromString(context_->request()) ||
        !cursor_.ParseFromString(context_->cursor())) {
      return absl::DataLossError("the note of the verify cannot be read");
    }
    if (cursor_.started_time_ms() == 0) {
      cursor_.set_started_time_ms(absl::ToUnixMillis(absl::Now()));
    }
    RETURN_IF_ERROR(WaitServing());
    if (way_.confirms) BeginConfirming();
    TakeUp(cursor_.counts());
    const index::IndexStats stats = options_.index->Stats();
    records_total_ = stats.keys_count + stats.tombstones_count;
    context_->SetTotals(records_total_, 0);
    context_->SetPhase("checking copies");
    RETURN_IF_ERROR(CheckKeys());
    if (!context_->dry_run()) {
      context_->SetPhase("looking for stray blobs");
      RETURN_IF_ERROR(FindStrays());
    }
    NoteUnchecked();
    context_->SetSummary(Summary());
    return Confirm();
  }

  int64_t started_time_ms() const { return cursor_.started_time_ms(); }

 private:
  // From the start: a volume may have been set back since an earlier run.
  void BeginConfirming() {
    cursor_.Clear();
    context_->StartOver();
    request_.set_repair(true);
    unconfirmed_ = options_.membership->Unconfirmed();
  }

  // Whether a volume is among those that this run is about.
  bool Concerns(uint32_t volume_id) const {
    return !way_.confirms || unconfirmed_.count(volume_id) > 0;
  }

  absl::Status Confirm() {
    for (const auto& [id, session] : unconfirmed_) {
      if (open_.count(id) > 0) continue;
      const absl::Status confirmed = options_.membership->Confirm(id, session);
      if (confirmed.ok()) continue;
      if (!absl::IsAborted(confirmed)) return confirmed;
      context_->AddProblem(confirmed.message());
    }
    return absl::OkStatus();
  }

  // This run cannot confirm the volume.
  void LeaveOpen(uint32_t volume_id) {
    base::MutexLock lock(&open_mu_);
    open_.insert(volume_id);
  }

  // After a restart of the master the volumes take a moment to join.
  absl::Status WaitServing() {
    context_->SetPhase("waiting for the volumes");
    while (true) {
      const absl::Status serving = options_.membership->CheckServing();
      if (serving.ok() || options_.membership->lost()) return serving;
      RETURN_IF_ERROR(context_->Pause(kRetryPause));
    }
  }

  // Makes a call to an agent again while it does not answer: it may be busy,
  // or be starting.
  absl::Status Persist(const std::function<absl::Status()>& call) {
    for (int tries = 1;; ++tries) {
      const absl::Status status = call();
      if (tries == kTriesMax || !absl::IsUnavailable(status)) return status;
      RETURN_IF_ERROR(context_->Pause(kRetryPause));
    }
  }

  // --- The copies of the keys ---

  absl::Status CheckKeys() {
    if (cursor_.keys_done()) return absl::OkStatus();
    index::IndexStore::ScanOptions scan;
    scan.limit = base::kVerifyGroupKeys;
    scan.with_records = true;
    scan.with_tombstones = true;
    scan.start = cursor_.next_key();
    do {
      ASSIGN_OR_RETURN(index::IndexStore::Page page,
                       options_.index->Scan(scan));
      if (way_.confirms) DropOthers(&page);
      for (size_t at = 0; at < page.keys.size();) {
        Group group = TakeGroup(&page, GroupBytesMax(), &at);
        RETURN_IF_ERROR(CheckGroup(&group));
      }
      scan.start = page.next;
      cursor_.set_next_key(page.next);
      cursor_.set_keys_done(page.next.empty());
      *cursor_.mutable_counts() = Counts();
      RETURN_IF_ERROR(context_->SaveCursor(cursor_.SerializeAsString()));
    } while (!scan.start.empty());
    return absl::OkStatus();
  }

  // What an earlier run of the job has found.
  void TakeUp(const v1::VerifyCounts& counts) {
    keys_ = counts.keys();
    tombstones_ = counts.tombstones();
    copies_ = counts.copies();
    bytes_ = counts.bytes();
    under_ = counts.under_replicated_keys();
    missing_ = counts.missing();
    corrupt_ = counts.corrupt();
    mended_ = counts.mended();
    for (const v1::UncheckedCopies& unchecked : counts.unchecked()) {
      unchecked_[unchecked.volume_id()] = {unchecked.count(), unchecked.why()};
    }
    context_->AddEarlier(keys_ + tombstones_,
                         way_.attributes_only ? 0 : bytes_);
  }

  v1::VerifyCounts Counts() const {
    v1::VerifyCounts counts;
    counts.set_keys(keys_);
    counts.set_tombstones(tombstones_);
    counts.set_copies(copies_);
    counts.set_bytes(bytes_);
    counts.set_under_replicated_keys(under_);
    counts.set_missing(missing_);
    counts.set_corrupt(corrupt_);
    counts.set_mended(mended_);
    for (const auto& [id, unchecked] : unchecked_) {
      v1::UncheckedCopies* const one = counts.add_unchecked();
      one->set_volume_id(id);
      one->set_count(unchecked.count);
      one->set_why(unchecked.why);
    }
    return counts;
  }

  // Leaves the keys that have a copy on a volume that this run is about.
  void DropOthers(index::IndexStore::Page* page) const {
    size_t kept = 0;
    for (size_t i = 0; i < page->keys.size(); ++i) {
      const auto& replicas = page->records[i].replicas();
      const bool concerned = std::any_of(replicas.begin(), replicas.end(),
                                         [this](const v1::SubvolumeId& where) {
                                           return Concerns(where.volume_id());
                                         });
      if (!concerned) continue;
      if (kept != i) {
        page->keys[kept] = std::move(page->keys[i]);
        page->records[kept] = std::move(page->records[i]);
      }
      ++kept;
    }
    page->keys.resize(kept);
    page->records.resize(kept);
  }

  // At most a second's worth: a rate limit lets a group through as a whole.
  int64_t GroupBytesMax() const {
    const int64_t rate = request_.options().bytes_per_second_max();
    return rate > 0 ? std::min(rate, base::kVerifyGroupBytes)
                    : base::kVerifyGroupBytes;
  }

  absl::Status CheckGroup(Group* group) {
    const auto count = static_cast<int64_t>(group->keys.size());
    for (const v1::Record& record : group->records) {
      ++(record.tombstone() ? tombstones_ : keys_);
    }
    copies_ += static_cast<int64_t>(group->copies.size());
    bytes_ += group->bytes;
    if (!context_->dry_run()) {
      if (!way_.attributes_only) {
        RETURN_IF_ERROR(context_->Spend(group->bytes));
      }
      const Membership::View view = options_.membership->view();
      Ask(view->map, group);
      RETURN_IF_ERROR(Judge(view->map, group));
    }
    context_->Add(count, way_.attributes_only ? 0 : group->bytes);
    if (way_.duration == absl::ZeroDuration() || records_total_ <= count) {
      return context_->CheckGoOn();
    }
    return context_->Pause(way_.duration * count / records_total_);
  }

  // Has all volumes check their copies, at once.
  void Ask(const v1::ClusterMap& map, Group* group) {
    std::map<uint32_t, std::vector<Copy*>> by_volume;
    for (Copy& copy : group->copies) {
      by_volume[copy.where.volume_id()].push_back(&copy);
    }
    std::vector<std::thread> threads;
    for (auto& [id, copies] : by_volume) {
      const v1::Volume* const volume = placement::FindVolume(map, id);
      if (volume == nullptr || volume->state() != v1::VOLUME_STATE_UP) {
        for (Copy* copy : copies) {
          copy->unchecked =
              volume == nullptr ? "it is not in the cluster" : "it is down";
        }
        continue;
      }
      VolumeChecker* const checker = CheckerOf(*volume);
      threads.emplace_back([this, group, checker, &copies = copies] {
        AskOne(checker, *group, copies);
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  void AskOne(VolumeChecker* checker, const Group& group,
              const std::vector<Copy*>& copies) {
    v1::VerifyBlobsRequest request;
    request.set_attributes_only(way_.attributes_only);
    int64_t bytes = 0;
    for (const Copy* copy : copies) {
      const v1::Record& record = group.records[copy->key];
      v1::ExpectedBlob* const expected = request.add_blobs();
      *expected->mutable_blob() = BlobOf(group, *copy);
      expected->set_size_bytes(record.size_bytes());
      *expected->mutable_digest() = record.digest();
      *expected->mutable_metadata() = record.metadata();
      bytes += record.size_bytes();
    }
    v1::VerifyBlobsResponse answer;
    const absl::Status asked = Persist(
        [&] { return checker->Verify(request, TimeFor(bytes), &answer); });
    for (size_t i = 0; i < copies.size(); ++i) {
      if (!asked.ok()) {
        copies[i]->unchecked = std::string(asked.message());
        continue;
      }
      copies[i]->found = std::move(*answer.mutable_results(i));
      if (copies[i]->found.health() == v1::BLOB_HEALTH_UNREADABLE) {
        copies[i]->unchecked = copies[i]->found.why();
      }
    }
  }

  absl::Status Judge(const v1::ClusterMap& map, Group* group) {
    for (size_t i = 0; i < group->keys.size(); ++i) {
      const int replicas = group->records[i].replicas_size();
      // A tombstone needs them only while a volume that missed it is away.
      if (replicas >= map.replicas() || group->records[i].tombstone()) continue;
      ++under_;
      context_->AddProblem(absl::StrCat(base::EscapeKeyForUrl(group->keys[i]),
                                        ": only ", replicas, " of ",
                                        map.replicas(), " copies are known"));
    }
    for (const Copy& copy : group->copies) {
      if (!copy.unchecked.empty()) {
        Unchecked& unchecked = unchecked_[copy.where.volume_id()];
        ++unchecked.count;
        unchecked.why = copy.unchecked;
        // A failed disk has nothing that counts anyway.
        if (IsReachable(map, copy.where)) LeaveOpen(copy.where.volume_id());
      } else if (copy.found.health() != v1::BLOB_HEALTH_GOOD) {
        RETURN_IF_ERROR(Report(map, *group, copy));
      }
    }
    return absl::OkStatus();
  }

  // A copy that does not look right.
  absl::Status Report(const v1::ClusterMap& map, const Group& group,
                      const Copy& copy) {
    const std::string& key = group.keys[copy.key];
    ASSIGN_OR_RETURN(const auto now,
                     options_.index->Lookup({key}, /*with_values=*/false));
    if (!now[0].ok()) {
      return absl::IsNotFound(now[0].status()) ? absl::OkStatus()
                                               : now[0].status();
    }
    if (!Names(now[0]->record, group.records[copy.key].version(), copy.where)) {
      return absl::OkStatus();  // Replaced or deleted meanwhile.
    }
    const bool missing = copy.found.health() == v1::BLOB_HEALTH_MISSING;
    ++(missing ? missing_ : corrupt_);
    std::string text = absl::StrCat(
        base::EscapeKeyForUrl(key), ": the copy on ", PlaceText(copy.where),
        missing ? " is missing: " : " is corrupt: ", copy.found.why());
    if (request_.repair()) text += Mend(map, group, copy);
    context_->AddProblem(text);
    return absl::OkStatus();
  }

  // Makes the copy again, where it was; returns what to say of it.
  std::string Mend(const v1::ClusterMap& map, const Group& group,
                   const Copy& copy) {
    const Copy* source = nullptr;
    for (const Copy& other : group.copies) {
      if (other.key != copy.key) continue;
      if (!other.unchecked.empty()) {
        LeaveOpen(copy.where.volume_id());  // It may have it, later.
      } else if (other.found.health() == v1::BLOB_HEALTH_GOOD) {
        source = &other;
      }
    }
    const absl::Status mended = source != nullptr
                                    ? MendFrom(map, group, copy, *source)
                                    : MendFromIndex(map, group, copy);
    if (absl::IsNotFound(mended) && source == nullptr) {
      return "; no good copy is left to mend it from";
    }
    if (!mended.ok()) {
      LeaveOpen(copy.where.volume_id());
      return absl::StrCat("; not mended: ", mended.message());
    }
    ++mended_;
    return absl::StrCat("; mended from ", source != nullptr
                                              ? PlaceText(source->where)
                                              : "the index");
  }

  // kNotFound: the index does not have the value.
  absl::Status MendFromIndex(const v1::ClusterMap& map, const Group& group,
                             const Copy& copy) {
    const v1::Record& record = group.records[copy.key];
    ASSIGN_OR_RETURN(const auto now,
                     options_.index->Lookup({group.keys[copy.key]},
                                            /*with_values=*/true));
    RETURN_IF_ERROR(now[0].status());
    if (FromProto(now[0]->record.version()) != FromProto(record.version()) ||
        !HasGoodValue(*now[0])) {
      return absl::NotFoundError("it is not in the index");
    }
    const v1::BlobId blob = BlobOf(group, copy);
    if (copy.found.health() == v1::BLOB_HEALTH_CORRUPT) {
      const v1::Volume* const volume =
          placement::FindVolume(map, copy.where.volume_id());
      RETURN_IF_ERROR(
          CheckerOf(*volume)->Remove(blob, options_.fencing_number));
    }
    Await<absl::Status> put;
    options_.agents->Put(copy.where.volume_id(),
                         PutOf(blob, record, now[0]->value, /*committed=*/true),
                         absl::Now() + base::kBlobOpDeadline, put.Setter());
    return put.Get();
  }

  absl::Status MendFrom(const v1::ClusterMap& map, const Group& group,
                        const Copy& copy, const Copy& source) {
    const v1::Volume* const from =
        placement::FindVolume(map, source.where.volume_id());
    const v1::Volume* const to =
        placement::FindVolume(map, copy.where.volume_id());
    VolumeChecker* const checker = CheckerOf(*to);
    const v1::BlobId blob = BlobOf(group, copy);
    // What lies there is not the value; the name must be free for it.
    if (copy.found.health() == v1::BLOB_HEALTH_CORRUPT) {
      RETURN_IF_ERROR(checker->Remove(blob, options_.fencing_number));
    }
    v1::CopyBlobRequest request;
    *request.mutable_blob() = blob;
    request.set_source_grpc_address(from->grpc_address());
    request.set_source_volume_id(from->volume_id());
    request.set_source_subvolume(source.where.subvolume());
    request.set_fencing_number(options_.fencing_number);
    // Nobody may have read the source.
    if (!blob.tombstone()) {
      *request.mutable_digest() = group.records[copy.key].digest();
    }
    return checker->Pull(std::move(request),
                         TimeFor(group.records[copy.key].size_bytes()));
  }

  // --- The files ---

  // Visits all volumes that are up, at once.
  absl::Status FindStrays() {
    const Membership::View view = options_.membership->view();
    std::vector<std::thread> threads;
    std::vector<absl::Status> results(view->map.volumes_size());
    for (int i = 0; i < view->map.volumes_size(); ++i) {
      const v1::Volume& volume = view->map.volumes(i);
      if (volume.state() != v1::VOLUME_STATE_UP ||
          !Concerns(volume.volume_id())) {
        continue;
      }
      VolumeChecker* const checker = CheckerOf(volume);
      threads.emplace_back([this, &volume, checker, result = &results[i]] {
        *result = FindStraysOf(volume, checker);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (const absl::Status& result : results) RETURN_IF_ERROR(result);
    return absl::OkStatus();
  }

  absl::Status FindStraysOf(const v1::Volume& volume, VolumeChecker* checker) {
    for (int subvolume = 0; subvolume < volume.subvolumes_size(); ++subvolume) {
      std::set<std::string> reported;  // By a list that broke off.
      const absl::Status status = Persist([&] {
        return checker->List(subvolume, [&](const v1::ListBlobsResponse& page) {
          return FindStraysIn(volume.volume_id(), page, checker, &reported);
        });
      });
      RETURN_IF_ERROR(context_->CheckGoOn());
      if (status.ok()) continue;
      if (!volume.subvolumes(subvolume).failed()) LeaveOpen(volume.volume_id());
      context_->AddProblem(absl::StrCat(
          PlaceText(volume.volume_id(), subvolume),
          " was not searched for stray blobs: ", status.message()));
    }
    return absl::OkStatus();
  }

  absl::Status FindStraysIn(uint32_t volume_id,
                            const v1::ListBlobsResponse& page,
                            VolumeChecker* checker,
                            std::set<std::string>* reported) {
    RETURN_IF_ERROR(context_->CheckGoOn());
    v1::CheckBlobsRequest found;
    found.set_volume_id(volume_id);
    for (const v1::StatBlobResponse& blob : page.blobs()) {
      // Without a key: damaged, and found as missing above.
      if (!blob.blob().key().empty()) *found.add_blobs() = blob.blob();
    }
    ASSIGN_OR_RETURN(
        const auto verdicts,
        CheckBlobs(options_.index, found, options_.now_ms(), options_.held));
    for (int i = 0; i < found.blobs_size(); ++i) {
      if (verdicts[i] != v1::CheckBlobsResponse::VERDICT_DISOWNED) continue;
      if (!reported->insert(found.blobs(i).SerializeAsString()).second) {
        continue;
      }
      RETURN_IF_ERROR(ReportStray(checker, {volume_id, found.blobs(i)}));
    }
    return absl::OkStatus();
  }

  absl::Status ReportStray(VolumeChecker* checker,
                           const index::Removal& stray) {
    ASSIGN_OR_RETURN(const bool queued, options_.index->HasRemoval(stray));
    if (queued) return absl::OkStatus();
    // It may have been unlinked, as it should, since it was listed.
    ASSIGN_OR_RETURN(const bool there, checker->Exists(stray.blob));
    if (!there) return absl::OkStatus();
    ++strays_;
    std::string text = absl::StrCat(
        base::EscapeKeyForUrl(stray.blob.key()), ": a stray blob of version ",
        FromProto(stray.blob.version()).ToHex(), " on ",
        PlaceText(stray.volume_id, stray.blob.subvolume()));
    if (request_.repair()) {
      RETURN_IF_ERROR(options_.index->AddRemovals({stray}));
      options_.on_removals(stray.volume_id);
      ++mended_;
      text += "; queued for removal";
    }
    context_->AddProblem(text);
    return absl::OkStatus();
  }

  // --- Both ---

  void NoteUnchecked() {
    for (const auto& [id, unchecked] : unchecked_) {
      context_->AddProblem(
          absl::StrCat("volume ", VolumeIdText(id), ": ", unchecked.count,
                       " copies on it were not checked: ", unchecked.why));
    }
  }

  std::string Summary() const {
    if (context_->dry_run()) {
      return absl::StrCat("would read ", copies_, " copies of ", keys_,
                          " keys, ", bytes_, " bytes");
    }
    int64_t unchecked = 0;
    for (const auto& [id, one] : unchecked_) unchecked += one.count;
    return absl::StrCat(
        copies_ - unchecked, " copies of ", keys_, " keys were ",
        way_.attributes_only ? "compared: " : "read: ", corrupt_, " corrupt, ",
        missing_, " missing, ", strays_.load(), " stray blobs, ", under_,
        " keys with too few copies; ", mended_.load(), " mended; ", unchecked,
        " copies not checked");
  }

  // By address too: a volume may come back at another one.
  VolumeChecker* CheckerOf(const v1::Volume& volume) {
    auto& checker = checkers_[{volume.volume_id(), volume.grpc_address()}];
    if (checker == nullptr) {
      checker = std::make_unique<VolumeChecker>(volume.volume_id(),
                                                volume.grpc_address());
    }
    return checker.get();
  }

  struct Unchecked {
    int64_t count = 0;
    std::string why;
  };

  const VerifyJob::Options& options_;
  const Way way_;
  JobContext* const context_;
  v1::VerifyRequest request_;
  v1::VerifyCursor cursor_;

  std::map<std::pair<uint32_t, std::string>, std::unique_ptr<VolumeChecker>>
      checkers_;
  std::map<uint32_t, Unchecked> unchecked_;
  // What this run is to confirm, with their sessions.
  std::map<uint32_t, uint64_t> unconfirmed_;
  base::Mutex open_mu_;      // Threads of all volumes add.
  std::set<uint32_t> open_;  // Guarded by open_mu_; read when they have ended.
  int64_t records_total_ = 0;
  int64_t keys_ = 0;
  int64_t tombstones_ = 0;
  int64_t copies_ = 0;
  int64_t bytes_ = 0;
  int64_t under_ = 0;
  int64_t missing_ = 0;
  int64_t corrupt_ = 0;
  // Counted by the threads of all volumes; read when they have ended.
  std::atomic<int64_t> strays_{0};
  std::atomic<int64_t> mended_{0};
};

}  // namespace

absl::Status VerifyJob::Run(JobContext* context) {
  return Verify(&options_, {}, context).Run();
}

absl::Status VerifyJob::RunDiff(JobContext* context) {
  Verify::Way way;
  way.attributes_only = true;
  return Verify(&options_, way, context).Run();
}

absl::Status VerifyJob::RunConfirm(JobContext* context) {
  Verify::Way way;
  way.attributes_only = true;
  way.confirms = true;
  return Verify(&options_, way, context).Run();
}

absl::Status VerifyJob::RunRound(absl::Duration duration, JobContext* context) {
  Verify::Way way;
  way.duration = duration;
  Verify verify(&options_, way, context);
  RETURN_IF_ERROR(verify.Run());
  const v1::JobProgress progress = context->progress();
  v1::VerifySummary summary;
  summary.set_started_time_ms(verify.started_time_ms());
  summary.set_ended_time_ms(absl::ToUnixMillis(absl::Now()));
  summary.set_problems_count(progress.problems_count());
  summary.set_summary(progress.summary());
  return options_.index->SetMeta(kLastRoundName, summary.SerializeAsString());
}

absl::StatusOr<absl::optional<v1::VerifySummary>> VerifyJob::LastRound(
    index::IndexStore* index) {
  const auto stored = index->GetMeta(kLastRoundName);
  if (absl::IsNotFound(stored.status())) return absl::nullopt;
  RETURN_IF_ERROR(stored.status());
  v1::VerifySummary summary;
  // One that cannot be read is made again by the next round.
  if (!summary.ParseFromString(*stored)) return absl::nullopt;
  return summary;
}

}  // namespace cairn::master
