// What the commands share: how they end, and how they reach the cluster.

#ifndef CAIRN_ADMIN_SESSION_H_
#define CAIRN_ADMIN_SESSION_H_

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "admin/blocking_store.h"
#include "client/metadata_client.h"
#include "client/store_client.h"
#include "proto/cairn/v1/admin.grpc.pb.h"

namespace cairn::admin {

// How a command ended, as the shell sees it. Done, and nothing was found that
// should not be.
inline constexpr int kDone = 0;
// A definite no (the key is missing, a condition does not hold), or findings.
inline constexpr int kNo = 1;
// It failed; of a write the outcome may be unknown.
inline constexpr int kFailed = 2;

// Prints "cairn: sentence" to standard error unless `status` is OK; returns
// the exit code.
int Report(const absl::Status& status);

// An error of a file of this machine: a failure, whatever its code. A missing
// file must not look like a missing key.
absl::Status OfFile(const absl::Status& status);

// Writes to standard output; an error of it is a failure.
absl::Status Print(absl::string_view text);

// What a command needs to read and write values, in the order in which it is
// made and, backwards, ended.
struct Session {
  std::unique_ptr<client::MetadataClient> metadata;
  std::unique_ptr<client::StoreClient> client;
  std::unique_ptr<BlockingStore> store;
};

// Waits at most 5 s for the master. kUnavailable: it does not answer, or the
// cluster serves nothing now; the sentence says why.
absl::StatusOr<Session> Connect(const std::string& master);

// AdminService of a master: answers also while the index is lost.
class AdminClient {
 public:
  explicit AdminClient(const std::string& master);

  // One call, at most 5 s.
  absl::StatusOr<v1::GetStatusResponse> GetStatus();
  // All volumes, over as many pages as there are.
  absl::StatusOr<v1::ListVolumesResponse> ListVolumes(
      absl::Duration timeout = absl::Seconds(5));
  absl::StatusOr<v1::ListJobsResponse> ListJobs();
  // kNotFound: no such job runs.
  absl::Status CancelJob(int64_t job_id);
  // See AdminService for the errors.
  absl::Status UndrainVolume(const std::string& volume_id);
  // At most 10 minutes: the master reads its whole index.
  absl::Status RemoveVolume(const std::string& volume_id, bool dry_run);

 private:
  absl::Status FromCall(const grpc::Status& status) const;

  const std::string master_;
  const std::unique_ptr<v1::AdminService::Stub> stub_;
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_SESSION_H_
