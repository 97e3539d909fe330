// What the tests of the handlers share: a gateway on fakes, and verbs.

#ifndef CAIRN_GATEWAY_GATEWAY_FIXTURE_H_
#define CAIRN_GATEWAY_GATEWAY_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gateway/fake_exchange.h"
#include "gateway/fake_store.h"
#include "gateway/gateway.h"

namespace cairn::gateway {

class GatewayFixture : public ::testing::Test {
 protected:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  using ExchangePtr = std::shared_ptr<FakeExchange>;

  void SetUp() override { UseReads(/*proxy=*/false); }

  void UseReads(bool proxy) {
    Services services;
    services.store = &store_;
    services.proxy_reads = proxy;
    services.listen_address = "127.0.0.1:3000";
    services.master_address = "127.0.0.1:3100";
    gateway_ = std::make_unique<Gateway>(services);
  }

  // Sends a head; the body, if any, is up to the test. `content_length` -1:
  // chunked.
  ExchangePtr Begin(const std::string& method, const std::string& target,
                    const Headers& headers = {}, int64_t content_length = 0) {
    http::RequestHead head;
    head.headers = headers;
    head.content_length = content_length;
    auto exchange =
        std::make_shared<FakeExchange>(method, target, std::move(head));
    gateway_->OnRequest(exchange);
    return exchange;
  }
  ExchangePtr Get(const std::string& target, const Headers& headers = {}) {
    return Begin("GET", target, headers);
  }
  ExchangePtr Send(const std::string& method, const std::string& target,
                   const std::string& body, const Headers& headers = {}) {
    auto exchange = Begin(method, target, headers, body.size());
    if (exchange->wants_body()) exchange->SendBody(body);
    return exchange;
  }
  ExchangePtr Put(const std::string& target, const std::string& body,
                  const Headers& headers = {}) {
    return Send("PUT", target, body, headers);
  }
  ExchangePtr PutChunked(const std::string& target, const std::string& body,
                         const Headers& headers = {},
                         size_t piece_bytes = 1000) {
    auto exchange = Begin("PUT", target, headers, -1);
    if (exchange->wants_body()) exchange->SendBody(body, piece_bytes);
    return exchange;
  }

  FakeStore store_;
  std::unique_ptr<Gateway> gateway_;
};

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_GATEWAY_FIXTURE_H_
