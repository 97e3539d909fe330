#include "admin/commands.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "admin/blocking_store.h"
#include "admin/files.h"
#include "admin/text.h"
#include "base/blob_name.h"
#include "base/status.h"
#include "client/metadata_client.h"
#include "client/store_client.h"
#include "proto/cairn/v1/admin.grpc.pb.h"
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

// What a command needs to speak to the cluster, in the order in which it is
// made and, backwards, ended.
struct Session {
  std::unique_ptr<client::MetadataClient> metadata;
  std::unique_ptr<client::StoreClient> client;
  std::unique_ptr<BlockingStore> store;
};

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

absl::StatusOr<std::string> KeyOf(const std::string& argument, bool escaped) {
  if (!escaped) return argument;
  return base::Unescape(argument);
}

// The key as people read it in messages.
absl::Status AboutKey(const absl::Status& status, const std::string& key) {
  return base::Annotate(status, base::EscapeKeyForUrl(key));
}

// An error of a file of this machine: a failure, whatever its code. A missing
// file must not look like a missing key.
absl::Status OfFile(const absl::Status& status) {
  if (status.ok()) return status;
  return absl::InternalError(status.message());
}

absl::StatusOr<client::PutOptions> PutOptionsOf(const Arguments& arguments) {
  client::PutOptions options;
  options.metadata.set_content_type(arguments.content_type);
  options.precondition.set_absent(arguments.if_new);
  for (const std::string& pair : arguments.meta) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--meta ", pair, ": give it as NAME=VALUE"));
    }
    const std::string name = absl::AsciiStrToLower(pair.substr(0, equals));
    (*options.metadata.mutable_user())[name] = pair.substr(equals + 1);
  }
  return options;
}

absl::Status Put(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string key,
                   KeyOf(arguments.key, arguments.escaped));
  RETURN_IF_ERROR(base::CheckKey(key));
  ASSIGN_OR_RETURN(client::PutOptions options, PutOptionsOf(arguments));
  auto file = InputFile::Open(arguments.file);
  RETURN_IF_ERROR(OfFile(file.status()));
  ASSIGN_OR_RETURN(const Session session, Connect(arguments.master));
  const auto outcome = session.store->Put(
      key, [&](char* buffer, size_t size) { return file->Read(buffer, size); },
      file->size_bytes(), std::move(options));
  return AboutKey(outcome.status(), key);
}

absl::Status Get(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string key,
                   KeyOf(arguments.key, arguments.escaped));
  ASSIGN_OR_RETURN(const Session session, Connect(arguments.master));
  // Before anything is created: no file for a key that is missing.
  RETURN_IF_ERROR(AboutKey(session.store->Stat(key).status(), key));
  auto file = OutputFile::Open(arguments.file);
  RETURN_IF_ERROR(OfFile(file.status()));
  RETURN_IF_ERROR(AboutKey(
      session.store->Get(
          key, [&](absl::string_view bytes) { return file->Write(bytes); }),
      key));
  return OfFile(file->Commit());
}

absl::Status List(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string prefix,
                   KeyOf(arguments.key, arguments.escaped));
  ASSIGN_OR_RETURN(const Session session, Connect(arguments.master));
  ASSIGN_OR_RETURN(OutputFile out, OutputFile::Open("-"));
  std::string start;
  do {
    ASSIGN_OR_RETURN(const v1::ListKeysResponse page,
                     session.store->List(prefix, start));
    std::string lines;
    for (const std::string& key : page.keys()) {
      absl::StrAppend(&lines, base::EscapeKeyForUrl(key), "\n");
    }
    RETURN_IF_ERROR(out.Write(lines));
    start = page.next();
  } while (!start.empty());
  return absl::OkStatus();
}

absl::Status Stat(const Arguments& arguments) {
  ASSIGN_OR_RETURN(const std::string key,
                   KeyOf(arguments.key, arguments.escaped));
  ASSIGN_OR_RETURN(const Session session, Connect(arguments.master));
  const auto record = session.store->Stat(key);
  RETURN_IF_ERROR(AboutKey(record.status(), key));
  const auto view = session.metadata->view();
  ASSIGN_OR_RETURN(OutputFile out, OutputFile::Open("-"));
  return out.Write(arguments.json ? StatJson(key, *record, view->map)
                                  : StatText(key, *record, view->map));
}

// Its own call and not a Session: answers also while the index is lost.
absl::StatusOr<v1::GetStatusResponse> GetStatus(const std::string& master) {
  const auto stub = v1::AdminService::NewStub(rpc::NewChannel(master, "admin"));
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() +
                       absl::ToChronoMilliseconds(kConnectDeadline));
  v1::GetStatusResponse response;
  const grpc::Status status =
      stub->GetStatus(&context, v1::GetStatusRequest(), &response);
  if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED ||
      status.error_code() == grpc::StatusCode::UNAVAILABLE) {
    return NoAnswer(master);
  }
  RETURN_IF_ERROR(rpc::FromGrpc(status));
  return response;
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

int RunPut(const Arguments& arguments) { return Report(Put(arguments)); }

int RunGet(const Arguments& arguments) { return Report(Get(arguments)); }

int RunList(const Arguments& arguments) { return Report(List(arguments)); }

int RunStat(const Arguments& arguments) { return Report(Stat(arguments)); }

int RunRemove(const Arguments& arguments) {
  const auto session = Connect(arguments.master);
  if (!session.ok()) return Report(session.status());
  int worst = kDone;
  for (const std::string& argument : arguments.keys) {
    const auto key = KeyOf(argument, arguments.escaped);
    const absl::Status status =
        key.ok() ? AboutKey(session->store->Delete(*key), *key)
                 : base::Annotate(key.status(), argument);
    worst = std::max(worst, Report(status));
  }
  return worst;
}

int RunStatus(const Arguments& arguments) {
  const auto status = GetStatus(arguments.master);
  if (!status.ok()) return Report(status.status());
  const std::string text =
      arguments.json ? StatusJson(*status) : StatusText(*status);
  std::fputs(text.c_str(), stdout);
  if (std::fflush(stdout) != 0) {
    return Report(absl::UnavailableError("cannot write the status"));
  }
  return status->ready() ? kDone : kNo;
}

}  // namespace cairn::admin
