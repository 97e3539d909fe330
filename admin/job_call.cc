#include "admin/job_call.h"

#include <chrono>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "admin/job_text.h"
#include "base/status.h"
#include "rpc/server.h"

namespace cairn::admin {
namespace {

// For a master that starts again: it waits for its volumes as well.
constexpr absl::Duration kMasterAwayMax = absl::Minutes(1);
constexpr absl::Duration kAskAgainPause = absl::Milliseconds(300);
constexpr absl::Duration kCallDeadline = absl::Seconds(5);

void SetDeadline(grpc::ClientContext* context) {
  context->set_wait_for_ready(true);
  context->set_deadline(std::chrono::system_clock::now() +
                        absl::ToChronoMilliseconds(kCallDeadline));
}

// gRPC could not reach the master, or lost it: kUnavailable is also what a
// master answers that serves nothing, with its reason.
bool IsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) &&
         (absl::StrContains(status.message(), "failed to connect") ||
          absl::StrContains(status.message(), "Socket closed") ||
          absl::StrContains(status.message(), "onnection reset"));
}

}  // namespace

GrpcJobCall::GrpcJobCall(const std::string& master, Start start)
    : master_(master),
      start_(std::move(start)),
      stub_(v1::AdminService::NewStub(rpc::NewChannel(master, "job"))) {
  Open();
}

GrpcJobCall::~GrpcJobCall() { Detach(); }

void GrpcJobCall::Open() {
  auto stream = std::make_shared<Stream>();
  stream->reader = start_(stub_.get(), &stream->context);
  base::MutexLock lock(&mu_);
  stream_ = std::move(stream);
  if (detached_) stream_->context.TryCancel();
}

bool GrpcJobCall::detached() {
  base::MutexLock lock(&mu_);
  return detached_;
}

bool GrpcJobCall::Next(JobUpdate* update) {
  std::shared_ptr<Stream> stream;
  {
    base::MutexLock lock(&mu_);
    stream = stream_;
  }
  if (stream == nullptr) return false;
  v1::JobProgress now;
  if (!stream->reader->Read(&now)) {
    const grpc::Status status = stream->reader->Finish();
    status_ = rpc::FromGrpc(status);
    const bool broke = status.error_code() == grpc::StatusCode::UNAVAILABLE;
    {
      base::MutexLock lock(&mu_);
      stream_ = nullptr;
    }
    if (!broke || last_.state() != v1::JOB_STATE_RUNNING || !FindAgain(&now)) {
      return false;
    }
  }
  *update = UpdateOf(last_, now);
  last_ = std::move(now);
  base::MutexLock lock(&mu_);
  job_id_ = last_.job_id();
  return true;
}

bool GrpcJobCall::FindAgain(v1::JobProgress* now) {
  const absl::Time deadline = absl::Now() + kMasterAwayMax;
  while (absl::Now() < deadline && !detached()) {
    bool running = false;
    if (AskOnce(now, &running)) {
      if (running) Open();
      status_ = absl::OkStatus();
      return true;
    }
    if (absl::IsNotFound(status_)) break;
    base::MutexLock lock(&mu_);
    if (!detached_) changed_.WaitFor(&mu_, kAskAgainPause);
  }
  status_ = absl::UnavailableError(
      absl::IsNotFound(status_)
          ? absl::StrCat("the master was started again and the ",
                         JobKindText(last_.kind()),
                         " does not run any more: see `cairn status` and the "
                         "master's log")
          : absl::StrCat("the master at ", master_,
                         " has gone; once it is back the ",
                         JobKindText(last_.kind()), " goes on: `cairn jobs`"));
  return false;
}

bool GrpcJobCall::AskOnce(v1::JobProgress* now, bool* running) {
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::ListJobsResponse jobs;
  status_ =
      rpc::FromGrpc(stub_->ListJobs(&context, v1::ListJobsRequest(), &jobs));
  if (!status_.ok()) return false;
  for (const v1::JobProgress& job : jobs.jobs()) {
    if (job.job_id() != last_.job_id() || job.kind() != last_.kind()) continue;
    *now = job;
    *running = job.state() == v1::JOB_STATE_RUNNING;
    return true;
  }
  status_ = absl::NotFoundError("no such job");
  return false;
}

absl::Status GrpcJobCall::Finish() {
  if (last_.job_id() == 0 && IsAway(status_)) {
    return absl::UnavailableError(absl::StrCat(
        "the master at ", master_,
        " does not answer: is it running? --master or CAIRN_MASTER names "
        "another"));
  }
  if (last_.state() != v1::JOB_STATE_FAILED) RETURN_IF_ERROR(status_);
  const std::string kind = JobKindText(last_.kind());
  switch (last_.state()) {
    case v1::JOB_STATE_FAILED:
      return absl::InternalError(last_.error());
    case v1::JOB_STATE_CANCELLED:
      return absl::CancelledError(absl::StrCat("the ", kind, " was stopped"));
    case v1::JOB_STATE_DONE:
      return absl::OkStatus();
    default:
      return absl::UnavailableError(
          absl::StrCat("the master stopped telling how the ", kind,
                       " is: see `cairn jobs`"));
  }
}

void GrpcJobCall::Detach() {
  std::shared_ptr<Stream> stream;
  {
    base::MutexLock lock(&mu_);
    detached_ = true;
    changed_.SignalAll();
    stream = stream_;
  }
  if (stream != nullptr) stream->context.TryCancel();
}

absl::Status GrpcJobCall::Stop() {
  v1::CancelJobRequest request;
  {
    base::MutexLock lock(&mu_);
    request.set_job_id(job_id_);
  }
  grpc::ClientContext context;
  SetDeadline(&context);
  v1::CancelJobResponse response;
  return rpc::FromGrpc(stub_->CancelJob(&context, request, &response));
}

}  // namespace cairn::admin
