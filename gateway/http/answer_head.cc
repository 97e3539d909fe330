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
  return std::none_of(value.begin(), value.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && byte != '\t') || byte == 0x7f;
  });
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
          AddHeaders(&answer.headers);
        });
  }

  std::string Form(const Response& response, const AnswerFraming& framing) {
    response_ = &response;
    framing_ = &framing;
    MemoryStream stream;
    stream.written().reserve(512);
    bool closed = false;
    process_request(stream, /*close_connection=*/false, closed, nullptr);
    return FixReason(std::move(stream.written()));
  }

 private:
  void AddHeaders(httplib::Headers* headers) {
    for (const auto& [name, value] : response_->headers) {
      if (IsLegalName(name) && IsLegalValue(value) && !IsFraming(name)) {
        headers->emplace(name, value);
      }
    }
    const time_t now = time(nullptr);
    if (now != date_time_) {
      date_time_ = now;
      date_ = FormatDate(now);
    }
    headers->emplace("Date", date_);
    if (framing_->content_length >= 0) {
      headers->emplace("Content-Length",
                       absl::StrCat(framing_->content_length));
    }
    if (framing_->chunked) headers->emplace("Transfer-Encoding", "chunked");
    if (framing_->close) {
      headers->emplace("Connection", "close");
    } else if (framing_->say_keep_alive) {
      headers->emplace("Connection", "keep-alive");
    }
  }

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
  // Formed once a second.
  time_t date_time_ = 0;
  std::string date_;
};

AnswerHead::AnswerHead() : server_(std::make_unique<Server>()) {}
AnswerHead::~AnswerHead() = default;

std::string AnswerHead::Form(const Response& response,
                             const AnswerFraming& framing) {
  return server_->Form(response, framing);
}

}  // namespace cairn::http
