#include "master/batch_handler.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/logging.h"

namespace cairn::master {
namespace {

void SetStatus(const absl::Status& status, v1::OpResult* result) {
  result->set_code(static_cast<int>(status.code()));
  if (!status.ok()) result->set_message(std::string(status.message()));
}

void SetFound(absl::StatusOr<index::Found>* found, bool with_value,
              v1::OpResult* result) {
  if (!found->ok()) return SetStatus(found->status(), result);
  index::Found& value = **found;
  if (value.record.tombstone()) {
    return SetStatus(absl::NotFoundError("no such key"), result);
  }
  *result->mutable_record() = std::move(value.record);
  if (!with_value || !value.has_value) return;
  result->set_has_inline_value(true);
  *result->mutable_inline_value() = std::move(value.value);
}

// Whether a lookup's answer says something about the key.
bool IsKnown(int code) {
  return code == static_cast<int>(absl::StatusCode::kOk) ||
         code == static_cast<int>(absl::StatusCode::kNotFound);
}

}  // namespace

// What is known of the client behind one stream, and where the answers to its
// commits and deletes gather until the end of their group.
class BatchHandler::Client final : public CommitSink, public DeleteSink {
 public:
  Client(BatchHandler* handler, Stream stream)
      : handler_(handler), stream_(std::move(stream)) {}

  void OnCommitted(int64_t op_id, index::MutationResult result) override {
    base::MutexLock lock(&mu_);
    v1::OpResult* out = response_.add_results();
    out->set_op_id(op_id);
    SetStatus(result.status, out);
    out->set_replaced(result.replaced);
    if (absl::IsAborted(result.status)) {
      *out->mutable_record() = std::move(result.current);
    }
  }

  void OnDeleted(int64_t op_id, absl::Status status) override {
    base::MutexLock lock(&mu_);
    v1::OpResult* out = response_.add_results();
    out->set_op_id(op_id);
    SetStatus(status, out);
  }

  // Of a group of commits or of one of deletes: all that has gathered goes.
  void OnGroupEnd() override {
    base::MutexLock lock(&mu_);
    if (response_.results_size() == 0) return;
    response_.set_index_time_ms(handler_->options_.now_ms());
    ops_waiting -= response_.results_size();
    stream_->Send(std::move(response_));
    response_.Clear();
  }

  Stream stream() const { return stream_; }

  // Operations that were taken and not answered yet.
  std::atomic<int64_t> ops_waiting{0};
  uint32_t writer_id = 0;  // Set before the hello is answered.
  // In the table of leases; 0: takes none. The stream's callbacks' own.
  int64_t lease_holder = 0;

 private:
  BatchHandler* const handler_;
  const Stream stream_;
  base::Mutex mu_;  // Send() only queues, so it may be called under it.
  v1::BatchResponse response_ ABSL_GUARDED_BY(mu_);
};

BatchHandler::BatchHandler(Options options) : options_(std::move(options)) {}

void BatchHandler::OnRequest(const Stream& stream, v1::BatchRequest* request) {
  if (draining_.load()) return;
  auto client = std::static_pointer_cast<Client>(stream->context);
  if (client == nullptr) {
    if (!request->has_hello()) {
      return stream->Fail(grpc::Status(
          grpc::StatusCode::INVALID_ARGUMENT,
          "the first message of a stream is a hello: send that first"));
    }
    client = std::make_shared<Client>(this, stream);
    stream->context = client;
    return OnHello(stream, client, request->hello());
  }
  KeepLeases(client, *request);
  if (request->lookups_size() > 0) LookUp(client, request);
  if (request->commits_size() > 0) Commit(client, request);
  if (request->deletes_size() > 0) Delete(client, request);
}

void BatchHandler::OnClosed(const Stream& stream) {
  // The client holds the stream, which holds the client.
  const auto closed = std::static_pointer_cast<Client>(stream->context);
  stream->context = nullptr;
  if (closed != nullptr && closed->lease_holder != 0) {
    options_.leases->RemoveHolder(closed->lease_holder);
  }
  base::MutexLock lock(&mu_);
  const auto it = clients_.find(stream.get());
  if (it == clients_.end()) return;
  const ClientPtr client = std::move(it->second);
  clients_.erase(it);
}

void BatchHandler::OnHello(const Stream& stream, const ClientPtr& client,
                           const v1::Hello& hello) {
  client->writer_id = hello.writer_id();
  if (client->writer_id == 0) {
    const auto drawn = options_.index->NextNumber("writer_id");
    if (!drawn.ok()) {
      return stream->Fail(
          grpc::Status(grpc::StatusCode::UNAVAILABLE,
                       absl::StrCat("the index does not answer: ",
                                    drawn.status().message())));
    }
    client->writer_id = static_cast<uint32_t>(*drawn);
    base::LogInfo("client ", hello.client_name(), " at ", stream->peer(),
                  " is writer ", client->writer_id);
  }
  {
    base::MutexLock lock(&mu_);
    clients_[stream.get()] = client;
    if (options_.membership->settling()) {
      hellos_waiting_.push_back(client);
      return;
    }
  }
  AnswerHello(client);
}

void BatchHandler::AnswerHello(const ClientPtr& client) {
  v1::BatchResponse response;
  response.mutable_hello()->set_writer_id(client->writer_id);
  response.mutable_hello()->set_cluster_id(
      options_.membership->view()->map.cluster_id());
  response.set_index_time_ms(options_.now_ms());
  client->stream()->Send(std::move(response));
}

void BatchHandler::Tick() {
  if (options_.membership->settling()) return;
  std::vector<ClientPtr> waiting;
  {
    base::MutexLock lock(&mu_);
    waiting.swap(hellos_waiting_);
  }
  for (const ClientPtr& client : waiting) AnswerHello(client);
}

void BatchHandler::KeepLeases(const ClientPtr& client,
                              const v1::BatchRequest& request) {
  for (const int64_t id : request.revocations_done()) {
    options_.leases->Acknowledge(id);
  }
  if (request.lease_renewal() == 0) return;
  if (client->lease_holder == 0) {
    client->lease_holder = options_.leases->AddHolder(
        [stream = client->stream()](const v1::Revocation& revocation) {
          v1::BatchResponse response;
          *response.add_revocations() = revocation;
          stream->Send(std::move(response));
        });
  }
  options_.leases->Renew(client->lease_holder);
  if (request.lookups_size() > 0) return;  // Its answer says so.
  v1::BatchResponse response;
  response.set_lease_renewal(request.lease_renewal());
  response.set_index_time_ms(options_.now_ms());
  client->stream()->Send(std::move(response));
}

void BatchHandler::LookUp(const ClientPtr& client, v1::BatchRequest* request) {
  const Stream stream = client->stream();
  const int count = request->lookups_size();
  bool with_values = false;
  std::vector<std::string> keys;
  std::vector<bool> leased(count);
  keys.reserve(count);
  for (v1::LookupOp& op : *request->mutable_lookups()) {
    with_values |= op.with_value();
    // Before the index is read, so that a write that comes in between knows.
    leased[keys.size()] =
        op.want_lease() && client->lease_holder != 0 &&
        options_.leases->Grant(client->lease_holder, op.key());
    keys.push_back(std::move(*op.mutable_key()));
  }
  absl::Status failed = options_.membership->CheckServing();
  std::vector<absl::StatusOr<index::Found>> found;
  if (failed.ok()) {
    auto answer = options_.index->Lookup(keys, with_values);
    if (answer.ok()) {
      found = *std::move(answer);
    } else {
      failed = absl::UnavailableError(absl::StrCat(
          "the index does not answer: ", answer.status().message()));
    }
  }
  v1::BatchResponse response;
  response.set_lease_renewal(request->lease_renewal());
  int64_t bytes = 0;
  for (int i = 0; i < count; ++i) {
    const v1::LookupOp& op = request->lookups(i);
    v1::OpResult* result = response.add_results();
    result->set_op_id(op.op_id());
    if (failed.ok()) {
      SetFound(&found[i], op.with_value(), result);
      result->set_leased(leased[i] && IsKnown(result->code()));
    } else {
      SetStatus(failed, result);
    }
    bytes += result->inline_value().size();
    // Large inlined values together would break gRPC's message limit.
    if (bytes < base::kBatchBytesMax) continue;
    response.set_index_time_ms(options_.now_ms());
    stream->Send(std::exchange(response, {}));
    bytes = 0;
  }
  if (response.results_size() == 0) return;
  response.set_index_time_ms(options_.now_ms());
  stream->Send(std::move(response));
}

bool BatchHandler::Admit(const ClientPtr& client,
                         const std::vector<int64_t>& op_ids) {
  const int64_t count = op_ids.size();
  if (client->ops_waiting.fetch_add(count) + count <= base::kOpsWaitingMax) {
    return true;
  }
  const absl::Status shed =
      absl::UnavailableError("too many operations wait; try again");
  for (const int64_t op_id : op_ids) client->OnDeleted(op_id, shed);
  client->OnGroupEnd();
  return false;
}

void BatchHandler::Commit(const ClientPtr& client, v1::BatchRequest* request) {
  std::vector<PendingCommit> commits;
  std::vector<int64_t> op_ids;
  commits.reserve(request->commits_size());
  for (v1::CommitOp& op : *request->mutable_commits()) {
    PendingCommit& commit = commits.emplace_back();
    commit.mutation.key = std::move(*op.mutable_key());
    commit.mutation.record = std::move(*op.mutable_record());
    commit.mutation.precondition = std::move(*op.mutable_precondition());
    commit.mutation.inline_value = std::move(*op.mutable_inline_value());
    commit.sink = client;
    commit.op_id = op.op_id();
    op_ids.push_back(op.op_id());
  }
  if (Admit(client, op_ids)) options_.commits->SubmitHere(std::move(commits));
}

void BatchHandler::Delete(const ClientPtr& client, v1::BatchRequest* request) {
  std::vector<PendingDelete> deletes;
  std::vector<int64_t> op_ids;
  deletes.reserve(request->deletes_size());
  for (v1::DeleteOp& op : *request->mutable_deletes()) {
    PendingDelete& one = deletes.emplace_back();
    one.key = std::move(*op.mutable_key());
    one.precondition = std::move(*op.mutable_precondition());
    one.sink = client;
    one.op_id = op.op_id();
    op_ids.push_back(op.op_id());
  }
  if (Admit(client, op_ids)) options_.deletes->Submit(std::move(deletes));
}

void BatchHandler::Drain(absl::Duration timeout) {
  draining_.store(true);
  const absl::Time deadline = absl::Now() + timeout;
  std::vector<ClientPtr> clients;
  {
    base::MutexLock lock(&mu_);
    hellos_waiting_.clear();
    for (const auto& [stream, client] : clients_) clients.push_back(client);
  }
  for (const ClientPtr& client : clients) {
    while (client->ops_waiting.load() > 0 && absl::Now() < deadline) {
      options_.leases->Tick();
      absl::SleepFor(absl::Milliseconds(5));
    }
    client->stream()->Fail(
        grpc::Status(grpc::StatusCode::UNAVAILABLE, "the master is stopping"));
  }
}

}  // namespace cairn::master
