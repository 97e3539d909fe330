// StoreService as other services' generated stubs see it: the example program,
// conditions and errors, pages, deadlines and clients that go away.

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "proto/cairn/v1/store.grpc.pb.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using grpc::StatusCode;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// A code, and a part of the sentence beside it.
MATCHER_P2(Fails, code, sentence, "") {
  *result_listener << "which is " << arg.error_code() << ": "
                   << arg.error_message();
  return arg.error_code() == code &&
         arg.error_message().find(sentence) != std::string::npos;
}
MATCHER(Succeeds, "") {
  *result_listener << "which is " << arg.error_code() << ": "
                   << arg.error_message();
  return arg.ok();
}

// Streams to the agents; one that is smaller rides in batches.
constexpr int kLarge = 300000;

v1::PutRequest HeaderOf(const std::string& key) {
  v1::PutRequest request;
  request.mutable_header()->set_key(key);
  return request;
}

class GrpcTest : public testing::Test {
 protected:
  struct Context : grpc::ClientContext {
    explicit Context(absl::Duration timeout = absl::Seconds(20)) {
      set_deadline(absl::ToChronoTime(absl::Now() + timeout));
    }
  };

  grpc::Status Put(const v1::PutRequest& header,
                   const std::vector<std::string>& pieces) {
    Context context;
    const auto writer = store_->Put(&context, &put_);
    bool sent = writer->Write(header);
    for (const std::string& piece : pieces) {
      v1::PutRequest request;
      request.set_data(piece);
      sent = sent && writer->Write(request);
    }
    if (sent) writer->WritesDone();
    return writer->Finish();
  }
  grpc::Status Put(const std::string& key, const std::string& value) {
    return Put(HeaderOf(key), {value});
  }

  grpc::Status Get(const std::string& key, int64_t offset, int64_t length,
                   std::string* value,
                   absl::Duration timeout = absl::Seconds(20)) {
    Context context(timeout);
    v1::GetRequest request;
    request.set_key(key);
    request.set_offset(offset);
    request.set_length(length);
    const auto reader = store_->Get(&context, request);
    value->clear();
    v1::GetResponse response;
    while (reader->Read(&response)) {
      EXPECT_EQ(response.has_stat(), value->empty());
      *value += response.data();
    }
    return reader->Finish();
  }
  std::string Value(const std::string& key) {
    std::string value;
    EXPECT_THAT(Get(key, 0, 0, &value), Succeeds()) << key;
    return value;
  }

  grpc::Status Stat(const std::string& key,
                    absl::Duration timeout = absl::Seconds(20)) {
    Context context(timeout);
    v1::StatRequest request;
    request.set_key(key);
    return store_->Stat(&context, request, &stat_);
  }
  grpc::Status Delete(const std::string& key,
                      const std::string& if_match = "") {
    Context context;
    v1::DeleteRequest request;
    request.set_key(key);
    request.set_if_match(if_match);
    v1::DeleteResponse response;
    return store_->Delete(&context, request, &response);
  }
  grpc::Status List(const v1::ListRequest& request) {
    Context context;
    return store_->List(&context, request, &list_);
  }

  // Disks matter to other tests: this starts faster.
  static ClusterOptions Options() {
    ClusterOptions options;
    options.subvolumes = 1;
    return options;
  }

  Cluster cluster_{Options()};
  TemporaryDirectory directory_;
  const std::unique_ptr<v1::StoreService::Stub> store_ =
      v1::StoreService::NewStub(grpc::CreateChannel(
          cluster_.master_address(), grpc::InsecureChannelCredentials()));
  // The last answers.
  v1::PutResponse put_;
  v1::StatResponse stat_;
  v1::ListResponse list_;
};

TEST_F(GrpcTest, TheExampleMovesAFileOf10MiBThereAndBack) {
  const std::string file = directory_.path() + "/some.file";
  const std::string back = directory_.path() + "/back.file";
  ASSERT_EQ(Shell("head -c 10485760 /dev/urandom >" + file).code, 0);
  const std::string example = absl::StrCat(
      "tests/store_stub_example --master=", cluster_.master_address(),
      " --key='a/10 MiB' --back=", back, " --file=");
  const Outcome outcome = Shell(example + file);
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_EQ(Shell("cmp " + file + " " + back).text, "");
  const std::string md5 = Shell("md5sum " + file).out.substr(0, 32);
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("put a/10 MiB: 10485760 bytes, new\n"),
                    HasSubstr("stat a/10 MiB: 10485760 bytes, etag " + md5),
                    HasSubstr("list a/10 MiB: a/10 MiB\n"),
                    HasSubstr("get a/10 MiB: 10485760 bytes\n"),
                    HasSubstr("delete a/10 MiB: gone\n")));
  EXPECT_THAT(Stat("a/10 MiB"), Fails(StatusCode::NOT_FOUND, ""));

  EXPECT_EQ(Shell(example + "/no/such/file").text,
            "store_stub_example: /no/such/file: cannot be read: give "
            "--file=PATH (gRPC code 13)\n");
  cluster_.Stop("master");
  const Outcome down = Shell(example + file);
  EXPECT_EQ(down.code, 1);
  EXPECT_THAT(down.text, HasSubstr("store_stub_example: put a/10 MiB: "));
}

TEST_F(GrpcTest, WhatIsPutHereIsReadOverHttpAndBack) {
  const std::string large(kLarge, 'l');
  v1::PutRequest header = HeaderOf("dir/a b");
  header.mutable_header()->mutable_metadata()->set_content_type("text/x-a");
  (*header.mutable_header()->mutable_metadata()->mutable_user())["colour"] =
      "blue";
  ASSERT_THAT(Put(header, {large.substr(0, 1000), large.substr(1000)}),
              Succeeds());
  EXPECT_FALSE(put_.replaced());
  EXPECT_EQ(put_.stat().size_bytes(), kLarge);
  EXPECT_THAT(put_.stat().replicas(), SizeIs(2));
  const int port = cluster_.gateway_port();
  const Reply head = Http(port, "HEAD /dir/a%20b HTTP/1.1\r\n");
  EXPECT_EQ(head.Header("ETag"), "\"" + put_.stat().etag() + "\"");
  EXPECT_EQ(head.Header("Content-Type"), "text/x-a");
  EXPECT_EQ(head.Header("x-cairn-meta-colour"), "blue");
  EXPECT_TRUE(HttpRead(port, "/dir/a%20b").body == large);

  ASSERT_EQ(HttpPut(port, "/dir/a%20b", "small",
                    "Content-Type: text/x-b\r\nx-cairn-meta-size: 5\r\n")
                .status,
            204);
  EXPECT_EQ(Value("dir/a b"), "small");
  ASSERT_THAT(Stat("dir/a b"), Succeeds());
  EXPECT_EQ(stat_.stat().metadata().content_type(), "text/x-b");
  EXPECT_EQ(stat_.stat().metadata().user().at("size"), "5");
  ASSERT_THAT(Put("dir/a b", "again"), Succeeds());
  EXPECT_TRUE(put_.replaced());
}

TEST_F(GrpcTest, APartOfAValueIsReadAndAnOffsetBeyondItIsOutOfRange) {
  std::string large;
  for (int i = 0; large.size() < kLarge; ++i) absl::StrAppend(&large, i, " ");
  for (const std::string& value : {std::string("0123456789"), large}) {
    ASSERT_THAT(Put("k", value), Succeeds());
    const int64_t size = value.size();
    std::string part;
    for (const auto& [offset, length] :
         std::vector<std::pair<int64_t, int64_t>>{
             {0, 1}, {3, 4}, {size - 1, 5}, {size, 0}, {size, 7}, {2, size}}) {
      EXPECT_THAT(Get("k", offset, length, &part), Succeeds());
      EXPECT_TRUE(part == value.substr(offset, length == 0 ? size : length))
          << offset << "+" << length << " of " << size;
    }
    EXPECT_THAT(Get("k", size + 1, 0, &part),
                Fails(StatusCode::OUT_OF_RANGE, absl::StrCat(size, " bytes")));
    EXPECT_THAT(Get("k", -1, 0, &part),
                Fails(StatusCode::INVALID_ARGUMENT, "not negative"));
    EXPECT_THAT(Get("k", 0, -1, &part),
                Fails(StatusCode::INVALID_ARGUMENT, "not negative"));
  }
}

TEST_F(GrpcTest, AMissingKeyIsNotFound) {
  std::string value;
  EXPECT_THAT(Get("none", 0, 0, &value), Fails(StatusCode::NOT_FOUND, "key"));
  EXPECT_THAT(Stat("none"), Fails(StatusCode::NOT_FOUND, "key"));
  EXPECT_THAT(Delete("none"), Fails(StatusCode::NOT_FOUND, "key"));
  ASSERT_THAT(Put("none", "now there"), Succeeds());
  ASSERT_THAT(Delete("none"), Succeeds());
  EXPECT_THAT(Stat("none"), Fails(StatusCode::NOT_FOUND, "key"));
}

TEST_F(GrpcTest, ConditionsHoldOrNothingChanges) {
  for (const std::string& value :
       {std::string("small"), std::string(kLarge, 'l')}) {
    v1::PutRequest header = HeaderOf("k");
    header.mutable_header()->set_must_be_new(true);
    ASSERT_THAT(Put(header, {value}), Succeeds());
    const std::string etag = put_.stat().etag();
    EXPECT_THAT(Put(header, {value, "other"}),
                Fails(StatusCode::ALREADY_EXISTS, "exists"));
    header.mutable_header()->set_must_be_new(false);
    header.mutable_header()->set_if_match(std::string(32, '0'));
    EXPECT_THAT(Put(header, {value, "other"}),
                Fails(StatusCode::FAILED_PRECONDITION, ""));
    EXPECT_THAT(Delete("k", std::string(32, '0')),
                Fails(StatusCode::FAILED_PRECONDITION, ""));
    EXPECT_TRUE(Value("k") == value);
    header.mutable_header()->set_if_match(etag);
    ASSERT_THAT(Put(header, {value, "new"}), Succeeds());
    EXPECT_TRUE(Value("k") == value + "new");
    EXPECT_THAT(Delete("k", put_.stat().etag()), Succeeds());
    EXPECT_THAT(Put(header, {value}),
                Fails(StatusCode::FAILED_PRECONDITION, ""));
  }
}

TEST_F(GrpcTest, OfManyPutsOfANewKeyOneSucceeds) {
  std::vector<std::thread> threads;
  std::vector<grpc::StatusCode> codes(8);
  for (size_t i = 0; i < codes.size(); ++i) {
    threads.emplace_back([this, &code = codes[i]] {
      Context context;
      v1::PutResponse response;
      const auto writer = store_->Put(&context, &response);
      v1::PutRequest header = HeaderOf("k");
      header.mutable_header()->set_must_be_new(true);
      writer->Write(header);
      writer->WritesDone();
      code = writer->Finish().error_code();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::count(codes.begin(), codes.end(), StatusCode::OK), 1);
  EXPECT_EQ(std::count(codes.begin(), codes.end(), StatusCode::ALREADY_EXISTS),
            7);
}

TEST_F(GrpcTest, WhatCanNeverSucceedIsInvalidAndSaysWhy) {
  const auto invalid = [](const std::string& why) {
    return Fails(StatusCode::INVALID_ARGUMENT, why);
  };
  EXPECT_THAT(Put("", "x"), invalid("key"));
  EXPECT_THAT(Put(std::string(1025, 'k'), "x"), invalid("at most 1024"));
  EXPECT_THAT(Put("k", std::string((1 << 20) + 1, 'x')), invalid("at most"));
  v1::PutRequest data;
  data.set_data("x");
  EXPECT_THAT(Put(data, {"y"}), invalid("header"));
  v1::PutRequest header = HeaderOf("k");
  header.mutable_header()->set_size_bytes_expected(3);
  EXPECT_THAT(Put(header, {"1234"}), invalid("announced"));
  EXPECT_THAT(Put(header, {"12"}), invalid("2 of 3 bytes"));
  header.mutable_header()->set_size_bytes_expected(-1);
  EXPECT_THAT(Put(header, {"1"}), invalid("at most"));
  header = HeaderOf("k");
  header.mutable_header()->set_if_match("no etag");
  EXPECT_THAT(Put(header, {"1"}), invalid("32 hexadecimal digits"));
  EXPECT_THAT(Delete("k", "no etag"), invalid("32 hexadecimal digits"));
  header = HeaderOf("k");
  auto* const user =
      header.mutable_header()->mutable_metadata()->mutable_user();
  (*user)["A b"] = "1";
  EXPECT_THAT(Put(header, {"1"}), invalid("A b"));
  user->erase("A b");
  (*user)["a"] = std::string(2048, 'x');
  EXPECT_THAT(Put(header, {"1"}), invalid("2048"));
  v1::ListRequest list;
  for (const int page_size : {-1, 10001}) {
    list.set_page_size(page_size);
    EXPECT_THAT(List(list), invalid("give 1 to 10000"));
  }
  EXPECT_THAT(Stat("k"), Fails(StatusCode::NOT_FOUND, ""));
}

TEST_F(GrpcTest, AListingHasPagesPrefixesAndDelimiters) {
  for (const char* key : {"a/1", "a/2", "a/b/3", "a\xff", "b"}) {
    ASSERT_THAT(Put(key, "x"), Succeeds());
  }
  v1::ListRequest request;
  request.set_page_size(2);
  std::vector<std::string> keys;
  do {
    ASSERT_THAT(List(request), Succeeds());
    EXPECT_LE(list_.keys_size(), 2);
    keys.insert(keys.end(), list_.keys().begin(), list_.keys().end());
    request.set_page_token(list_.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(keys, ElementsAre("a/1", "a/2", "a/b/3", "a\xff", "b"));
  request.Clear();
  request.set_prefix("a/");
  ASSERT_THAT(List(request), Succeeds());
  EXPECT_THAT(list_.keys(), ElementsAre("a/1", "a/2", "a/b/3"));
  request.set_delimiter("/");
  ASSERT_THAT(List(request), Succeeds());
  EXPECT_THAT(list_.keys(), ElementsAre("a/1", "a/2", "a/b/"));
}

// Whether the client or its deadline ends a put: no key and no file is left.
TEST_F(GrpcTest, AnUnfinishedPutLeavesNothing) {
  for (const bool cancel : {false, true}) {
    Context context(absl::Seconds(2));
    const auto writer = store_->Put(&context, &put_);
    ASSERT_TRUE(writer->Write(HeaderOf("unfinished")));
    v1::PutRequest piece;
    piece.set_data(std::string(kLarge, 'x'));
    ASSERT_TRUE(writer->Write(piece));
    ASSERT_TRUE(WaitUntil(absl::Seconds(2),
                          [&] { return cluster_.OpenUploads() > 0; }));
    if (cancel) context.TryCancel();
    EXPECT_THAT(writer->Finish(), Fails(cancel ? StatusCode::CANCELLED
                                               : StatusCode::DEADLINE_EXCEEDED,
                                        ""));
    EXPECT_TRUE(WaitUntil(absl::Seconds(10),
                          [&] { return cluster_.OpenUploads() == 0; }));
    EXPECT_THAT(Stat("unfinished"), Fails(StatusCode::NOT_FOUND, ""));
  }
  EXPECT_THAT(cluster_.BlobFiles(), IsEmpty());
}

TEST_F(GrpcTest, DeadlinesHoldWhileTheClusterHangsAndAllWorksAfterwards) {
  const std::string large(kLarge, 'l');
  ASSERT_THAT(Put("large", large), Succeeds());
  const auto signal_all = [&](const std::string& kind, int number) {
    for (const std::string& name : cluster_.names()) {
      if (name.find(kind) == 0) cluster_.process(name).Signal(number);
    }
  };
  std::string value;
  const absl::Time start = absl::Now();
  signal_all("volume", SIGSTOP);
  EXPECT_THAT(Get("large", 0, 0, &value, absl::Milliseconds(500)),
              Fails(StatusCode::DEADLINE_EXCEEDED, ""));
  EXPECT_THAT(Stat("large", absl::Seconds(5)), Succeeds());
  signal_all("master", SIGSTOP);
  EXPECT_THAT(Stat("large", absl::Milliseconds(500)),
              Fails(StatusCode::DEADLINE_EXCEEDED, ""));
  signal_all("master", SIGCONT);
  signal_all("volume", SIGCONT);
  EXPECT_LT(absl::Now() - start, absl::Seconds(10));
  cluster_.WaitReady();
  EXPECT_TRUE(Value("large") == large);
}

}  // namespace
}  // namespace cairn::tests
