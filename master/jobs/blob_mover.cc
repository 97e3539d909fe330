#include "master/jobs/blob_mover.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "master/await.h"
#include "master/commit_all.h"
#include "master/jobs/inlined_value.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

constexpr absl::Duration kRetryPause = absl::Seconds(1);

// As for a verify: what an agent needs at least, and how slow a disk may be.
absl::Duration TimeFor(int64_t bytes) {
  return base::kVerifyDeadlineMin +
         absl::Seconds(bytes / base::kVerifyBytesPerSecondMin);
}

index::Removal TargetOf(const BlobMove& move) {
  index::Removal blob;
  blob.volume_id = move.move.target.volume_id();
  blob.blob.set_subvolume(move.move.target.subvolume());
  blob.blob.set_key(move.key);
  *blob.blob.mutable_version() = move.record.version();
  blob.blob.set_tombstone(move.record.tombstone());
  return blob;
}

index::Mutation MutationOf(const BlobMove& move) {
  index::Mutation mutation;
  mutation.kind = index::Mutation::Kind::kMove;
  mutation.key = move.key;
  *mutation.record.mutable_version() = move.record.version();
  mutation.record.set_tombstone(move.record.tombstone());
  for (const v1::SubvolumeId& place : move.move.after) {
    *mutation.record.add_replicas() = place;
  }
  mutation.replicas_before.assign(move.record.replicas().begin(),
                                  move.record.replicas().end());
  mutation.takes = {TargetOf(move)};
  return mutation;
}

bool IsSmall(const BlobMove& move) {
  return !move.record.tombstone() &&
         move.record.size_bytes() <= base::kSmallBlobBytesMax;
}

}  // namespace

struct BlobMover::Group {
  const std::vector<BlobMove>& moves;
  std::vector<index::Removal> targets;
  // Not OK: what became of it. OK: it goes on to the next step.
  std::vector<absl::Status> results;
  std::vector<bool> held;
  // It is in the removal queue, and may be on the target's disk.
  std::vector<bool> announced;
  // Nobody knows whether the index took it.
  std::vector<bool> unknown;

  explicit Group(const std::vector<BlobMove>& all)
      : moves(all),
        results(all.size()),
        held(all.size()),
        announced(all.size()),
        unknown(all.size()) {
    for (const BlobMove& move : all) targets.push_back(TargetOf(move));
  }
  std::vector<size_t> Open() const {
    std::vector<size_t> places;
    for (size_t i = 0; i < moves.size(); ++i) {
      if (results[i].ok()) places.push_back(i);
    }
    return places;
  }
};

std::vector<absl::Status> BlobMover::Move(
    const v1::Volume& source, const v1::Volume& target,
    const std::vector<BlobMove>& moves,
    const std::function<absl::Status()>& go_on) {
  Group group(moves);
  Hold(&group);
  const absl::Status announced = Announce(&group);
  if (announced.ok()) {
    Copy(source, target, &group);
    Commit(&group, go_on);
  } else {
    for (const size_t i : group.Open()) group.results[i] = announced;
  }
  Settle(target.volume_id(), &group);
  return std::move(group.results);
}

void BlobMover::Hold(Group* group) {
  for (const size_t i : group->Open()) {
    group->held[i] = options_.held->TryHold(group->targets[i]);
    if (!group->held[i]) {
      group->results[i] = absl::AlreadyExistsError("its target is in use");
      continue;
    }
    // What was left there before must be gone first.
    const auto queued = options_.index->HasRemoval(group->targets[i]);
    if (!queued.ok()) {
      group->results[i] = queued.status();
    } else if (*queued) {
      group->results[i] = absl::AlreadyExistsError(
          "an older copy at its target waits to be removed");
    }
  }
}

absl::Status BlobMover::Announce(Group* group) {
  std::vector<index::Removal> targets;
  for (const size_t i : group->Open()) {
    targets.push_back(group->targets[i]);
    group->announced[i] = true;  // Also if the outcome is unknown.
  }
  if (targets.empty()) return absl::OkStatus();
  return options_.index->AddRemovals(targets);
}

void BlobMover::Copy(const v1::Volume& source, const v1::Volume& target,
                     Group* group) {
  std::vector<size_t> small;
  std::vector<size_t> values;
  for (const size_t i : group->Open()) {
    if (group->moves[i].value.has_value()) {
      values.push_back(i);
    } else if (IsSmall(group->moves[i])) {
      small.push_back(i);
    } else {
      group->results[i] = CopyOne(source, target, group->moves[i]);
    }
  }
  if (!small.empty()) CopySmall(source, target, small, group);
  PutValues(target, values, group);
}

void BlobMover::PutValues(const v1::Volume& target,
                          const std::vector<size_t>& places, Group* group) {
  std::vector<Await<absl::Status>> answers(places.size());
  for (size_t k = 0; k < places.size(); ++k) {
    const BlobMove& move = group->moves[places[k]];
    options_.agents->Put(target.volume_id(),
                         PutOf(group->targets[places[k]].blob, move.record,
                               *move.value, /*committed=*/false),
                         absl::Now() + base::kBlobOpDeadline,
                         answers[k].Setter());
  }
  for (size_t k = 0; k < places.size(); ++k) {
    group->results[places[k]] = answers[k].Get();
  }
}

absl::Status BlobMover::CopyOne(const v1::Volume& source,
                                const v1::Volume& target,
                                const BlobMove& move) {
  v1::CopyBlobRequest request;
  request.set_volume_id(target.volume_id());
  *request.mutable_blob() = TargetOf(move).blob;
  request.set_source_grpc_address(source.grpc_address());
  request.set_source_volume_id(source.volume_id());
  request.set_source_subvolume(move.move.source.subvolume());
  request.set_fencing_number(options_.fencing_number);
  if (!move.record.tombstone()) {
    *request.mutable_digest() = move.record.digest();
  }
  return options_.copies->Copy(target, request,
                               TimeFor(move.record.size_bytes()));
}

void BlobMover::CopySmall(const v1::Volume& source, const v1::Volume& target,
                          const std::vector<size_t>& places, Group* group) {
  v1::CopyBlobsRequest request;
  request.set_volume_id(target.volume_id());
  request.set_source_grpc_address(source.grpc_address());
  request.set_source_volume_id(source.volume_id());
  request.set_fencing_number(options_.fencing_number);
  int64_t bytes = 0;
  for (const size_t i : places) {
    const BlobMove& move = group->moves[i];
    v1::CopiedBlob* const blob = request.add_blobs();
    *blob->mutable_blob() = group->targets[i].blob;
    blob->set_source_subvolume(move.move.source.subvolume());
    blob->set_size_bytes(move.record.size_bytes());
    *blob->mutable_digest() = move.record.digest();
    bytes += move.record.size_bytes();
  }
  v1::CopyBlobsResponse response;
  absl::Status copied =
      options_.copies->CopyMany(target, request, TimeFor(bytes), &response);
  if (copied.ok() && response.results_size() != request.blobs_size()) {
    copied = absl::InternalError("the agent did not answer for each blob");
  }
  for (size_t k = 0; k < places.size(); ++k) {
    group->results[places[k]] =
        copied.ok() ? StatusFromCode(response.results(k).code(),
                                     response.results(k).message())
                    : copied;
  }
}

void BlobMover::Commit(Group* group,
                       const std::function<absl::Status()>& go_on) {
  std::vector<size_t> places = group->Open();
  while (!places.empty()) {
    const std::vector<absl::Status> committed = CommitOnce(*group, places);
    std::vector<size_t> again;
    for (size_t k = 0; k < places.size(); ++k) {
      const size_t i = places[k];
      group->results[i] = committed[k];
      group->unknown[i] = absl::IsUnavailable(committed[k]);
      // The same commit once more tells what became of the first.
      if (group->unknown[i]) again.push_back(i);
    }
    places = std::move(again);
    if (places.empty() || !go_on().ok()) return;
    absl::SleepFor(kRetryPause);
  }
}

std::vector<absl::Status> BlobMover::CommitOnce(
    const Group& group, const std::vector<size_t>& places) {
  std::vector<index::Mutation> mutations;
  mutations.reserve(places.size());
  for (const size_t place : places) {
    mutations.push_back(MutationOf(group.moves[place]));
  }
  return CommitAll(options_.commits, std::move(mutations));
}

void BlobMover::Settle(uint32_t target_id, Group* group) {
  std::vector<index::Removal> left;
  for (size_t i = 0; i < group->moves.size(); ++i) {
    if (group->results[i].ok()) {
      options_.agents->Mark(target_id, group->targets[i].blob);
    } else if (group->announced[i] && !group->unknown[i]) {
      // A delete of the key may have had it removed, and its entry taken out,
      // before the copy was there.
      left.push_back(group->targets[i]);
    }
  }
  // If it fails: what is there and unmarked its agent asks about.
  if (!left.empty()) options_.index->AddRemovals(left).IgnoreError();
  for (size_t i = 0; i < group->moves.size(); ++i) {
    // Were the commit of an unknown outcome to take effect yet, the blob must
    // not be gone: it is held until the master is started again.
    if (group->held[i] && !group->unknown[i]) {
      options_.held->Release(group->targets[i]);
    }
  }
  if (!left.empty()) options_.on_removals(target_id);
}

}  // namespace cairn::master
