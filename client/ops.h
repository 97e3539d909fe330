// What writes share after their blobs are durable: commit, and on a refusal
// rename or remove. Internal to client/.

#ifndef CAIRN_CLIENT_OPS_H_
#define CAIRN_CLIENT_OPS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/agent_client.h"
#include "client/metadata_client.h"
#include "client/store_client.h"

namespace cairn::client {

// Where one replica of a write lies.
struct Replica {
  std::shared_ptr<AgentClient> agent;
  v1::SubvolumeId where;
};

// A write whose blobs are durable on all of `replicas` at record.version.
struct DurableWrite {
  std::string key;
  v1::Record record;  // Whole, but for replicas, which FinishWrite() fills.
  PutOptions options;
  std::string inline_value;
  std::vector<Replica> replicas;
  v1::Durability durability = v1::DURABILITY_FSYNC;
  absl::Time deadline;
};

// Commits. While the index refuses the version (another writer was first, or
// it is too old) takes a higher one, renames the blobs and tries again. On any
// other definite refusal removes the blobs; while the outcome is unknown
// removes nothing. On success marks the blobs committed.
void FinishWrite(MetadataClient* metadata, DurableWrite write, PutDone done);

// Removes uncommitted blobs, not waited for.
void RemoveUncommitted(const std::string& key, const v1::Version& version,
                       const std::vector<Replica>& replicas);

}  // namespace cairn::client

#endif  // CAIRN_CLIENT_OPS_H_
