#include "gateway/http/answer_head.h"

#include <httplib.h>

#include <algorithm>
#include <cstring>
#include <ctime>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cairn::http {
namespace {

// What httplib sees of every request. The real one was checked, and answered,
// without it.
constexpr absl::string_view kRequest = "GET / HTTP/1.1\r\nHost: cairn\r\n\r\n";

class MemoryStream : public httplib::Stream {
 public:
  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* out, size_t size) override {
    const size_t bytes = std::min(size, kRequest.size() - read_);
    std::memcpy(out, kRequest.data() + read_, bytes);
    read_ += bytes;
    return static_cast<ssize_t>(bytes);
  }
  ssize_t write(const char* bytes, size_t size) override {
    written_.append(bytes, size);
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return INVALID_SOCKET; }

  std::string& written() { return written_; }

 private:
  size_t read_ = 0;
  std::string written_;
};

bool IsLegalName(const std::string& name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' ||
           c == '_' || c == '.';
  });
}

bool IsLegalValue(const std::string& value) {
  // Without a way out of the loop it is done many bytes at a time.
  int illegal = 0;
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    illegal |= static_cast<int>(byte < 0x20) & static_cast<int>(byte != '\t');
    illegal |= static_cast<int>(byte == 0x7f);
  }
  return illegal == 0;
}

// Those that the edge alone decides.
bool IsFraming(const std::string& name) {
  for (const absl::string_view own : {"content-length", "transfer-encoding",
                                      "connection", "keep-alive", "date"}) {
    if (absl::EqualsIgnoreCase(name, own)) return true;
  }
  return false;
}

// IMF-fixdate. The names are fixed, so no locale is asked.
std::string FormatDate(time_t now) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed",
                                          "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr",
                                            "May", "Jun", "Jul", "Aug",
                                            "Sep", "Oct", "Nov", "Dec"};
  tm parts;
  gmtime_r(&now, &parts);
  char text[64];
  std::snprintf(text, sizeof(text), "%s, %02d %s %d %02d:%02d:%02d GMT",
                kDays[parts.tm_wday], parts.tm_mday, kMonths[parts.tm_mon],
                parts.tm_year + 1900, parts.tm_hour, parts.tm_min,
                parts.tm_sec);
  return text;
}

// The date of the moment, formed once a second.
class DateCache {
 public:
  const std::string& Now() {
    const time_t now = time(nullptr);
    if (now != time_) {
      time_ = now;
      text_ = FormatDate(now);
    }
    return text_;
  }

 private:
  time_t time_ = 0;
  std::string text_;
};

// Calls add(name, value) for each header of the answer. `Add` takes both as
// absl::string_view.
template <typename Add>
void ForEachHeader(const Response& response, const AnswerFraming& framing,
                   const std::string& date, const Add& add) {
  add("Date", date);
  if (framing.close) {
    add("Connection", "close");
  } else if (framing.say_keep_alive) {
    add("Connection", "keep-alive");
  }
  if (framing.content_length >= 0) {
    add("Content-Length", absl::AlphaNum(framing.content_length).Piece());
  }
  if (framing.chunked) add("Transfer-Encoding", "chunked");
  for (const auto& [name, value] : response.headers) {
    if (IsLegalName(name) && IsLegalValue(value) && !IsFraming(name)) {
      add(name, value);
    }
  }
}

// What nearly all answers are: values, redirects, writes done, keys that are
// not there.
bool IsFrequent(int status) {
  switch (status) {
    case 200:
    case 201:
    case 204:
    case 206:
    case 302:
    case 304:
    case 404:
      return true;
    default:
      return false;
  }
}

}  // namespace

class AnswerHead::Server : public httplib::Server {
 public:
  Server() {
    set_pre_routing_handler(
        [this](const httplib::Request&, httplib::Response& answer) {
          answer.status = response_->status;
          return HandlerResponse::Handled;
        });
    // Runs when httplib has added headers of its own: they all go.
    set_post_routing_handler(
        [this](const httplib::Request&, httplib::Response& answer) {
          answer.headers.clear();
          ForEachHeader(*response_, *framing_, *date_,
                        [&](absl::string_view name, absl::string_view value) {
                          answer.headers.emplace(name, value);
                        });
        });
  }

  std::string Form(const Response& response, const AnswerFraming& framing,
                   const std::string& date) {
    response_ = &response;
    framing_ = &framing;
    date_ = &date;
    MemoryStream stream;
    stream.written().reserve(512);
    bool closed = false;
    process_request(stream, /*close_connection=*/false, closed, nullptr);
    return FixReason(std::move(stream.written()));
  }

 private:
  // httplib calls statuses that it does not know "Internal Server Error".
  std::string FixReason(std::string head) const {
    constexpr size_t kReasonAt = 13;  // Behind "HTTP/1.1 404 ".
    const size_t end = head.find("\r\n");
    if (end == std::string::npos || end < kReasonAt) return head;
    const absl::string_view reason = ReasonPhrase(response_->status);
    if (absl::string_view(head).substr(kReasonAt, end - kReasonAt) != reason) {
      head.replace(kReasonAt, end - kReasonAt, reason.data(), reason.size());
    }
    return head;
  }

  // Of the call under way.
  const Response* response_ = nullptr;
  const AnswerFraming* framing_ = nullptr;
  const std::string* date_ = nullptr;
};

struct AnswerHead::State {
  Server server;
  DateCache date;
};

AnswerHead::AnswerHead() : state_(std::make_unique<State>()) {}
AnswerHead::~AnswerHead() = default;

std::string AnswerHead::Form(const Response& response,
                             const AnswerFraming& framing) {
  return IsFrequent(response.status) ? FormDirectly(response, framing)
                                     : FormWithHttplib(response, framing);
}

std::string AnswerHead::FormDirectly(const Response& response,
                                     const AnswerFraming& framing) {
  std::string head;
  head.reserve(1024);
  absl::StrAppend(&head, "HTTP/1.1 ", response.status, " ",
                  ReasonPhrase(response.status), "\r\n");
  ForEachHeader(response, framing, state_->date.Now(),
                [&head](absl::string_view name, absl::string_view value) {
                  absl::StrAppend(&head, name, ": ", value, "\r\n");
                });
  head.append("\r\n");
  return head;
}

std::string AnswerHead::FormWithHttplib(const Response& response,
                                        const AnswerFraming& framing) {
  return state_->server.Form(response, framing, state_->date.Now());
}

}  // namespace cairn::http
