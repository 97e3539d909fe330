#include "admin/session.h"

#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "admin/files.h"
#include "base/status.h"
#include "rpc/server.h"

namespace cairn::admin {
namespace {

// A person waits no longer to hear that the address is wrong.
constexpr absl::Duration kConnectDeadline = absl::Seconds(5);

absl::Status NoAnswer(const std::string& master) {
  return absl::UnavailableError(absl::StrCat(
      "the master at ", master,
      " does not answer: is it running? --master or CAIRN_MASTER names "
      "another"));
}

void SetDeadline(absl::Duration timeout, grpc::ClientContext* context) {
  context->set_wait_for_ready(true);
  context->set_deadline(std::chrono::system_clock::now() +
                        absl::ToChronoMilliseconds(timeout));
}

}  // namespace

int Report(const absl::Status& status) {
  if (status.ok()) return kDone;
  std::fprintf(stderr, "cairn: %s\n", std::string(status.message()).c_str());
  switch (status.code()) {
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAlreadyExists:
      return kNo;
    default:
      return kFailed;
  }
}

absl::Status OfFile(const absl::Status& status) {
  if (status.ok()) return status;
  return absl::InternalError(status.message());
}

absl::Status Print(absl::string_view text) {
  ASSIGN_OR_RETURN(OutputFile out, OutputFile::Open("-"));
  return OfFile(out.Write(text));
}

absl::StatusOr<Session> Connect(const std::string& master) {
  Session session;
  session.metadata = client::NewGrpcMetadataClient({master, "cairn"});
  if (!session.metadata->WaitReady(kConnectDeadline).ok()) {
    return NoAnswer(master);
  }
  const auto view = session.metadata->view();
  if (!view->unavailable_reason.empty()) {
    return absl::UnavailableError(view->unavailable_reason);
  }
  session.client = client::NewStoreClient(session.metadata.get());
  session.store = std::make_unique<BlockingStore>(session.client.get());
  return session;
}

AdminClient::AdminClient(const std::string& master)
    : master_(master),
      stub_(v1::AdminService::NewStub(rpc::NewChannel(master, "admin"))) {}

absl::Status AdminClient::FromCall(const grpc::Status& status) const {
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED ||
      status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return NoAnswer(master_);
  }
  return rpc::FromGrpc(status);
}

absl::StatusOr<v1::GetStatusResponse> AdminClient::GetStatus() {
  grpc::ClientContext context;
  SetDeadline(kConnectDeadline, &context);
  v1::GetStatusResponse response;
  RETURN_IF_ERROR(
      FromCall(stub_->GetStatus(&context, v1::GetStatusRequest(), &response)));
  return response;
}

absl::StatusOr<v1::ListVolumesResponse> AdminClient::ListVolumes(
    absl::Duration timeout) {
  v1::ListVolumesResponse all;
  v1::ListVolumesRequest request;
  do {
    grpc::ClientContext context;
    SetDeadline(timeout, &context);
    v1::ListVolumesResponse page;
    RETURN_IF_ERROR(FromCall(stub_->ListVolumes(&context, request, &page)));
    request.set_page_token(page.next_page_token());
    for (v1::Volume& volume : *page.mutable_volumes()) {
      *all.add_volumes() = std::move(volume);
    }
  } while (!request.page_token().empty());
  return all;
}

absl::StatusOr<v1::ListJobsResponse> AdminClient::ListJobs() {
  grpc::ClientContext context;
  SetDeadline(kConnectDeadline, &context);
  v1::ListJobsResponse response;
  RETURN_IF_ERROR(
      FromCall(stub_->ListJobs(&context, v1::ListJobsRequest(), &response)));
  return response;
}

absl::Status AdminClient::CancelJob(int64_t job_id) {
  grpc::ClientContext context;
  SetDeadline(kConnectDeadline, &context);
  v1::CancelJobRequest request;
  request.set_job_id(job_id);
  v1::CancelJobResponse response;
  return FromCall(stub_->CancelJob(&context, request, &response));
}

absl::Status AdminClient::UndrainVolume(const std::string& volume_id) {
  grpc::ClientContext context;
  SetDeadline(kConnectDeadline, &context);
  v1::UndrainVolumeRequest request;
  request.set_volume_id(volume_id);
  v1::UndrainVolumeResponse response;
  return rpc::FromGrpc(stub_->UndrainVolume(&context, request, &response));
}

absl::Status AdminClient::RemoveVolume(const std::string& volume_id,
                                       bool dry_run) {
  grpc::ClientContext context;
  SetDeadline(absl::Minutes(10), &context);
  v1::RemoveVolumeRequest request;
  request.set_volume_id(volume_id);
  request.set_dry_run(dry_run);
  v1::RemoveVolumeResponse response;
  return rpc::FromGrpc(stub_->RemoveVolume(&context, request, &response));
}

}  // namespace cairn::admin
