#include "admin/job_call.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace cairn::admin {
namespace {

using testing::HasSubstr;

v1::JobProgress Progress(v1::JobState state, int64_t keys) {
  v1::JobProgress progress;
  progress.set_job_id(7);
  progress.set_kind(v1::JOB_KIND_VERIFY);
  progress.set_state(state);
  progress.set_keys_done(keys);
  return progress;
}

// A master with one job, which says what it is told to say. Thread safety: its
// RPCs from any thread; the rest between calls.
class FakeMaster final : public v1::AdminService::Service {
 public:
  std::vector<v1::JobProgress> says;
  grpc::Status ends;
  v1::ListJobsResponse listed;
  bool waits = false;  // The stream stays open until the job is cancelled.

  grpc::Status Verify(grpc::ServerContext* context, const v1::VerifyRequest*,
                      grpc::ServerWriter<v1::JobProgress>* writer) override {
    for (const v1::JobProgress& progress : says) writer->Write(progress);
    while (waits && !cancelled_ && !context->IsCancelled()) {
      absl::SleepFor(absl::Milliseconds(5));
    }
    if (cancelled_) writer->Write(Progress(v1::JOB_STATE_CANCELLED, 5));
    return ends;
  }
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest*,
                        v1::ListJobsResponse* response) override {
    *response = listed;
    return grpc::Status::OK;
  }
  grpc::Status CancelJob(grpc::ServerContext*,
                         const v1::CancelJobRequest* request,
                         v1::CancelJobResponse*) override {
    if (request->job_id() != 7) return {grpc::StatusCode::NOT_FOUND, "none"};
    cancelled_ = true;
    return grpc::Status::OK;
  }

 private:
  std::atomic<bool> cancelled_ = false;
};

class JobCallTest : public testing::Test {
 protected:
  JobCallTest() { Serve(0); }

  void Serve(int port) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port),
                             grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&master_);
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  std::unique_ptr<GrpcJobCall> Call() {
    return std::make_unique<GrpcJobCall>(
        absl::StrCat("127.0.0.1:", port_), [](auto* stub, auto* context) {
          return stub->Verify(context, v1::VerifyRequest());
        });
  }
  // All that is left to read.
  static std::string Texts(GrpcJobCall* call) {
    std::string text;
    for (JobUpdate update; call->Next(&update); update = JobUpdate()) {
      text += update.text;
    }
    return text;
  }

  FakeMaster master_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

TEST_F(JobCallTest, EachMessageIsGivenAndTheEndIsOk) {
  v1::JobProgress last = Progress(v1::JOB_STATE_DONE, 2);
  last.set_summary("2 keys");
  master_.says = {Progress(v1::JOB_STATE_RUNNING, 1), last};
  const auto call = Call();
  JobUpdate update;
  ASSERT_TRUE(call->Next(&update));
  EXPECT_EQ(update.bar.done_count, 1);
  ASSERT_TRUE(call->Next(&update));
  EXPECT_EQ(update.text, "2 keys\n");
  EXPECT_FALSE(call->Next(&update));
  EXPECT_TRUE(call->Finish().ok()) << call->Finish();
}

TEST_F(JobCallTest, ARefusalAndAFailureAreTheMastersSentences) {
  master_.ends = {grpc::StatusCode::FAILED_PRECONDITION, "it is not lost"};
  auto call = Call();
  EXPECT_EQ(Texts(call.get()), "");
  EXPECT_EQ(call->Finish().message(), "it is not lost");

  v1::JobProgress failed = Progress(v1::JOB_STATE_FAILED, 1);
  failed.set_error("disk on fire");
  master_.says = {failed};
  call = Call();
  Texts(call.get());
  EXPECT_EQ(call->Finish().message(), "disk on fire");
}

TEST_F(JobCallTest, NobodyThereIsSaid) {
  server_->Shutdown();
  const auto call = Call();
  EXPECT_EQ(Texts(call.get()), "");
  EXPECT_EQ(call->Finish().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(call->Finish().message()),
              HasSubstr("does not answer"));
}

TEST_F(JobCallTest, StopCancelsTheJobAndReadsOn) {
  master_.says = {Progress(v1::JOB_STATE_RUNNING, 1)};
  master_.waits = true;
  const auto call = Call();
  JobUpdate update;
  ASSERT_TRUE(call->Next(&update));
  EXPECT_TRUE(call->Stop().ok());
  ASSERT_TRUE(call->Next(&update));
  EXPECT_FALSE(call->Next(&update));
  EXPECT_EQ(call->Finish().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(call->Finish().message(), "the verify was stopped");
}

TEST_F(JobCallTest, DetachEndsTheWaitAndNotTheJob) {
  master_.says = {Progress(v1::JOB_STATE_RUNNING, 1)};
  master_.waits = true;
  const auto call = Call();
  JobUpdate update;
  ASSERT_TRUE(call->Next(&update));
  std::thread other([&] {
    absl::SleepFor(absl::Milliseconds(50));
    call->Detach();
  });
  EXPECT_FALSE(call->Next(&update));
  other.join();
}

TEST_F(JobCallTest, AMasterThatStartsAgainIsAskedAndJoined) {
  master_.says = {Progress(v1::JOB_STATE_RUNNING, 1)};
  master_.ends = {grpc::StatusCode::UNAVAILABLE, "stopping"};
  const auto call = Call();
  JobUpdate update;
  ASSERT_TRUE(call->Next(&update));
  server_->Shutdown();
  server_->Wait();
  // Meanwhile it has got on, and it tells the rest on a new stream.
  *master_.listed.add_jobs() = Progress(v1::JOB_STATE_RUNNING, 2);
  master_.says = {Progress(v1::JOB_STATE_DONE, 3)};
  master_.ends = grpc::Status::OK;
  std::thread later([&] {
    absl::SleepFor(absl::Milliseconds(300));
    Serve(port_);
  });
  ASSERT_TRUE(call->Next(&update));
  EXPECT_EQ(update.bar.done_count, 2);
  ASSERT_TRUE(call->Next(&update));
  EXPECT_EQ(update.bar.done_count, 3);
  EXPECT_FALSE(call->Next(&update));
  EXPECT_TRUE(call->Finish().ok()) << call->Finish();
  later.join();
}

TEST_F(JobCallTest, AJobThatEndedWhileTheStreamWasBrokenHasEnded) {
  master_.says = {Progress(v1::JOB_STATE_RUNNING, 1)};
  master_.ends = {grpc::StatusCode::UNAVAILABLE, "stopping"};
  *master_.listed.add_jobs() = Progress(v1::JOB_STATE_DONE, 4);
  const auto call = Call();
  JobUpdate update;
  ASSERT_TRUE(call->Next(&update));
  ASSERT_TRUE(call->Next(&update));
  EXPECT_EQ(update.bar.done_count, 4);
  EXPECT_FALSE(call->Next(&update));
  EXPECT_TRUE(call->Finish().ok()) << call->Finish();
}

TEST_F(JobCallTest, AMasterThatForgotTheJobIsNotAsked) {
  master_.says = {Progress(v1::JOB_STATE_RUNNING, 1)};
  master_.ends = {grpc::StatusCode::UNAVAILABLE, "stopping"};
  const auto call = Call();
  JobUpdate update;
  ASSERT_TRUE(call->Next(&update));
  EXPECT_FALSE(call->Next(&update));
  EXPECT_THAT(std::string(call->Finish().message()),
              HasSubstr("does not run any more"));
}

}  // namespace
}  // namespace cairn::admin
