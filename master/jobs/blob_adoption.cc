#include "master/jobs/blob_adoption.h"

#include "base/version.h"
#include "proto/convert.h"

namespace cairn::master {
namespace {

using Kind = Adoption::Kind;

void AddReplica(const FoundBlob& blob, v1::Record* record) {
  v1::SubvolumeId* const where = record->add_replicas();
  where->set_volume_id(blob.volume_id);
  where->set_subvolume(blob.stat.blob().subvolume());
}

// A copy of the version that the key has.
Adoption AdoptCopy(const v1::Record& current, const FoundBlob& blob,
                   int replicas) {
  bool volume_has_one = false;
  for (const v1::SubvolumeId& where : current.replicas()) {
    if (where.volume_id() != blob.volume_id) continue;
    if (where.subvolume() == blob.stat.blob().subvolume()) return {};
    volume_has_one = true;
  }
  const bool same_bytes = current.tombstone() ||
                          current.digest().xxh3() == blob.stat.digest().xxh3();
  Adoption adoption;
  if (volume_has_one || current.replicas_size() >= replicas ||
      !blob.stat.whole() || !same_bytes) {
    adoption.kind = Kind::kRemove;
    return adoption;
  }
  adoption.kind = Kind::kCommit;
  index::Mutation& mutation = adoption.mutation;
  mutation.kind = index::Mutation::Kind::kMove;
  mutation.key = blob.stat.blob().key();
  mutation.record = current;
  mutation.replicas_before.assign(current.replicas().begin(),
                                  current.replicas().end());
  AddReplica(blob, &mutation.record);
  return adoption;
}

// The newest of its key.
Adoption AdoptVersion(const FoundBlob& blob) {
  const v1::StatBlobResponse& stat = blob.stat;
  Adoption adoption;
  if (!stat.committed()) return adoption;
  if (!stat.whole()) {
    adoption.kind = Kind::kDamaged;
    return adoption;
  }
  adoption.kind = Kind::kCommit;
  index::Mutation& mutation = adoption.mutation;
  mutation.kind = index::Mutation::Kind::kRestore;
  mutation.key = stat.blob().key();
  *mutation.record.mutable_version() = stat.blob().version();
  mutation.record.set_tombstone(stat.blob().tombstone());
  if (!stat.blob().tombstone()) {
    mutation.record.set_size_bytes(stat.size_bytes());
    *mutation.record.mutable_digest() = stat.digest();
    *mutation.record.mutable_metadata() = stat.metadata();
    mutation.inline_value = stat.value();
  }
  AddReplica(blob, &mutation.record);
  return adoption;
}

}  // namespace

Adoption Adopt(const v1::Record* current, const FoundBlob& blob, int replicas) {
  if (current == nullptr) return AdoptVersion(blob);
  const base::Version known = FromProto(current->version());
  const base::Version found = FromProto(blob.stat.blob().version());
  if (found > known) return AdoptVersion(blob);
  if (found == known && current->tombstone() == blob.stat.blob().tombstone()) {
    return AdoptCopy(*current, blob, replicas);
  }
  Adoption adoption;
  adoption.kind = Kind::kRemove;
  return adoption;
}

}  // namespace cairn::master
