// The gateway on its real edge, over sockets, on a store in memory.

#include <httplib.h>

#include <string>

#include "gateway/gateway_fixture.h"

namespace cairn::gateway {
namespace {

class GatewayEdgeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    Services services;
    services.store = &store_;
    services.proxy_reads = true;
    services.listen_address = "127.0.0.1:3000";
    gateway_ = std::make_unique<Gateway>(services);
    http::EdgeOptions options;
    options.listen = "127.0.0.1:0";
    options.threads = 1;  // The store is not thread-safe.
    auto edge = http::StartEdge(options, gateway_.get());
    ASSERT_TRUE(edge.ok()) << edge.status();
    edge_ = *std::move(edge);
    client_ = std::make_unique<httplib::Client>("127.0.0.1", edge_->port());
    client_->set_keep_alive(true);
  }

  FakeStore store_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<http::Edge> edge_;
  std::unique_ptr<httplib::Client> client_;
};

TEST_F(GatewayEdgeTest, AValueIsWrittenReadListedAndDeleted) {
  EXPECT_EQ(client_->Put("/foo", "bar", "text/plain")->status, 201);
  EXPECT_EQ(client_->Put("/foo", "bar", "text/plain")->status, 204);
  EXPECT_EQ(client_->Post("/foo", "bar", "text/plain")->status, 409);
  const auto get = client_->Get("/foo");
  EXPECT_EQ(get->status, 200);
  EXPECT_EQ(get->body, "bar");
  EXPECT_EQ(get->get_header_value("Content-Type"), "text/plain");
  EXPECT_EQ(get->get_header_value("Content-Length"), "3");
  const auto head = client_->Head("/foo");
  EXPECT_EQ(head->status, 200);
  EXPECT_EQ(head->get_header_value("Content-Length"), "3");
  EXPECT_EQ(client_->Get("/foo?list")->body,
            "{\"next\":\"\",\"keys\":[\"/foo\"]}");
  EXPECT_EQ(client_->Get("/?list&limit=0")->body,
            "{\"next\":\"\",\"keys\":[\"/foo\"]}");
  EXPECT_EQ(client_->Delete("/foo")->status, 204);
  EXPECT_EQ(client_->Delete("/foo")->status, 404);
  EXPECT_EQ(client_->Get("/foo")->status, 404);
}

TEST_F(GatewayEdgeTest, LargeValuesStreamBothWays) {
  std::string value(3000000, 'x');
  for (size_t i = 0; i < value.size(); i += 7) value[i] = i % 251;
  EXPECT_EQ(client_->Put("/sized", value, "")->status, 201);
  size_t sent = 0;
  const auto chunked = client_->Put(
      "/chunked",
      [&](size_t, httplib::DataSink& sink) {
        const size_t size = std::min<size_t>(100000, value.size() - sent);
        if (size == 0) {
          sink.done();
          return true;
        }
        sink.write(value.data() + sent, size);
        sent += size;
        return true;
      },
      "application/octet-stream");
  EXPECT_EQ(chunked->status, 201);
  EXPECT_EQ(client_->Get("/sized")->body, value);
  EXPECT_EQ(client_->Get("/chunked")->body, value);
  const auto part =
      client_->Get("/sized", {{"Range", "bytes=1000000-2000000"}});
  EXPECT_EQ(part->status, 206);
  EXPECT_EQ(part->body, value.substr(1000000, 1000001));
  EXPECT_EQ(store_.open_writers, 0);
}

TEST_F(GatewayEdgeTest, ACorruptValueBreaksTheConnection) {
  store_.Put("foo", std::string(1000000, 'x'));
  store_.corrupt_replicas = {0, 1};
  EXPECT_FALSE(client_->Get("/foo"));
  store_.corrupt_replicas.clear();
  EXPECT_EQ(client_->Get("/foo")->body.size(), 1000000u);
}

TEST_F(GatewayEdgeTest, RefusedBodiesDoNotSpoilTheNextRequest) {
  for (int i = 0; i < 3; ++i) {
    const auto refused = client_->Put("/foo", {{"Content-MD5", "x"}},
                                      std::string(1000, 'x'), "text/plain");
    EXPECT_EQ(refused->status, 400);
    EXPECT_EQ(client_->Put("/bar", "1", "text/plain")->status / 100, 2);
  }
  const auto json = client_->Put("/foo", "{\"a\":" + std::string(1000000, ' '),
                                 "application/json");
  EXPECT_EQ(json->status, 400);
  EXPECT_EQ(store_.values.count("foo"), 0u);
}

}  // namespace
}  // namespace cairn::gateway
