// An exchange without sockets: a test gives the head and the body, and reads
// the answer. Not thread-safe.

#ifndef CAIRN_GATEWAY_FAKE_EXCHANGE_H_
#define CAIRN_GATEWAY_FAKE_EXCHANGE_H_

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/http/exchange.h"

namespace cairn::gateway {

class FakeExchange final : public http::Exchange {
 public:
  FakeExchange(std::string method, std::string target, http::RequestHead head)
      : head_(std::move(head)) {
    head_.method = std::move(method);
    head_.target = std::move(target);
    head_.peer = "127.0.0.1:4711";
  }

  const http::RequestHead& head() const override { return head_; }
  void ReadBody(int64_t bytes_max,
                std::function<void(std::string body)> done) override {
    body_bytes_max = bytes_max;
    body_done = std::move(done);
  }
  void StreamBody(std::shared_ptr<http::BodySink> new_sink) override {
    sink = std::move(new_sink);
  }
  void ResumeBody() override { ++resumes; }
  void Respond(http::Response new_response) override {
    ++responses;
    response = std::move(new_response);
  }
  int64_t start_us() const override { return 0; }

  bool wants_body() const { return body_done != nullptr || sink != nullptr; }

  // The body comes, in pieces of `piece_bytes`, and ends.
  void SendBody(const std::string& body, size_t piece_bytes = 256 << 10) {
    if (body_done != nullptr) {
      return std::exchange(body_done, nullptr)(body);
    }
    for (size_t i = 0; i < body.size(); i += piece_bytes) {
      SendPiece(body.substr(i, piece_bytes));
    }
    EndBody();
  }
  // True if the sink wants more at once.
  bool SendPiece(const std::string& bytes) {
    client::Piece piece = client::Piece::Allocate(bytes.size());
    std::copy(bytes.begin(), bytes.end(), piece.data.get());
    piece.size = bytes.size();
    return sink->OnPiece(piece);
  }
  void EndBody() { std::exchange(sink, nullptr)->OnEnd(); }
  // The client is gone.
  void Vanish() {
    if (sink != nullptr) std::exchange(sink, nullptr)->OnAbort();
    body_done = nullptr;
  }

  // All that a client would get as body; `broken`: the source ended in error.
  std::string Body() {
    if (response.source == nullptr) return response.body;
    std::string body;
    while (true) {
      bool called = false;
      absl::StatusOr<std::string> piece;
      response.source->Next([&](absl::StatusOr<std::string> next) {
        called = true;
        piece = std::move(next);
      });
      if (!called || !piece.ok()) {
        broken = true;
        return body;
      }
      if (piece->empty()) return body;
      body += *piece;
      ++pieces;
    }
  }
  // The value of a header of the answer; "" if absent.
  std::string Header(const std::string& name) const {
    for (const auto& header : response.headers) {
      if (header.first == name) return header.second;
    }
    return "";
  }

  int responses = 0;
  int resumes = 0;
  int pieces = 0;
  bool broken = false;
  http::Response response;
  int64_t body_bytes_max = -1;
  std::function<void(std::string body)> body_done;
  std::shared_ptr<http::BodySink> sink;

 private:
  http::RequestHead head_;
};

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_FAKE_EXCHANGE_H_
