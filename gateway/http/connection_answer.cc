// The side of a connection that answers; connection.cc has the other.

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "gateway/http/connection.h"

namespace cairn::http {
namespace {

constexpr absl::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr absl::string_view kLineEnd = "\r\n";
constexpr absl::string_view kLastChunk = "0\r\n\r\n";

bool HasNoBody(int status) {
  return status == 204 || status == 304 || status < 200;
}

}  // namespace

void Connection::RefuseAll(absl::string_view sentence) {
  Reject(503, sentence, false);
  Pump();
}

void Connection::Reject(int status, absl::string_view sentence,
                        bool head_method) {
  Response response = ProblemResponse(status, sentence);
  if (status == 405) {
    response.headers.emplace_back("Allow", "GET, HEAD, PUT, POST, DELETE");
  }
  AnswerFraming framing;
  framing.content_length = response.body.size();
  framing.close = true;
  if (head_method) response.body.clear();
  input_ = Input::kDone;
  close_ = unread_ = true;
  answered_ = true;
  status_ = status;
  SetOut(context_->answer_head.Form(response, framing),
         std::move(response.body), false);
  context_->handler->OnRejected(peer_, status, sentence);
}

void Connection::TakeBody() {
  const std::shared_ptr<EdgeExchange> exchange = exchange_;
  sink_ = std::move(exchange->sink);
  body_done_ = std::move(exchange->body_done);
  exchange->sink = nullptr;
  exchange->body_done = nullptr;
  body_bytes_max_ = exchange->body_bytes_max;
  const bool collect = sink_ == nullptr;
  if (input_ == Input::kDone) {  // There is none.
    input_ = collect ? Input::kCollect : Input::kStream;
    EndBody();
    return;
  }
  input_ = collect ? Input::kCollect : Input::kStream;
  received_bytes_ = 0;
  if (collect && body_left_ > body_bytes_max_) {
    BreakBody(413, absl::StrCat("The body is larger than the ", body_bytes_max_,
                                " bytes allowed here."));
    return;
  }
  if (collect) body_.reserve(body_left_);
  // A client that sends already does not wait.
  if (awaits_continue_ && buffered().empty()) {
    SetOut(std::string(kContinue), "", false);
  }
  awaits_continue_ = false;
}

void Connection::StartAnswer(Response response) {
  answered_ = true;
  status_ = response.status;
  close_ = close_ || response.close || !keep_alive_ ||
           context_->draining->load(std::memory_order_relaxed);
  if (input_ != Input::kDone) GiveUpUnreadBody();
  const AnswerFraming framing = FrameAnswer(response);
  const bool no_body =
      HasNoBody(response.status) || exchange_->head().method == "HEAD";
  std::string head = context_->answer_head.Form(response, framing);
  if (no_body) response.body.clear();
  if (!no_body) source_ = std::move(response.source);
  if (source_ != nullptr) {
    response.body.clear();
    source_chunked_ = framing.chunked;
    source_left_ = response.content_length;
  }
  SetOut(std::move(head), std::move(response.body), false);
  // The first piece leaves with the head.
  if (source_ != nullptr) RequestPiece();
}

// The handler has answered without (all of) the body. A short rest is read
// away, so that the connection stays of use. A client that waits for "100
// Continue" may or may not send its body now, so it has to start anew.
void Connection::GiveUpUnreadBody() {
  sink_ = nullptr;
  body_done_ = nullptr;
  body_.clear();
  piece_ = client::Piece();
  paused_ = false;
  received_bytes_ = 0;
  const bool short_rest =
      chunked_ || body_left_ <= context_->options->drain_bytes_max;
  const bool waits = awaits_continue_ && buffered().empty();
  if (short_rest && !waits && !unread_) {
    input_ = Input::kDrain;
    drained_bytes_ = 0;
  } else {
    input_ = Input::kDone;
    unread_ = close_ = true;
  }
}

// May decide that the connection closes: that can be a body's only end.
AnswerFraming Connection::FrameAnswer(const Response& response) {
  AnswerFraming framing;
  const bool is_head = exchange_->head().method == "HEAD";
  if (HasNoBody(response.status)) {
    // Neither a length.
  } else if (is_head && response.head_content_length >= 0) {
    framing.content_length = response.head_content_length;
  } else if (response.source != nullptr) {
    framing.content_length = response.content_length;
    if (response.content_length < 0 && !is_head) {
      framing.chunked = !exchange_->head().http10;
      close_ = close_ || !framing.chunked;
    }
  } else if (!is_head || !response.body.empty()) {
    framing.content_length = response.body.size();
  }
  framing.close = close_;
  framing.say_keep_alive = exchange_->head().http10;
  return framing;
}

void Connection::RequestPiece() {
  source_waiting_ = true;
  context_->EnterHandler();
  const std::shared_ptr<BodySource> source = source_;
  source->Next([exchange = exchange_](absl::StatusOr<std::string> piece) {
    exchange->OnSourcePiece(std::move(piece));
  });
}

void Connection::OnSourcePiece(absl::StatusOr<std::string> piece) {
  if (source_ == nullptr || !source_waiting_) return;
  source_waiting_ = false;
  if (!piece.ok()) {
    Reset();
    return;
  }
  if (piece->empty()) {
    source_ = nullptr;
    if (source_left_ > 0) {  // It is shorter than announced.
      Reset();
    } else if (source_chunked_) {
      SetOut(std::string(kLastChunk), "", false);
    }
    return;
  }
  const auto bytes = static_cast<int64_t>(piece->size());
  if (source_left_ >= 0) {
    source_left_ -= bytes;
    if (source_left_ < 0) {
      Reset();
      return;
    }
  }
  std::string frame;
  if (source_chunked_) {
    frame = absl::StrCat(absl::Hex(bytes), kLineEnd);
  }
  SetOut(std::move(frame), *std::move(piece), source_chunked_);
}

// What of the last call was not written yet goes first; that is only ever a
// head.
void Connection::SetOut(std::string head, std::string body, bool chunk_end) {
  if (has_out()) {
    head.insert(0, out_head_, out_head_.size() - out_left_, out_left_);
  }
  out_head_ = std::move(head);
  out_body_ = std::move(body);
  chunk_end_ = chunk_end;
  out_left_ =
      out_head_.size() + out_body_.size() + (chunk_end ? kLineEnd.size() : 0);
}

int64_t Connection::BodyLeft() const {
  const size_t behind = chunk_end_ ? kLineEnd.size() : 0;
  if (out_left_ <= behind) return 0;
  return std::min(out_left_ - behind, out_body_.size());
}

void Connection::Flush() {
  while (!blocked_ && !source_waiting_ && !closed_) {
    if (!has_out()) {
      if (!answered_ || sent_) return;
      if (source_ != nullptr) {
        RequestPiece();
      } else {
        sent_ = true;
        OnSent(true);
      }
      return;
    }
    iovec parts[3];
    int count = 0;
    // What is left is at the end of the three strings.
    const absl::string_view all[] = {out_head_, out_body_,
                                     chunk_end_ ? kLineEnd : ""};
    size_t skip = all[0].size() + all[1].size() + all[2].size() - out_left_;
    for (absl::string_view part : all) {
      const size_t cut = std::min(skip, part.size());
      skip -= cut;
      part.remove_prefix(cut);
      if (part.empty()) continue;
      parts[count++] = {const_cast<char*>(part.data()), part.size()};
    }
    msghdr message = {};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    const ssize_t bytes = sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (bytes >= 0) {
      body_sent_bytes_ += BodyLeft();
      out_left_ -= bytes;
      body_sent_bytes_ -= BodyLeft();
      written_bytes_ += bytes;
    } else if (errno == EAGAIN) {
      blocked_ = true;
    } else if (errno != EINTR) {
      Close();
    }
  }
}

void Connection::OnSent(bool ok) {
  if (exchange_ == nullptr) return;
  context_->handler->OnSent(*exchange_, status_, body_sent_bytes_, ok);
}

void Connection::FinishRequest() {
  if (exchange_ != nullptr) exchange_->connection = nullptr;
  exchange_ = nullptr;
  out_head_.clear();
  std::string().swap(out_body_);
  const bool drained =
      context_->draining->load(std::memory_order_relaxed) && buffered().empty();
  if (close_ || drained) {
    if (unread_ || input_ != Input::kDone || !buffered().empty() || readable_) {
      StartLinger();
    } else {
      Close();
    }
    return;
  }
  input_ = Input::kHead;
  answered_ = sent_ = unread_ = false;
  body_sent_bytes_ = 0;
  idle_since_ms_ = context_->now_ms;
  head_since_ms_ = 0;
  if (!buffered().empty()) return;
  in_.clear();
  in_pos_ = 0;
}

// Closing a socket with unread bytes resets it, and a reset can overtake the
// answer; so this side ends first, and the rest is read away for a while.
void Connection::StartLinger() {
  shutdown(fd_, SHUT_WR);
  input_ = Input::kLinger;
  answered_ = sent_ = close_ = false;
  paused_ = false;
  linger_until_ms_ = context_->now_ms + base::kLingerMs;
}

void Connection::Reset() {
  const linger now = {1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  Close();
}

}  // namespace cairn::http
