#include "gateway/get_handler.h"

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/blob_name.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/status.h"
#include "gateway/byte_range.h"
#include "gateway/http/read_ahead.h"
#include "gateway/proxy_source.h"
#include "gateway/redirect.h"
#include "gateway/value_headers.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::gateway {
namespace {

// What one lookup found, and how often the key was looked up.
struct Found {
  client::GetOutcome outcome;
  std::shared_ptr<const client::ClusterView> view;
  int lookups = 1;

  const v1::Record& record() const { return outcome.record; }
};

void LookUp(const CallPtr& call, int lookups, base::Version last_version);

// Spreads readers over the replicas.
uint64_t NextSalt() {
  static std::atomic<uint64_t> counter{0};
  return counter.fetch_add(1, std::memory_order_relaxed);
}

ByteRange RangeOf(const Call& call, const v1::Record& record) {
  const http::RequestHead& head = call.head();
  const absl::string_view range = head.Header("range");
  if (range.empty() || (head.HasHeader("if-range") &&
                        !IfRangeHolds(head.Header("if-range"), EtagOf(record),
                                      MtimeOf(record)))) {
    return ByteRange();
  }
  return ParseByteRange(range, record.size_bytes());
}

// The head of a 200 or 206, or a whole 416. False: it is the 416.
bool BeginResponse(const Call& call, const Found& found, ByteRange* range,
                   http::Response* response) {
  const v1::Record& record = found.record();
  *range = RangeOf(call, record);
  if (range->kind == ByteRange::Kind::kUnsatisfiable) {
    *response = http::ProblemResponse(
        416, absl::StrCat("the Range asks for nothing that the value has: it "
                          "is ",
                          record.size_bytes(), " bytes long"));
    response->headers.emplace_back("Content-Range",
                                   ContentRange(*range, record.size_bytes()));
    return false;
  }
  AddValidators(record, &response->headers);
  AddRepresentation(record, &response->headers);
  AddCairnHeaders(found.view->map, call.target.key, record, &response->headers);
  if (range->kind == ByteRange::Kind::kPart) {
    response->status = 206;
    response->headers.emplace_back("Content-Range",
                                   ContentRange(*range, record.size_bytes()));
  } else {
    response->headers.emplace_back("Accept-Ranges", "bytes");
    range->length = record.size_bytes();
  }
  return true;
}

void RespondInline(const Call& call, Found found) {
  http::Response response;
  ByteRange range;
  if (BeginResponse(call, found, &range, &response)) {
    std::string& value = found.outcome.value;
    response.body = range.kind == ByteRange::Kind::kPart
                        ? value.substr(range.offset, range.length)
                        : std::move(value);
    call.note->replica = "index";
  }
  call.Respond(std::move(response));
}

void RespondHead(const Call& call, const Found& found) {
  http::Response response;
  AddValidators(found.record(), &response.headers);
  AddRepresentation(found.record(), &response.headers);
  AddCairnHeaders(found.view->map, call.target.key, found.record(),
                  &response.headers);
  response.headers.emplace_back("Accept-Ranges", "bytes");
  response.head_content_length = found.record().size_bytes();
  call.Respond(std::move(response));
}

void RespondNotModified(const Call& call, const v1::Record& record) {
  http::Response response;
  response.status = 304;
  AddValidators(record, &response.headers);
  call.Respond(std::move(response));
}

std::string ReplicaText(const v1::Record& record, int replica) {
  const v1::SubvolumeId& where = record.replicas(replica);
  return absl::StrCat(VolumeIdText(where.volume_id()), "/", where.subvolume());
}

void RespondRedirect(const Call& call, const Found& found, int replica,
                     std::string url) {
  http::Response response;
  response.status = 302;
  response.headers.emplace_back("Location", std::move(url));
  response.headers.emplace_back("Cache-Control", "no-store");
  AddValidators(found.record(), &response.headers);
  AddCairnHeaders(found.view->map, call.target.key, found.record(),
                  &response.headers);
  call.note->replica = ReplicaText(found.record(), replica);
  call.Respond(std::move(response));
}

// No replica could be read. A value that was replaced or moved meanwhile is
// read anew.
void ProxyFailed(const CallPtr& call, const Found& found,
                 const absl::Status& status) {
  if (found.lookups < base::kReadLookupsMax) {
    return LookUp(call, found.lookups + 1, FromProto(found.record().version()));
  }
  if (absl::IsDataLoss(status)) return call->RespondError(status);
  call->RespondError(absl::UnavailableError(absl::StrCat(
      "no replica of the value can be read now: ", status.message())));
}

void RespondProxied(const CallPtr& call, Found found,
                    const std::vector<int>& order) {
  auto response = std::make_shared<http::Response>();
  ByteRange range;
  if (!BeginResponse(*call, found, &range, response.get())) {
    return call->Respond(std::move(*response));
  }
  auto source = std::make_shared<ProxySource>(&call->store(), call->target.key,
                                              found.record(), order,
                                              range.offset, range.length);
  response->source = std::make_shared<http::ReadAhead>(source);
  response->content_length = range.length;
  source->Start([call, response, source = source.get(),
                 found = std::move(found)](const absl::Status& status) {
    if (!status.ok()) return ProxyFailed(call, found, status);
    call->note->replica = ReplicaText(found.record(), source->replica());
    call->Respond(std::move(*response));
  });
}

bool IsUp(const v1::ClusterMap& map, const v1::SubvolumeId& where) {
  const v1::Volume* volume = placement::FindVolume(map, where.volume_id());
  return volume != nullptr && volume->state() == v1::VOLUME_STATE_UP;
}

bool MustProxy(const Call& call, const Found& found) {
  return call.services->proxy_reads || call.target.retry || found.lookups > 1 ||
         !NginxReadsAlike(call.head()) ||
         // Answered here: nginx sends its 416 with the value's own headers.
         RangeOf(call, found.record()).kind == ByteRange::Kind::kUnsatisfiable;
}

void RespondLarge(const CallPtr& call, Found found) {
  const v1::Record& record = found.record();
  const std::vector<int> order = call->store().ReadOrder(record, NextSalt());
  if (order.empty() || !IsUp(found.view->map, record.replicas(order[0]))) {
    return call->RespondError(absl::UnavailableError(absl::StrCat(
        "the volumes that hold this value (", record.replicas_size(),
        ") are all down: start one of them; `cairn status` names them")));
  }
  if (!MustProxy(*call, found)) {
    auto url = RedirectUrl(*call, found.view->map, record, order[0]);
    if (url) return RespondRedirect(*call, found, order[0], *std::move(url));
  }
  RespondProxied(call, std::move(found), order);
}

// True: the bytes that came with the record are the value. Checked here too,
// since a wrong bit in the index has replicas to fall back to.
bool HasWholeValue(const client::GetOutcome& outcome) {
  const v1::Record& record = outcome.record;
  if (record.size_bytes() == 0) return true;
  return outcome.has_value &&
         static_cast<int64_t>(outcome.value.size()) == record.size_bytes() &&
         base::Xxh3(outcome.value) == record.digest().xxh3();
}

void Answer(const CallPtr& call, Found found) {
  const v1::Record& record = found.record();
  switch (EvaluateConditions(ConditionsOf(call->head()), EtagOf(record),
                             MtimeOf(record), /*read=*/true)) {
    case ConditionResult::kNotModified:
      return RespondNotModified(*call, record);
    case ConditionResult::kPreconditionFailed:
      return call->RespondProblem(
          412,
          "If-Match or If-Unmodified-Since does not hold: the value has "
          "changed, read it without them");
    case ConditionResult::kHold:
      break;
  }
  if (call->head().method == "HEAD") return RespondHead(*call, found);
  if (HasWholeValue(found.outcome)) {
    return RespondInline(*call, std::move(found));
  }
  RespondLarge(call, std::move(found));
}

void LookUp(const CallPtr& call, int lookups, base::Version last_version) {
  const bool with_value = call->head().method == "GET";
  call->store().Get(
      call->target.key, with_value, call->request_id,
      [call, lookups,
       last_version](absl::StatusOr<client::GetOutcome> outcome) {
        if (!outcome.ok()) {
          if (!absl::IsNotFound(outcome.status())) {
            return call->RespondError(outcome.status());
          }
          return call->RespondProblem(404, "no value lies under this key");
        }
        Found found;
        found.outcome = *std::move(outcome);
        found.view = call->store().metadata().view();
        found.lookups = lookups;
        // The same version again: it is not a matter of having come late.
        if (lookups > 1 &&
            FromProto(found.record().version()) == last_version) {
          found.lookups = base::kReadLookupsMax;
        }
        const absl::Status ready = CheckView(*call->services, found.view.get());
        if (!ready.ok()) return call->RespondError(ready);
        Answer(call, std::move(found));
      });
}

}  // namespace

void HandleGet(CallPtr call) {
  absl::Status status = base::CheckKey(call->target.key);
  if (status.ok()) {
    status = CheckView(*call->services, call->store().metadata().view().get());
  }
  if (!status.ok()) return call->RespondError(status);
  LookUp(call, 1, base::Version());
}

}  // namespace cairn::gateway
