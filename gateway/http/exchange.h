// One HTTP request and its answer, between the edge (which owns the sockets)
// and the gateway's handlers. Nothing here blocks.

#ifndef CAIRN_GATEWAY_HTTP_EXCHANGE_H_
#define CAIRN_GATEWAY_HTTP_EXCHANGE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/piece.h"

namespace cairn::http {

// The head as it came, checked: every byte is legal, lengths are unambiguous.
struct RequestHead {
  std::string method;  // One of those we know: GET HEAD PUT POST DELETE.
  std::string target;  // Raw: "/a%2Fb?list", at most 8 KiB with the line.
  // In the order they came; names in lower case, values raw.
  std::vector<std::pair<std::string, std::string>> headers;
  bool http10 = false;
  // Of the body. -1: chunked, not known. 0: none.
  int64_t content_length = 0;
  std::string peer;  // "127.0.0.1:4711"

  // The value of a header, "" if absent. Repeated ones: see headers.
  absl::string_view Header(absl::string_view lower_name) const;
  bool HasHeader(absl::string_view lower_name) const;
};

// The bytes of an answer that do not fit memory, pulled one piece at a time.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // Gives the next piece, "" at the end. An error resets the connection, so
  // that the client cannot take a torn answer for a whole one. Called again
  // only after `done` was called. `done` may be called from any thread.
  virtual void Next(std::function<void(absl::StatusOr<std::string>)> done) = 0;
};

// An answer. The edge adds Date, Content-Length, Transfer-Encoding and
// Connection itself and ignores a handler's; a header with illegal bytes is
// left out. 204 and 304 have no body.
struct Response {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // If set, sent instead of `body`; `content_length` of them, or chunked
  // (HTTP/1.0: until the connection closes) when that is -1.
  std::shared_ptr<BodySource> source;
  int64_t content_length = -1;
  // For HEAD: the Content-Length to announce though no body is sent.
  // Ignored for other methods.
  int64_t head_content_length = -1;
  // Close the connection after this answer.
  bool close = false;
};

// Takes a request's body as it comes. Calls never overlap.
class BodySink {
 public:
  virtual ~BodySink() = default;
  // A piece of at most kPieceBytes, never empty. False: no more for now; the
  // edge stops reading the socket until Exchange::ResumeBody().
  virtual bool OnPiece(const client::Piece& piece) = 0;
  // The body is complete. May follow a piece that was answered with false.
  virtual void OnEnd() = 0;
  // The client is gone, too slow, or broke the framing: no more comes and no
  // answer can be sent (the edge answers framing errors itself). After
  // Exchange::Respond() none of the three is called any more.
  virtual void OnAbort() = 0;
};

// Thread safety: any method from any thread. Shared: it may outlive the
// connection; then calls do nothing.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const RequestHead& head() const = 0;

  // Exactly one of these two, before or instead of Respond(): takes the body
  // (and sends "100 Continue" first if the client waits for it).
  // `done` gets the whole body (at most `bytes_max`; more is answered 413 by
  // the edge and `done` is not called). A client that vanishes: not called.
  virtual void ReadBody(int64_t bytes_max,
                        std::function<void(std::string body)> done) = 0;
  virtual void StreamBody(std::shared_ptr<BodySink> sink) = 0;
  virtual void ResumeBody() = 0;

  // Sends the answer. Once. What is unread of the body is drained up to a
  // bound, else the connection is closed after the answer.
  virtual void Respond(Response response) = 0;

  // When the request's head was complete, for latencies: microseconds of
  // CLOCK_MONOTONIC.
  virtual int64_t start_us() const = 0;

  // The handler's own: set in OnRequest(), read in OnSent(). The edge never
  // looks at it; it dies with the exchange.
  std::shared_ptr<void> note;
};

// What serves requests. Called from the edge's threads; must not block.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void OnRequest(const std::shared_ptr<Exchange>& exchange) = 0;
  // An answer, a handler's or the edge's own, has left, or its connection
  // broke (ok false), with the bytes of its body that were sent. Not called
  // when the client left before there was an answer.
  virtual void OnSent(const Exchange& exchange, int status, int64_t body_bytes,
                      bool ok) {}
  // A round: OnRoundBegin() is called on a reactor's thread before its first
  // OnRequest() or call of a sink or source, OnRoundEnd() after all that was
  // ready has been handed over: the time to send what was gathered.
  virtual void OnRoundBegin() {}
  virtual void OnRoundEnd() {}
  // The edge refused a request before any handler saw it.
  virtual void OnRejected(absl::string_view peer, int status,
                          absl::string_view reason) {}
};

// What the edge allows. Defaults are for a public port.
struct EdgeOptions {
  std::string listen;  // host:port, [v6]:port
  int threads = 2;
  int64_t head_bytes_max = 16 << 10;
  int64_t line_bytes_max = 8 << 10;
  int headers_max = 100;
  int connections_max = 20000;
  int connections_per_ip_max = 20000;
  int64_t head_deadline_ms = 10000;
  int64_t idle_deadline_ms = 75000;
  // A body must bring (or take) this many bytes in each window, else the
  // connection is reset. Not counted while the handler has paused it.
  int64_t rate_window_ms = 30000;
  int64_t rate_bytes_min = 4096;
  // Bodies that nobody wanted are read away up to this.
  int64_t drain_bytes_max = 64 << 10;
};

class Edge {
 public:
  virtual ~Edge() = default;
  // No new connections; requests under way are answered with
  // "Connection: close"; returns when all are done or `deadline_ms` passed;
  // what is then left is cut off. Call once; blocks. The destructor cuts off
  // at once what Drain() has not ended.
  virtual void Drain(int64_t deadline_ms) = 0;
  // The port listened on; says which one when `listen` asked for 0.
  virtual int port() const = 0;
  // Open connections, idle ones included.
  virtual int64_t connections() const = 0;
};

// Listens and serves. kFailedPrecondition names the address when the port is
// taken. `handler` must outlive the edge.
absl::StatusOr<std::unique_ptr<Edge>> StartEdge(const EdgeOptions& options,
                                                Handler* handler);

// The body and headers of an error: application/problem+json (RFC 9457) with
// one sentence. 503 gets Retry-After.
Response ProblemResponse(int status, absl::string_view sentence);
// "Not Found" for 404.
absl::string_view ReasonPhrase(int status);

}  // namespace cairn::http

#endif  // CAIRN_GATEWAY_HTTP_EXCHANGE_H_
