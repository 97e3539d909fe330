// Lanes to a real batch server that answers when the test says so.

#include "rpc/op_lane.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "proto/cairn/v1/metadata.grpc.pb.h"
#include "rpc/batch_server.h"
#include "rpc/cork.h"
#include "rpc/event_loop.h"
#include "rpc/server.h"

namespace cairn::rpc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Lane = OpLane<v1::BatchRequest, v1::BatchResponse, v1::OpResult>;

// Keeps what comes, a line a message, and answers it on demand.
class Server : private BatchHandler<v1::BatchRequest, v1::BatchResponse> {
 public:
  // Port 0: any.
  explicit Server(const std::string& address = "127.0.0.1:0")
      : loop_(&builder_),
        batches_(this, [this](auto* context, auto* stream, void* tag) {
          auto* const cq = loop_.server_cq();
          service_.RequestBatch(context, stream, cq, cq, tag);
        }) {
    ConfigureServer(&builder_);
    builder_.AddListeningPort(address, grpc::InsecureServerCredentials(),
                              &port_);
    builder_.RegisterService(&service_);
    server_ = builder_.BuildAndStart();
    batches_.Start();
  }
  ~Server() override {
    server_->Shutdown(std::chrono::system_clock::now());
    batches_.Stop();
    base::MutexLock lock(&mu_);
    messages_.clear();
  }

  std::string address() const { return absl::StrCat("127.0.0.1:", port_); }

  // Waits for so many messages in all; their keys, "a b".
  std::vector<std::string> Messages(size_t count) {
    base::MutexLock lock(&mu_);
    while (messages_.size() < count) changed_.Wait(&mu_);
    std::vector<std::string> texts;
    for (const Message& message : messages_) {
      texts.push_back(absl::StrJoin(
          message.request.lookups(), " ",
          [](std::string* out, const v1::LookupOp& op) { *out += op.key(); }));
    }
    return texts;
  }

  // Answers message `i`; each operation's text is its key.
  void Answer(size_t i) {
    base::MutexLock lock(&mu_);
    v1::BatchResponse response;
    for (const v1::LookupOp& op : messages_[i].request.lookups()) {
      v1::OpResult* const result = response.add_results();
      result->set_op_id(op.op_id());
      result->set_message(op.key());
    }
    messages_[i].stream->Send(std::move(response));
  }

  // Ends the stream of message `i`.
  void Break(size_t i) {
    base::MutexLock lock(&mu_);
    messages_[i].stream->Fail(
        grpc::Status(grpc::StatusCode::UNAVAILABLE, "broken by the test"));
  }

 private:
  struct Message {
    Stream stream;
    v1::BatchRequest request;
  };
  void OnRequest(const Stream& stream, v1::BatchRequest* request) override {
    base::MutexLock lock(&mu_);
    messages_.push_back({stream, *request});
    changed_.SignalAll();
  }

  base::Mutex mu_;
  base::CondVar changed_;
  std::vector<Message> messages_ ABSL_GUARDED_BY(mu_);
  int port_ = 0;
  v1::MetadataService::WithAsyncMethod_Batch<v1::MetadataService::Service>
      service_;
  grpc::ServerBuilder builder_;
  EventLoop loop_;
  BatchServer<v1::BatchRequest, v1::BatchResponse> batches_;
  std::unique_ptr<grpc::Server> server_;
};

class OpLaneTest : public testing::Test {
 protected:
  void Connect(const std::string& address, bool wait_for_peer) {
    stub_ = v1::MetadataService::NewStub(NewChannel(address));
    Lane::Options options;
    options.loop = &loop_;
    options.peer = "the server";
    options.wait_for_peer = wait_for_peer;
    options.prepare = [this](grpc::ClientContext* context,
                             grpc::CompletionQueue* cq) {
      return stub_->PrepareAsyncBatch(context, cq);
    };
    lane_ = std::make_shared<Lane>(std::move(options));
    lane_->Start();
  }
  void TearDown() override {
    if (lane_ != nullptr) lane_->Stop();
  }

  void Submit(const std::string& key, bool repeat = false,
              absl::Duration timeout = absl::Seconds(30)) {
    lane_->Submit(
        [key](int64_t op_id, v1::BatchRequest* request) {
          request->add_lookups()->set_op_id(op_id);
          request->mutable_lookups()->rbegin()->set_key(key);
        },
        /*bytes=*/1, repeat, absl::Now() + timeout,
        [this, key](absl::StatusOr<v1::OpResult> result) {
          base::MutexLock lock(&mu_);
          outcomes_[key] =
              result.ok() ? result->message() : result.status().ToString();
          changed_.SignalAll();
        });
  }
  // Needs no answer; a lookup without an id, so that Messages() shows it.
  void Note(const std::string& text, bool hurry) {
    const Lane::Add add = [text](int64_t, v1::BatchRequest* request) {
      request->add_lookups()->set_key(text);
    };
    hurry ? lane_->SubmitUnanswered(add) : lane_->SubmitUnhurried(add);
  }
  std::string Outcome(const std::string& key) {
    base::MutexLock lock(&mu_);
    while (outcomes_.count(key) == 0) changed_.Wait(&mu_);
    return outcomes_[key];
  }

  base::Mutex mu_;
  base::CondVar changed_;
  std::map<std::string, std::string> outcomes_ ABSL_GUARDED_BY(mu_);
  EventLoop loop_;
  std::unique_ptr<v1::MetadataService::Stub> stub_;
  std::shared_ptr<Lane> lane_;
};

TEST_F(OpLaneTest, WhatComesWhileABatchIsUnderWayFormsTheNext) {
  Server server;
  Connect(server.address(), /*wait_for_peer=*/true);
  Submit("a");
  EXPECT_THAT(server.Messages(1), ElementsAre("a"));
  for (const char* key : {"b", "c", "d"}) Submit(key);
  server.Answer(0);
  EXPECT_EQ(Outcome("a"), "a");
  EXPECT_THAT(server.Messages(2), ElementsAre("a", "b c d"));
  server.Answer(1);
  EXPECT_EQ(Outcome("d"), "d");
}

TEST_F(OpLaneTest, WhatIsSubmittedUnderACorkLeavesAsOneBatch) {
  Server server;
  Connect(server.address(), /*wait_for_peer=*/true);
  Submit("first");
  server.Messages(1);
  server.Answer(0);
  EXPECT_EQ(Outcome("first"), "first");
  {
    const Cork cork;
    Submit("a");
    {
      const Cork inner;  // The outer one holds on.
      Submit("b");
    }
    Submit("c");
  }
  EXPECT_THAT(server.Messages(2), ElementsAre("first", "a b c"));
  server.Answer(1);
  EXPECT_EQ(Outcome("c"), "c");
  Cork::Hold();
  Submit("d");
  Cork::Hold();
  Submit("e");
  Cork::Release();
  EXPECT_THAT(server.Messages(3), ElementsAre("first", "a b c", "d e"));
}

TEST_F(OpLaneTest, AfterABreakOnlyWhatMayBeRepeatedIsSentAgain) {
  Server server;
  Connect(server.address(), /*wait_for_peer=*/true);
  {
    const Cork cork;
    Submit("once");
    Submit("again", /*repeat=*/true);
  }
  EXPECT_THAT(server.Messages(1), ElementsAre("once again"));
  Submit("waiting");  // Never sent: it may go to the next stream.
  server.Break(0);
  EXPECT_THAT(Outcome("once"), HasSubstr("UNAVAILABLE"));
  EXPECT_THAT(server.Messages(2), ElementsAre("once again", "again waiting"));
  server.Answer(1);
  EXPECT_EQ(Outcome("again"), "again");
  EXPECT_EQ(Outcome("waiting"), "waiting");
}

TEST_F(OpLaneTest, APeerThatIsNotWaitedForFailsAtOnceUntilItIsBack) {
  std::string address;
  {
    Server server;
    address = server.address();
    Connect(address, /*wait_for_peer=*/false);
    Submit("a");
    server.Messages(1);
    server.Answer(0);
    EXPECT_EQ(Outcome("a"), "a");
  }
  while (!lane_->down()) absl::SleepFor(absl::Milliseconds(1));
  Submit("b");
  EXPECT_THAT(Outcome("b"), HasSubstr("the server does not answer"));
  Server server(address);
  while (lane_->down()) absl::SleepFor(absl::Milliseconds(1));
  Submit("c");
  EXPECT_THAT(server.Messages(1), ElementsAre("c"));
  server.Answer(0);
  EXPECT_EQ(Outcome("c"), "c");
}

TEST_F(OpLaneTest, AnOperationEndsAtItsDeadlineWhereverItIs) {
  Server server;
  Connect(server.address(), /*wait_for_peer=*/true);
  Submit("sent", /*repeat=*/true, absl::Milliseconds(300));
  server.Messages(1);
  Submit("waiting", /*repeat=*/true, absl::Milliseconds(50));
  EXPECT_THAT(Outcome("sent"), HasSubstr("did not answer in time"));
  EXPECT_THAT(Outcome("waiting"), HasSubstr("did not answer in time"));
  // The batch whose answer never came holds up nobody.
  Submit("next");
  EXPECT_THAT(server.Messages(2), ElementsAre("sent", "next"));
  server.Answer(0);  // Too late: dropped.
  server.Answer(1);
  EXPECT_EQ(Outcome("next"), "next");
}

TEST_F(OpLaneTest, StopFailsWhatWaitsAndWhatComes) {
  Server server;
  Connect(server.address(), /*wait_for_peer=*/true);
  Submit("sent", /*repeat=*/true);
  server.Messages(1);
  Submit("waiting");
  lane_->Stop();
  Submit("late");
  for (const char* key : {"sent", "waiting", "late"}) {
    EXPECT_THAT(Outcome(key), HasSubstr("UNAVAILABLE")) << key;
  }
}

TEST_F(OpLaneTest, WhatIsInNoHurryWaitsForTheNextOperation) {
  Server server;
  Connect(server.address(), /*wait_for_peer=*/true);
  Submit("first");
  server.Messages(1);
  server.Answer(0);
  EXPECT_EQ(Outcome("first"), "first");
  {
    const Cork cork;  // No tick comes in between.
    Note("note", /*hurry=*/false);
    Submit("second");
  }
  EXPECT_THAT(server.Messages(2), ElementsAre("first", "note second"));
}

TEST_F(OpLaneTest, WhatNeedsNoAnswerLeavesWithoutAnOperation) {
  Server server;
  Connect(server.address(), /*wait_for_peer=*/true);
  Note("soon", /*hurry=*/true);
  EXPECT_THAT(server.Messages(1), ElementsAre("soon"));
  Note("at a tick", /*hurry=*/false);
  EXPECT_THAT(server.Messages(2), ElementsAre("soon", "at a tick"));
}

TEST_F(OpLaneTest, StopSendsWhatNeedsNoAnswer) {
  Server server;
  Connect(server.address(), /*wait_for_peer=*/true);
  Submit("first");
  server.Messages(1);
  server.Answer(0);
  EXPECT_EQ(Outcome("first"), "first");
  Note("last", /*hurry=*/false);
  lane_->Stop();
  EXPECT_THAT(server.Messages(2), ElementsAre("first", "last"));
}

}  // namespace
}  // namespace cairn::rpc
