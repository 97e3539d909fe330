// One client's connection: reads requests, one at a time, and writes answers.

#ifndef CAIRN_GATEWAY_HTTP_CONNECTION_H_
#define CAIRN_GATEWAY_HTTP_CONNECTION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/piece.h"
#include "gateway/http/answer_head.h"
#include "gateway/http/chunked_decoder.h"
#include "gateway/http/exchange.h"
#include "gateway/http/head_parser.h"
#include "gateway/http/mailbox.h"

namespace cairn::http {

// What the connections of one reactor share. All but `draining` belong to the
// reactor's thread.
struct ReactorContext {
  const EdgeOptions* options = nullptr;
  Handler* handler = nullptr;
  const std::atomic<bool>* draining = nullptr;
  std::shared_ptr<Mailbox> mailbox;
  AnswerHead answer_head;
  // Where sockets are read into, kSocketReadBytes: so idle connections hold no
  // buffer.
  std::unique_ptr<char[]> scratch;
  int64_t now_ms = 0;  // CLOCK_MONOTONIC, taken once a round.
  // The handler was called in this round: OnRoundEnd() is due.
  bool handler_called = false;
  // To be called before each call of the handler, or of what it has made.
  void EnterHandler() {
    if (!std::exchange(handler_called, true)) handler->OnRoundBegin();
  }
  // Connections that have more to read than one turn allows.
  std::vector<Connection*> ready;
  // Closed in this round; deleted at its end, since events may name them.
  std::vector<Connection*> closed;
};

// Non-blocking, watched edge-triggered for reading and writing at once, so
// that epoll is told about it only once. Reactor's thread only.
//
// The request and its answer each go their way: `input_` says what the next
// bytes from the client are, `answered_` and `sent_` how far the answer is. The
// next request is looked at when the answer has left and the body is read.
class Connection {
 public:
  // Takes over `fd`, which is non-blocking. `context` must outlive this.
  Connection(ReactorContext* context, int fd, std::string peer);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void OnEvents(uint32_t epoll_events);
  // Goes on with reading: it was in ReactorContext::ready.
  void OnReady();
  // `command` is one of an exchange that is this connection's current one.
  void OnCommand(CommandKind kind);
  // Looks at the deadlines.
  void OnTick();
  // Closes if it is idle; else the answer under way is the last.
  void OnDrain();
  // Answers 503 to whatever comes, and closes.
  void RefuseAll(absl::string_view sentence);
  void Close();

  bool closed() const { return closed_; }
  int fd() const { return fd_; }

 private:
  enum class Input {
    kHead,     // A request's head.
    kHeld,     // A body that nobody asked for yet; it is not read.
    kCollect,  // A body for ReadBody().
    kStream,   // A body for StreamBody().
    kDrain,    // A body that is thrown away.
    kDone,     // Nothing: the body is read, or given up.
    kLinger,   // Whatever comes until the client closes too.
  };

  // Writes, finishes requests and reads until the socket or the turn is done.
  void Pump();

  // --- Reading ---
  bool WantsInput() const;
  // Makes use of what is in in_. False: it needs more bytes from the socket.
  bool UseBuffered();
  bool ReadHead();
  void Dispatch(ParsedHead parsed);
  // Reads from the socket once.
  void Fill();
  void FillPiece();
  // False: nothing came; the connection may be closed now.
  bool NoteReceived(ssize_t bytes, size_t room);
  void OnEof();
  // Returns how much of `in` it has used; less than all when the body ends
  // there or its sink pauses.
  size_t UseBody(absl::string_view in);
  void TakeData(absl::string_view data);
  void AllocatePiece();
  void EmitPiece();
  void EndBody();
  // The body cannot be read to its end: answers `status` and gives it up.
  void BreakBody(int status, absl::string_view sentence);
  void AppendBuffered(absl::string_view bytes);
  absl::string_view buffered() const {
    return absl::string_view(in_).substr(in_pos_);
  }
  bool in_body() const {
    return input_ == Input::kCollect || input_ == Input::kStream ||
           input_ == Input::kDrain;
  }

  // --- Answering ---
  void Reject(int status, absl::string_view sentence, bool head_method);
  void TakeBody();
  void StartAnswer(Response response);
  void GiveUpUnreadBody();
  AnswerFraming FrameAnswer(const Response& response);
  void RequestPiece();
  void OnSourcePiece(absl::StatusOr<std::string> piece);
  void SetOut(std::string head, std::string body, bool chunk_end);
  bool has_out() const { return out_left_ > 0; }
  // Bytes of out_body_ that were not written yet.
  int64_t BodyLeft() const;
  void Flush();
  void OnSent(bool ok);
  void FinishRequest();
  void StartLinger();
  // Closes so that the client sees an error, not an end.
  void Reset();

  // --- Deadlines ---
  void CheckBodyRate();
  void CheckSendRate();

  ReactorContext* const context_;
  const int fd_;
  const std::string peer_;
  bool closed_ = false;

  // What epoll said last, as far as no call has said otherwise since.
  bool readable_ = true;
  bool blocked_ = false;  // For writing.
  bool peer_ended_ = false;
  bool in_ready_list_ = false;

  // Bytes that were received and not used yet, from in_pos_ on.
  std::string in_;
  size_t in_pos_ = 0;
  size_t head_scanned_ = 0;

  Input input_ = Input::kHead;
  // The request under way; nullptr in kHead.
  std::shared_ptr<EdgeExchange> exchange_;
  bool chunked_ = false;
  ChunkedDecoder decoder_;
  int64_t body_left_ = 0;  // If not chunked_.
  bool keep_alive_ = false;
  bool awaits_continue_ = false;
  int64_t drained_bytes_ = 0;
  // kCollect:
  std::string body_;
  int64_t body_bytes_max_ = 0;
  std::function<void(std::string)> body_done_;
  // kStream:
  std::shared_ptr<BodySink> sink_;
  client::Piece piece_;
  size_t piece_capacity_ = 0;
  bool paused_ = false;

  bool answered_ = false;
  bool sent_ = false;
  bool close_ = false;   // After this answer.
  bool unread_ = false;  // Of this body something was not read.
  int status_ = 0;
  int64_t body_sent_bytes_ = 0;
  // What is to be written: out_left_ bytes at the end of head, body and, if
  // chunk_end_, CR LF.
  std::string out_head_;
  std::string out_body_;
  bool chunk_end_ = false;
  size_t out_left_ = 0;
  std::shared_ptr<BodySource> source_;
  bool source_waiting_ = false;
  bool source_chunked_ = false;
  int64_t source_left_ = -1;  // -1: not known.

  // In milliseconds; a window that starts at 0 is not under way.
  int64_t idle_since_ms_;
  int64_t head_since_ms_ = 0;
  int64_t linger_until_ms_ = 0;
  int64_t linger_bytes_ = 0;
  int64_t receive_window_ms_ = 0;
  int64_t received_bytes_ = 0;
  int64_t send_window_ms_ = 0;
  int64_t written_bytes_ = 0;
};

}  // namespace cairn::http

#endif  // CAIRN_GATEWAY_HTTP_CONNECTION_H_
