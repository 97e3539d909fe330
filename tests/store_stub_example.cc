// How a program of yours talks to Cairn: it needs the generated stub of
// StoreService (proto/cairn/v1/store.proto) and gRPC, nothing else of Cairn.
//
// Puts a file under a key, asks what is known of the key, lists it, reads it
// back into another file and deletes it:
//
//   head -c 10485760 /dev/urandom >some.file
//   store_stub_example --master=127.0.0.1:3100 --key=example/file
//       --file=some.file --back=back.file
//
// Exit code 0, or 1 with a sentence that says what failed.

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/flags/parse.h"
#include "proto/cairn/v1/store.grpc.pb.h"

ABSL_FLAG(std::string, master, "127.0.0.1:3100", "host:port of the master");
ABSL_FLAG(std::string, key, "example/file",
          "the key; it is deleted in the end");
ABSL_FLAG(std::string, file, "", "the file to put");
ABSL_FLAG(std::string, back, "", "where to write the bytes that come back");

namespace {

namespace v1 = cairn::v1;
using Store = v1::StoreService::Stub;

// Of one message: Cairn takes at most 1 MiB; a quarter of it is as fast.
constexpr size_t kPieceBytes = 256 << 10;

// What a call may take, all of it. Always set one: without, a call to a
// server that hangs hangs with it. Scale it with the bytes you move.
void SetDeadline(grpc::ClientContext* context, std::chrono::seconds timeout) {
  context->set_deadline(std::chrono::system_clock::now() + timeout);
}

grpc::Status LocalError(const std::string& sentence) {
  return grpc::Status(grpc::StatusCode::INTERNAL, sentence);
}

// A put is a stream of messages: first the header, then the bytes. The answer
// comes when we end the stream; OK means that every replica has the value on
// disk. After UNAVAILABLE or DEADLINE_EXCEEDED the value may or may not be
// there: simply put it again.
grpc::Status Put(Store* store, const std::string& key, std::ifstream file) {
  grpc::ClientContext context;
  SetDeadline(&context, std::chrono::seconds(60));
  v1::PutResponse response;
  const auto writer = store->Put(&context, &response);

  v1::PutRequest message;
  message.mutable_header()->set_key(key);
  message.mutable_header()->mutable_metadata()->set_content_type(
      "application/octet-stream");
  (*message.mutable_header()->mutable_metadata()->mutable_user())["example"] =
      "yes";  // Over HTTP: x-cairn-meta-example: yes.
  bool sent = writer->Write(message);

  std::string piece(kPieceBytes, '\0');
  while (sent && file.read(piece.data(), piece.size()).gcount() > 0) {
    message.set_data(piece.data(), file.gcount());
    sent = writer->Write(message);
  }
  if (file.bad()) {
    context.TryCancel();  // Nothing of the value becomes visible.
    return LocalError("the file cannot be read to its end");
  }
  // If sent is false the server has ended the call: Finish() says why.
  if (sent) writer->WritesDone();
  const grpc::Status status = writer->Finish();
  if (!status.ok()) return status;
  printf("put %s: %lld bytes, %s\n", key.c_str(),
         static_cast<long long>(response.stat().size_bytes()),
         response.replaced() ? "replaced" : "new");
  return status;
}

// The ETag is the MD5 of the bytes, as `md5sum` prints it.
grpc::Status Stat(Store* store, const std::string& key) {
  grpc::ClientContext context;
  SetDeadline(&context, std::chrono::seconds(10));
  v1::StatRequest request;
  request.set_key(key);
  v1::StatResponse response;
  const grpc::Status status = store->Stat(&context, request, &response);
  if (!status.ok()) return status;
  printf("stat %s: %lld bytes, etag %s, type %s\n", key.c_str(),
         static_cast<long long>(response.stat().size_bytes()),
         response.stat().etag().c_str(),
         response.stat().metadata().content_type().c_str());
  for (const std::string& replica : response.stat().replicas()) {
    printf("  replica on %s\n", replica.c_str());
  }
  return status;
}

// A listing comes in pages. The token of the next page stays good while keys
// come and go.
grpc::Status List(Store* store, const std::string& prefix) {
  v1::ListRequest request;
  request.set_prefix(prefix);
  do {
    grpc::ClientContext context;  // One for each call.
    SetDeadline(&context, std::chrono::seconds(10));
    v1::ListResponse response;
    const grpc::Status status = store->List(&context, request, &response);
    if (!status.ok()) return status;
    for (const std::string& key : response.keys()) {
      printf("list %s: %s\n", prefix.c_str(), key.c_str());
    }
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  return grpc::Status::OK;
}

// A get is a stream, too: `stat` in the first message, then the bytes. Believe
// them only when Finish() is OK: a stream may break off in the middle.
grpc::Status Get(Store* store, const std::string& key, std::ofstream file) {
  grpc::ClientContext context;
  SetDeadline(&context, std::chrono::seconds(60));
  v1::GetRequest request;  // With offset and length: a part of the value.
  request.set_key(key);
  const auto reader = store->Get(&context, request);
  long long bytes = 0;
  v1::GetResponse message;
  while (reader->Read(&message)) {
    file << message.data();
    bytes += static_cast<long long>(message.data().size());
  }
  const grpc::Status status = reader->Finish();
  if (!status.ok()) return status;
  file.close();
  if (!file) return LocalError("the bytes cannot be written");
  printf("get %s: %lld bytes\n", key.c_str(), bytes);
  return status;
}

// OK: the key never comes back. NOT_FOUND would mean that there was none.
grpc::Status Delete(Store* store, const std::string& key) {
  grpc::ClientContext context;
  SetDeadline(&context, std::chrono::seconds(10));
  v1::DeleteRequest request;
  request.set_key(key);
  v1::DeleteResponse response;
  const grpc::Status status = store->Delete(&context, request, &response);
  if (status.ok()) printf("delete %s: gone\n", key.c_str());
  return status;
}

int Fail(const std::string& what, const grpc::Status& status) {
  fprintf(stderr, "store_stub_example: %s: %s (gRPC code %d)\n", what.c_str(),
          status.error_message().c_str(), status.error_code());
  return 1;
}

int Run() {
  const std::string key = absl::GetFlag(FLAGS_key);
  const std::string path = absl::GetFlag(FLAGS_file);
  const std::string back = absl::GetFlag(FLAGS_back);
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(path, LocalError("cannot be read: give --file=PATH"));
  std::ofstream out(back, std::ios::binary);
  if (!out) return Fail(back, LocalError("cannot be made: give --back=PATH"));

  // One channel serves all calls of all threads of a program.
  const std::unique_ptr<Store> store =
      v1::StoreService::NewStub(grpc::CreateChannel(
          absl::GetFlag(FLAGS_master), grpc::InsecureChannelCredentials()));
  grpc::Status status = Put(store.get(), key, std::move(in));
  if (!status.ok()) return Fail("put " + key, status);
  status = Stat(store.get(), key);
  if (!status.ok()) return Fail("stat " + key, status);
  status = List(store.get(), key);
  if (!status.ok()) return Fail("list " + key, status);
  status = Get(store.get(), key, std::move(out));
  if (!status.ok()) return Fail("get " + key, status);
  status = Delete(store.get(), key);
  if (!status.ok()) return Fail("delete " + key, status);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  absl::ParseCommandLine(argc, argv);
  return Run();
}
