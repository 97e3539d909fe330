#include "gateway/call.h"

#include <algorithm>
#include <atomic>
#include <ctime>
#include <random>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/blob_name.h"
#include "base/hash.h"
#include "base/limits.h"
#include "proto/convert.h"

namespace cairn::gateway {
namespace {

// nginx's word for "the client closed the connection"; never sent.
constexpr int kClientGone = 499;

// The clock of Exchange::start_us().
int64_t NowUs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000;
}

bool IsRequestId(absl::string_view id) {
  return !id.empty() && id.size() <= base::kRequestIdBytesMax &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) {
           return absl::ascii_isalnum(c) || c == '.' || c == '_' || c == '-';
         });
}

// Tells this process from others.
std::string RandomPrefix() {
  std::random_device random;
  return absl::StrFormat("%08x-", static_cast<uint32_t>(random()));
}

}  // namespace

AccessNote::AccessNote(base::AccessLog* log, const http::Exchange& exchange)
    : log_(log != nullptr && log->enabled() ? log : nullptr),
      peer_(exchange.head().peer),
      method_(exchange.head().method),
      start_us_(exchange.start_us()) {}

AccessNote::~AccessNote() { Write(kClientGone, 0, false); }

void AccessNote::Write(int status, int64_t body_bytes, bool ok) {
  if (log_ == nullptr || written_) return;
  written_ = true;
  const std::string escaped = absl::StrCat("/", base::EscapeKeyForUrl(key));
  const std::string status_text = absl::StrCat(status);
  const std::string bytes_text = absl::StrCat(body_bytes);
  const std::string ms = absl::StrFormat("%.3f", (NowUs() - start_us_) / 1e3);
  log_->Write({{"peer", peer_},
               {"method", method_},
               {"key", escaped},
               {"status", status_text},
               {"bytes", bytes_text},
               {"ms", ms},
               {"replica", replica.empty() ? "-" : replica},
               {"request_id", request_id},
               {"sent", ok ? "whole" : "broken"}});
}

void Call::Respond(http::Response response) const {
  response.headers.emplace_back("X-Request-Id", request_id);
  exchange->Respond(std::move(response));
}

void Call::RespondProblem(int status, absl::string_view sentence) const {
  Respond(http::ProblemResponse(status, sentence));
}

void Call::RespondError(const absl::Status& status) const {
  const std::string& method = head().method;
  const bool write = method != "GET" && method != "HEAD";
  RespondProblem(HttpStatusOf(status, write), status.message());
}

int HttpStatusOf(const absl::Status& status, bool write) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 400;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAlreadyExists:
      return 409;
    case absl::StatusCode::kFailedPrecondition:
      return 412;
    case absl::StatusCode::kResourceExhausted:
      return 507;
    case absl::StatusCode::kDeadlineExceeded:
      return write ? 503 : 504;
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kOutOfRange:
      return 503;
    default:
      return 500;
  }
}

std::string RequestIdOf(const http::RequestHead& head) {
  static const std::string* const prefix = new std::string(RandomPrefix());
  static std::atomic<uint64_t> counter{0};
  const absl::string_view given = head.Header("x-request-id");
  if (IsRequestId(given)) return std::string(given);
  // Only uniqueness counts: no order with other memory is needed.
  return absl::StrCat(
      *prefix, absl::Hex(counter.fetch_add(1, std::memory_order_relaxed)));
}

absl::optional<std::string> JoinedHeader(const http::RequestHead& head,
                                         absl::string_view lower_name) {
  absl::optional<std::string> joined;
  for (const auto& [name, value] : head.headers) {
    if (name != lower_name) continue;
    if (joined) {
      absl::StrAppend(&*joined, ", ", value);
    } else {
      joined = value;
    }
  }
  return joined;
}

Conditions ConditionsOf(const http::RequestHead& head) {
  Conditions conditions;
  conditions.if_match = JoinedHeader(head, "if-match");
  conditions.if_none_match = JoinedHeader(head, "if-none-match");
  conditions.if_modified_since = JoinedHeader(head, "if-modified-since");
  conditions.if_unmodified_since = JoinedHeader(head, "if-unmodified-since");
  return conditions;
}

std::string EtagOf(const v1::Record& record) {
  return absl::StrCat("\"", base::ToHex(record.digest().md5()), "\"");
}

int64_t MtimeOf(const v1::Record& record) {
  return FromProto(record.version()).time_seconds();
}

absl::Status CheckView(const Services& services,
                       const client::ClusterView* view) {
  if (view != nullptr) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat(
      "the master at ", services.master_address,
      " does not answer: start it, or check --master of the gateway"));
}

}  // namespace cairn::gateway
