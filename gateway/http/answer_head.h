// Forms the head of an answer.

#ifndef CAIRN_GATEWAY_HTTP_ANSWER_HEAD_H_
#define CAIRN_GATEWAY_HTTP_ANSWER_HEAD_H_

#include <cstdint>
#include <memory>
#include <string>

#include "gateway/http/exchange.h"

namespace cairn::http {

// How the body of an answer is framed, and what becomes of the connection.
struct AnswerFraming {
  int64_t content_length = -1;  // -1: no such header.
  bool chunked = false;
  bool close = false;
  // Say "Connection: keep-alive", which only HTTP/1.0 clients need.
  bool say_keep_alive = false;
};

// The answers that nearly every request gets are formed here; the rest by
// cpp-httplib, which takes three times as long. answer_head_test.cc holds that
// both form the same.
//
// For httplib it holds one httplib::Server that never listens: it is handed an
// in-memory stream with a fixed request, and answers it with what Form() was
// given. Bodies never pass through it, nor anything a client sent, so its
// handling of ranges, encodings, percent signs and lengths (all of it wrong
// somewhere in 0.11.4) cannot come into play.
//
// Not thread-safe: one for each reactor. Does not block.
class AnswerHead {
 public:
  AnswerHead();
  ~AnswerHead();
  AnswerHead(const AnswerHead&) = delete;
  AnswerHead& operator=(const AnswerHead&) = delete;

  // From the status line to the empty line. Of `response` only the status and
  // the headers are used.
  std::string Form(const Response& response, const AnswerFraming& framing);

  // The two ways to the same head.
  std::string FormDirectly(const Response& response,
                           const AnswerFraming& framing);
  std::string FormWithHttplib(const Response& response,
                              const AnswerFraming& framing);

 private:
  class Server;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace cairn::http

#endif  // CAIRN_GATEWAY_HTTP_ANSWER_HEAD_H_
