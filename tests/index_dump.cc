#include "tests/index_dump.h"

#include <google/protobuf/text_format.h>
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "proto/cairn/v1/metadata.grpc.pb.h"

namespace cairn::tests {
namespace {

std::string TextOf(v1::Record record) {
  std::sort(record.mutable_replicas()->begin(),
            record.mutable_replicas()->end(),
            [](const v1::SubvolumeId& a, const v1::SubvolumeId& b) {
              return a.volume_id() < b.volume_id();
            });
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::string text;
  printer.PrintToString(record, &text);
  return text;
}

}  // namespace

std::map<std::string, std::string> DumpIndex(
    const std::string& master_address) {
  const auto stub = v1::MetadataService::NewStub(
      grpc::CreateChannel(master_address, grpc::InsecureChannelCredentials()));
  std::map<std::string, std::string> dump;
  v1::ListKeysRequest request;
  request.set_with_records(true);
  do {
    grpc::ClientContext context;
    v1::ListKeysResponse page;
    const grpc::Status status = stub->ListKeys(&context, request, &page);
    if (!status.ok()) {
      fprintf(stderr, "listing the index: %s\n",
              status.error_message().c_str());
      abort();
    }
    for (int i = 0; i < page.keys_size(); ++i) {
      dump[page.keys(i)] = TextOf(page.records(i));
    }
    request.set_start(page.next());
  } while (!request.start().empty());
  return dump;
}

std::string DifferenceOf(const std::map<std::string, std::string>& before,
                         const std::map<std::string, std::string>& after) {
  std::string text;
  for (const auto& [key, record] : before) {
    const auto it = after.find(key);
    if (it != after.end() && it->second == record) continue;
    absl::StrAppend(&text, absl::CHexEscape(key), "\n  was ", record,
                    "\n  is  ", it == after.end() ? "gone" : it->second, "\n");
  }
  for (const auto& [key, record] : after) {
    if (before.count(key) > 0) continue;
    absl::StrAppend(&text, absl::CHexEscape(key), "\n  is new: ", record, "\n");
  }
  return text;
}

}  // namespace cairn::tests
