// What jobs ask of volume agents when they copy and drain.

#ifndef CAIRN_MASTER_JOBS_COPY_AGENTS_H_
#define CAIRN_MASTER_JOBS_COPY_AGENTS_H_

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "proto/cairn/v1/volume.grpc.pb.h"

namespace cairn::master {

// Thread safety: any method from any thread. All block, until `timeout` at
// most. kUnavailable, kDeadlineExceeded: the agent does not answer; what was
// asked may happen all the same.
class CopyAgents {
 public:
  virtual ~CopyAgents() = default;
  // See VolumeService.CopyBlobs, Copy and CountBlobs.
  virtual absl::Status CopyMany(const v1::Volume& target,
                                const v1::CopyBlobsRequest& request,
                                absl::Duration timeout,
                                v1::CopyBlobsResponse* response) = 0;
  virtual absl::Status Copy(const v1::Volume& target,
                            const v1::CopyBlobRequest& request,
                            absl::Duration timeout) = 0;
  virtual absl::Status Count(const v1::Volume& volume, absl::Duration timeout,
                             v1::CountBlobsResponse* response) = 0;
};

class GrpcCopyAgents final : public CopyAgents {
 public:
  absl::Status CopyMany(const v1::Volume& target,
                        const v1::CopyBlobsRequest& request,
                        absl::Duration timeout,
                        v1::CopyBlobsResponse* response) override;
  absl::Status Copy(const v1::Volume& target,
                    const v1::CopyBlobRequest& request,
                    absl::Duration timeout) override;
  absl::Status Count(const v1::Volume& volume, absl::Duration timeout,
                     v1::CountBlobsResponse* response) override;

 private:
  std::shared_ptr<v1::VolumeService::Stub> StubOf(const v1::Volume& volume);

  base::Mutex mu_;
  // By address; few, since volumes seldom move.
  std::map<std::string, std::shared_ptr<v1::VolumeService::Stub>> stubs_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_COPY_AGENTS_H_
