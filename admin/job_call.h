// JobCall over gRPC: starts or joins a job of the master and follows it, over
// restarts of the master too.

#ifndef CAIRN_ADMIN_JOB_CALL_H_
#define CAIRN_ADMIN_JOB_CALL_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "admin/job_watcher.h"
#include "base/mutex.h"
#include "proto/cairn/v1/admin.grpc.pb.h"

namespace cairn::admin {

class GrpcJobCall final : public JobCall {
 public:
  using Reader = std::unique_ptr<grpc::ClientReader<v1::JobProgress>>;
  // Makes the call that starts the job, or joins the one that runs.
  using Start = std::function<Reader(v1::AdminService::Stub* stub,
                                     grpc::ClientContext* context)>;

  GrpcJobCall(const std::string& master, Start start);
  ~GrpcJobCall() override;

  bool Next(JobUpdate* update) override;
  // kUnavailable: the master went away and did not come back in a minute, or
  // came back and does not know the job: it may have ended.
  absl::Status Finish() override;
  void Detach() override;
  absl::Status Stop() override;

  // Of the last message.
  const v1::JobProgress& last() const { return last_; }

 private:
  struct Stream {
    grpc::ClientContext context;
    Reader reader;
  };

  void Open();
  // After the stream broke: finds the job again. True: `*now` says how it is,
  // and there is a new stream if it runs.
  bool FindAgain(v1::JobProgress* now);
  bool AskOnce(v1::JobProgress* now, bool* running);
  bool detached();

  const std::string master_;
  const Start start_;
  const std::unique_ptr<v1::AdminService::Stub> stub_;

  // The reading thread's own.
  v1::JobProgress last_;
  absl::Status status_;

  // Guards what Detach() and Stop() look at, nothing slow.
  base::Mutex mu_;
  base::CondVar changed_;
  bool detached_ ABSL_GUARDED_BY(mu_) = false;
  int64_t job_id_ ABSL_GUARDED_BY(mu_) = 0;
  std::shared_ptr<Stream> stream_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_JOB_CALL_H_
