#include "gateway/list_handler.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/blob_name.h"
#include "base/hash.h"
#include "base/key_block.h"
#include "base/limits.h"
#include "base/logging.h"
#include "gateway/http/read_ahead.h"

namespace cairn::gateway {
namespace {

// Around a key that needs no escape: quotes, slash, comma.
constexpr int64_t kItemBytes = 4;

// As in a URL; needs no escape in JSON.
std::string KeyText(absl::string_view key) {
  return absl::StrCat("/", base::EscapeKeyForUrl(key));
}

// One member of "keys". A cut key has no record: its version is 0.
void AppendItem(absl::string_view key, const v1::Record* record,
                std::string* out) {
  out->append(record == nullptr ? "\"/" : "{\"key\":\"/");
  base::AppendKeyForUrl(key, out);
  out->push_back('"');
  if (record == nullptr) return;
  if (record->version().time_ms() != 0) {
    const std::string mtime = absl::FormatTime(
        "%Y-%m-%dT%H:%M:%SZ", absl::FromUnixSeconds(MtimeOf(*record)),
        absl::UTCTimeZone());
    absl::StrAppend(out, ",\"size\":", record->size_bytes(), ",\"type\":\"",
                    base::JsonEscape(record->metadata().content_type()),
                    "\",\"etag\":\"", base::ToHex(record->digest().md5()),
                    "\",\"mtime\":\"", mtime, "\"");
  }
  out->push_back('}');
}

// One listing. It and the pages under way hold each other until the end.
class Listing final : public http::BodySource,
                      public std::enable_shared_from_this<Listing> {
 public:
  explicit Listing(CallPtr call)
      : call_(std::move(call)),
        target_(call_->target),
        all_(target_.limit == 0),
        keys_left_(target_.limit),
        next_(target_.start) {}

  // Answers the call.
  void Start() {
    const bool collect = !all_ && target_.limit <= base::kListCollectKeysMax;
    FetchPage([self = shared_from_this(), collect](const absl::Status& status) {
      if (!status.ok()) return self->Call()->RespondError(status);
      if (collect) return self->Collect();
      self->Stream();
    });
  }

  void Next(std::function<void(absl::StatusOr<std::string>)> done) override {
    if (!text_.empty() || complete_) return done(TakePiece());
    FetchPage([self = shared_from_this(),
               done = std::move(done)](const absl::Status& status) {
      if (!status.ok()) return done(status);
      self->Next(done);
    });
  }

 private:
  // Reads until the limit or the end, then answers.
  void Collect() {
    if (!complete_) {
      return FetchPage([self = shared_from_this()](const absl::Status& status) {
        if (!status.ok()) return self->Call()->RespondError(status);
        self->Collect();
      });
    }
    http::Response response = JsonResponse();
    response.body =
        absl::StrCat("{\"next\":\"", NextText(), "\",\"keys\":[", text_, "]}");
    Call()->Respond(std::move(response));
  }

  void Stream() {
    http::Response response = JsonResponse();
    // The next page is fetched while the last one is sent.
    response.source = std::make_shared<http::ReadAhead>(shared_from_this());
    Call()->Respond(std::move(response));
  }

  static http::Response JsonResponse() {
    http::Response response;
    response.headers.emplace_back("Content-Type", "application/json");
    return response;
  }

  // The call, to answer it: the exchange will hold this source from then on,
  // so the source lets go of the exchange.
  CallPtr Call() { return std::move(call_); }

  std::string NextText() const { return next_.empty() ? "" : KeyText(next_); }

  // What is there to be sent; "" behind the end.
  std::string TakePiece() {
    std::string piece = std::exchange(text_, std::string());
    if (!begun_) {
      piece.insert(0, all_ ? "{\"next\":\"\",\"keys\":[" : "{\"keys\":[");
    }
    begun_ = true;
    if (complete_ && !ended_) {
      ended_ = true;
      if (all_) {
        piece.append("]}");
      } else {
        absl::StrAppend(&piece, "],\"next\":\"", NextText(), "\"}");
      }
    }
    return piece;
  }

  // Adds the next page to text_.
  void FetchPage(std::function<void(const absl::Status&)> done) {
    const int64_t page_keys_max =
        target_.long_form ? base::kListPageRecordsMax : base::kListPageKeysMax;
    v1::ListKeysRequest request;
    request.set_prefix(target_.key);
    request.set_start(next_);
    request.set_delimiter(target_.delimiter);
    request.set_with_records(target_.long_form);
    request.set_with_key_block(true);
    request.set_page_size(static_cast<int32_t>(
        all_ ? page_keys_max : std::min(page_keys_max, keys_left_)));
    store_->ListKeys(std::move(request),
                     [self = shared_from_this(), done = std::move(done)](
                         const absl::StatusOr<v1::ListKeysResponse>& page) {
                       done(page.ok() ? self->AddPage(*page) : page.status());
                     });
  }

  absl::Status AddPage(const v1::ListKeysResponse& page) {
    text_.reserve(text_.size() + page.key_block().size() +
                  kItemBytes * page.keys_count());
    base::KeyBlockReader keys(page.key_block());
    absl::string_view key;
    for (int i = 0; keys.Next(&key); ++i) {
      const v1::Record* record = !target_.long_form ? nullptr
                                 : i < page.records_size()
                                     ? &page.records(i)
                                     : &v1::Record::default_instance();
      if (any_) text_.push_back(',');
      any_ = true;
      AppendItem(key, record, &text_);
    }
    if (keys.damaged()) {
      return absl::InternalError("the master's list of keys cannot be read");
    }
    keys_left_ -= page.keys_count();
    next_ = page.next();
    complete_ = next_.empty() || (!all_ && keys_left_ <= 0);
    return absl::OkStatus();
  }

  CallPtr call_;  // Until it is answered.
  const RequestTarget target_;
  client::StoreClient* const store_ = &call_->store();
  const bool all_;
  int64_t keys_left_;
  // The first key not yet fetched.
  std::string next_;
  // Members of "keys" not yet sent, each but the first behind its comma.
  std::string text_;
  bool any_ = false;       // There was a member.
  bool complete_ = false;  // Nothing is left to fetch.
  bool begun_ = false;
  bool ended_ = false;
};

}  // namespace

void HandleList(CallPtr call) {
  const absl::Status status =
      CheckView(*call->services, call->store().metadata().view().get());
  if (!status.ok()) return call->RespondError(status);
  if (call->target.key.size() > base::kKeyBytesMax) {
    return call->RespondProblem(
        400, "the prefix is longer than a key can be, 1,024 bytes");
  }
  std::make_shared<Listing>(std::move(call))->Start();
}

}  // namespace cairn::gateway
