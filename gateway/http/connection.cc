// The side of a connection that reads; connection_answer.cc has the other.

#include "gateway/http/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/limits.h"

namespace cairn::http {

Connection::Connection(ReactorContext* context, int fd, std::string peer)
    : context_(context),
      fd_(fd),
      peer_(std::move(peer)),
      idle_since_ms_(context->now_ms) {}

Connection::~Connection() { Close(); }

void Connection::OnEvents(uint32_t epoll_events) {
  if (closed_) return;
  if ((epoll_events & (EPOLLERR | EPOLLHUP)) != 0) {
    Close();
    return;
  }
  if ((epoll_events & EPOLLRDHUP) != 0) peer_ended_ = true;
  if ((epoll_events & (EPOLLIN | EPOLLRDHUP)) != 0) readable_ = true;
  if ((epoll_events & EPOLLOUT) != 0) blocked_ = false;
  Pump();
}

void Connection::OnReady() {
  in_ready_list_ = false;
  if (!closed_) Pump();
}

void Connection::OnCommand(CommandKind kind) {
  if (closed_) return;
  switch (kind) {
    case CommandKind::kRespond:
      if (!answered_) {
        StartAnswer(std::move(exchange_->response));
      } else {
        exchange_->Drop(kind);
      }
      break;
    case CommandKind::kReadBody:
    case CommandKind::kStreamBody:
      if (answered_) {
        exchange_->Drop(kind);
      } else {
        TakeBody();
      }
      break;
    case CommandKind::kResumeBody:
      paused_ = false;
      break;
    case CommandKind::kSourcePiece:
      OnSourcePiece(std::move(exchange_->piece));
      break;
    case CommandKind::kAdopt:
    case CommandKind::kDrain:
    case CommandKind::kStop:
      break;
  }
  Pump();
}

void Connection::Pump() {
  int reads_left = base::kSocketReadsPerTurn;
  while (!closed_) {
    Flush();
    if (closed_) return;
    if (sent_ && (input_ == Input::kDone || close_)) {
      FinishRequest();
      continue;
    }
    if (!WantsInput()) return;
    if (UseBuffered()) continue;
    if (closed_ || !readable_) return;
    if (reads_left-- == 0) {
      if (!in_ready_list_) context_->ready.push_back(this);
      in_ready_list_ = true;
      return;
    }
    Fill();
  }
}

bool Connection::WantsInput() const {
  return input_ != Input::kHeld && input_ != Input::kDone && !paused_;
}

bool Connection::UseBuffered() {
  if (buffered().empty()) return false;
  if (input_ == Input::kHead) return ReadHead();
  if (input_ == Input::kLinger) {
    in_.clear();
    in_pos_ = 0;
    return false;
  }
  const size_t used = UseBody(buffered());
  in_pos_ += used;
  return used > 0;
}

bool Connection::ReadHead() {
  const HeadLimits limits = {context_->options->line_bytes_max,
                             context_->options->head_bytes_max,
                             context_->options->headers_max};
  ParsedHead parsed;
  const HeadResult result =
      ParseHead(buffered(), limits, &head_scanned_, &parsed);
  switch (result.state) {
    case HeadState::kIncomplete:
      if (head_since_ms_ == 0) head_since_ms_ = context_->now_ms;
      return false;
    case HeadState::kRefused:
      Reject(result.status, result.sentence, parsed.head.method == "HEAD");
      return true;
    case HeadState::kComplete:
      break;
  }
  in_pos_ += result.consumed;
  head_scanned_ = 0;
  head_since_ms_ = 0;
  Dispatch(std::move(parsed));
  return true;
}

void Connection::Dispatch(ParsedHead parsed) {
  parsed.head.peer = peer_;
  chunked_ = parsed.chunked;
  decoder_ = ChunkedDecoder();
  body_left_ = parsed.chunked ? 0 : parsed.head.content_length;
  keep_alive_ = parsed.keep_alive;
  awaits_continue_ = parsed.expects_continue;
  input_ = chunked_ || body_left_ > 0 ? Input::kHeld : Input::kDone;
  exchange_ = std::make_shared<EdgeExchange>(std::move(parsed.head),
                                             context_->mailbox, this);
  context_->EnterHandler();
  context_->handler->OnRequest(exchange_);
}

void Connection::Fill() {
  if (input_ == Input::kStream && !chunked_) {
    FillPiece();
    return;
  }
  const size_t room = base::kSocketReadBytes;
  char* const scratch = context_->scratch.get();
  const ssize_t bytes = recv(fd_, scratch, room, 0);
  if (!NoteReceived(bytes, room)) return;
  const absl::string_view received(scratch, bytes);
  if (input_ == Input::kLinger) {
    linger_bytes_ += bytes;
    if (linger_bytes_ > base::kLingerBytesMax) Close();
    return;
  }
  // UseBuffered() ran before this, so that a body comes in order.
  const size_t used = in_body() ? UseBody(received) : 0;
  if (!closed_) AppendBuffered(received.substr(used));
}

// A large body goes from the socket into its piece without another copy.
void Connection::FillPiece() {
  AllocatePiece();
  const size_t room =
      std::min<int64_t>(piece_capacity_ - piece_.size, body_left_);
  const ssize_t bytes = recv(fd_, piece_.data.get() + piece_.size, room, 0);
  if (!NoteReceived(bytes, room)) return;
  piece_.size += bytes;
  body_left_ -= bytes;
  if (piece_.size == piece_capacity_) EmitPiece();
  if (body_left_ == 0) EndBody();
}

bool Connection::NoteReceived(ssize_t bytes, size_t room) {
  if (bytes > 0) {
    received_bytes_ += bytes;
    awaits_continue_ = false;  // It has not waited.
    // Less than asked for: the socket is empty, and epoll tells when it is
    // not; but the end of the stream was told already.
    if (static_cast<size_t>(bytes) < room && !peer_ended_) readable_ = false;
    return true;
  }
  if (bytes < 0 && errno == EINTR) return false;
  if (bytes < 0 && errno == EAGAIN) {
    readable_ = false;
    return false;
  }
  if (bytes < 0) {
    Close();
  } else {
    OnEof();
  }
  return false;
}

void Connection::OnEof() {
  readable_ = false;
  if (input_ == Input::kDrain && !sent_) {
    // It may still read the answer.
    input_ = Input::kDone;
    close_ = true;
    return;
  }
  Close();
}

size_t Connection::UseBody(absl::string_view in) {
  size_t used = 0;
  while (used < in.size() && in_body() && !paused_) {
    if (input_ == Input::kStream) AllocatePiece();
    const size_t data_max = input_ == Input::kStream
                                ? piece_capacity_ - piece_.size
                                : in.size() - used;
    if (!chunked_) {
      const size_t bytes =
          std::min<int64_t>(std::min(in.size() - used, data_max), body_left_);
      body_left_ -= bytes;
      TakeData(in.substr(used, bytes));
      used += bytes;
      if (body_left_ == 0 && in_body()) EndBody();
      continue;
    }
    const ChunkedDecoder::Step step = decoder_.Next(in.substr(used), data_max);
    used += step.consumed;
    if (!step.data.empty()) TakeData(step.data);
    if (step.state == ChunkedDecoder::State::kBroken) {
      BreakBody(400, "The chunked body is not framed as it should be.");
    } else if (step.state == ChunkedDecoder::State::kEnd && in_body()) {
      EndBody();
    }
  }
  return used;
}

void Connection::TakeData(absl::string_view data) {
  if (input_ == Input::kStream) {
    std::memcpy(piece_.data.get() + piece_.size, data.data(), data.size());
    piece_.size += data.size();
    if (piece_.size == piece_capacity_) EmitPiece();
  } else if (input_ == Input::kCollect) {
    if (static_cast<int64_t>(body_.size() + data.size()) > body_bytes_max_) {
      BreakBody(413, absl::StrCat("The body is larger than the ",
                                  body_bytes_max_, " bytes allowed here."));
      return;
    }
    body_.append(data.data(), data.size());
  } else {
    drained_bytes_ += data.size();
    if (drained_bytes_ > context_->options->drain_bytes_max) {
      input_ = Input::kDone;
      unread_ = close_ = true;
    }
  }
}

void Connection::AllocatePiece() {
  if (piece_.data != nullptr) return;
  piece_capacity_ =
      chunked_ ? base::kPieceBytes : std::min(base::kPieceBytes, body_left_);
  piece_ = client::Piece::Allocate(piece_capacity_);
}

void Connection::EmitPiece() {
  const client::Piece piece = std::move(piece_);
  piece_ = client::Piece();
  context_->EnterHandler();
  paused_ = !sink_->OnPiece(piece);
}

void Connection::EndBody() {
  const Input was = std::exchange(input_, Input::kDone);
  if (was == Input::kDrain) return;
  context_->EnterHandler();
  if (was == Input::kCollect) {
    const auto done = std::exchange(body_done_, nullptr);
    done(std::exchange(body_, std::string()));
    return;
  }
  if (piece_.size > 0) EmitPiece();
  piece_ = client::Piece();
  paused_ = false;
  const std::shared_ptr<BodySink> sink = std::move(sink_);
  sink->OnEnd();
}

void Connection::BreakBody(int status, absl::string_view sentence) {
  const std::shared_ptr<BodySink> sink = std::move(sink_);
  if (sink != nullptr) {
    context_->EnterHandler();
    sink->OnAbort();
  }
  unread_ = close_ = true;
  if (answered_) {
    input_ = Input::kDone;
    return;
  }
  Response response = ProblemResponse(status, sentence);
  response.close = true;
  StartAnswer(std::move(response));
}

void Connection::AppendBuffered(absl::string_view bytes) {
  if (in_pos_ > 0) {
    in_.erase(0, in_pos_);
    in_pos_ = 0;
  }
  in_.append(bytes.data(), bytes.size());
}

void Connection::OnTick() {
  if (closed_) return;
  const int64_t now = context_->now_ms;
  const EdgeOptions& options = *context_->options;
  if (input_ == Input::kLinger) {
    if (now >= linger_until_ms_) Close();
    return;
  }
  CheckSendRate();
  if (closed_) return;
  CheckBodyRate();
  if (closed_ || input_ != Input::kHead) return;
  if (buffered().empty()) {
    std::string().swap(in_);
    in_pos_ = 0;
    if (now - idle_since_ms_ >= options.idle_deadline_ms) Close();
  } else if (head_since_ms_ != 0 &&
             now - head_since_ms_ >= options.head_deadline_ms) {
    Reject(408, "The head of the request took too long to come.", false);
    Pump();
  }
}

void Connection::CheckBodyRate() {
  // Only waiting for the client counts, not for the handler or our own turn.
  if (!in_body() || paused_ || readable_) {
    receive_window_ms_ = 0;
    return;
  }
  const EdgeOptions& options = *context_->options;
  if (receive_window_ms_ != 0 &&
      context_->now_ms - receive_window_ms_ < options.rate_window_ms) {
    return;
  }
  const bool too_slow =
      receive_window_ms_ != 0 && received_bytes_ < options.rate_bytes_min;
  receive_window_ms_ = context_->now_ms;
  received_bytes_ = 0;
  if (!too_slow) return;
  BreakBody(408, "The body of the request came too slowly.");
  Pump();
}

void Connection::CheckSendRate() {
  if (!has_out() || !blocked_) {
    send_window_ms_ = 0;
    return;
  }
  const EdgeOptions& options = *context_->options;
  if (send_window_ms_ != 0 &&
      context_->now_ms - send_window_ms_ < options.rate_window_ms) {
    return;
  }
  const bool too_slow =
      send_window_ms_ != 0 && written_bytes_ < options.rate_bytes_min;
  send_window_ms_ = context_->now_ms;
  written_bytes_ = 0;
  if (too_slow) Reset();
}

void Connection::OnDrain() {
  if (closed_ || input_ != Input::kHead || !buffered().empty()) return;
  // What the client sent just now is still answered.
  readable_ = true;
  Pump();
  if (!closed_ && input_ == Input::kHead && buffered().empty()) Close();
}

void Connection::Close() {
  if (closed_) return;
  closed_ = true;
  close(fd_);
  context_->closed.push_back(this);
  if (answered_ && !sent_) OnSent(false);
  source_ = nullptr;
  body_done_ = nullptr;
  if (const std::shared_ptr<BodySink> sink = std::move(sink_)) {
    context_->EnterHandler();
    sink->OnAbort();
  }
  if (exchange_ != nullptr) exchange_->connection = nullptr;
  exchange_ = nullptr;
}

}  // namespace cairn::http
