#include "gateway/gateway.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "gateway/admin_server.h"
#include "gateway/gateway_fixture.h"

namespace cairn::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class GatewayTest : public GatewayFixture {};

TEST_F(GatewayTest, DeleteIs204Then404) {
  store_.Put("foo", "bar");
  const auto first = Begin("DELETE", "/foo");
  EXPECT_EQ(first->response.status, 204);
  EXPECT_EQ(first->response.body, "");
  EXPECT_EQ(Begin("DELETE", "/foo")->response.status, 404);
  EXPECT_EQ(Begin("DELETE", "/")->response.status, 400);
}

TEST_F(GatewayTest, DeleteHasConditions) {
  store_.Put("foo", "bar");
  EXPECT_EQ(Begin("DELETE", "/foo", {{"if-match", "\"x\""}})->response.status,
            412);
  EXPECT_EQ(Begin("DELETE", "/foo",
                  {{"if-match", "\"00000000000000000000000000000000\""}})
                ->response.status,
            412);
  EXPECT_EQ(Begin("DELETE", "/foo",
                  {{"if-match", "\"37B51D194A7513E45B56F6524F2D51F2\""}})
                ->response.status,
            204);
}

TEST_F(GatewayTest, DeleteThatGotNoAnswerIs503) {
  store_.failure = absl::DeadlineExceededError("no answer in time");
  EXPECT_EQ(Begin("DELETE", "/foo")->response.status, 503);
  store_.fake_metadata.current = nullptr;
  EXPECT_EQ(Begin("DELETE", "/foo")->response.status, 503);
}

TEST_F(GatewayTest, OtherMethodsAre405) {
  const auto exchange = Begin("PATCH", "/foo");
  EXPECT_EQ(exchange->response.status, 405);
  EXPECT_EQ(exchange->Header("Allow"), "GET, HEAD, PUT, POST, DELETE");
}

TEST_F(GatewayTest, TheAccessLogHasOneLineARequestAndNoSecrets) {
  const std::string file =
      std::string(std::getenv("TEST_TMPDIR")) + "/access.log";
  std::remove(file.c_str());  // Logs are appended to.
  {
    base::AccessLog log(file, "text");
    Services services;
    services.store = &store_;
    services.listen_address = "127.0.0.1:3000";
    services.access_log = &log;
    gateway_ = std::make_unique<Gateway>(services);
    store_.Put("big one", std::string(100000, 'x'));
    const auto get = Get("/big%20one", {{"x-request-id", "id-1"}});
    gateway_->OnSent(*get, get->response.status, 0, true);
    Begin("PUT", "/gone", {{"x-request-id", "id-2"}}, 100000)->Vanish();
    gateway_->OnRejected("127.0.0.1:1", 400, "two lengths");
  }
  std::stringstream text;
  text << std::ifstream(file).rdbuf();
  EXPECT_THAT(text.str(), HasSubstr("peer=127.0.0.1:4711 method=GET "
                                    "key=/big%20one status=302 bytes=0 ms="));
  EXPECT_THAT(text.str(), HasSubstr("request_id=id-1 sent=whole"));
  EXPECT_THAT(text.str(), HasSubstr("replica=0000000"));
  EXPECT_THAT(text.str(), HasSubstr("key=/gone status=499"));
  EXPECT_THAT(text.str(), HasSubstr("status=400 rejected=\"two lengths\""));
  EXPECT_THAT(text.str(), Not(HasSubstr("m=")));
  const std::string lines = text.str();
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3);
}

class AdminServerTest : public ::testing::Test {
 protected:
  std::shared_ptr<FakeExchange> Ask(const std::string& method,
                                    const std::string& target) {
    auto exchange =
        std::make_shared<FakeExchange>(method, target, http::RequestHead());
    admin_.OnRequest(exchange);
    return exchange;
  }

  FakeMetadata metadata_;
  AdminServer admin_{&metadata_, "127.0.0.1:3100"};
};

TEST_F(AdminServerTest, IsAliveAndReady) {
  EXPECT_EQ(Ask("GET", "/healthz")->response.status, 200);
  EXPECT_EQ(Ask("GET", "/healthz")->response.body, "ok\n");
  EXPECT_EQ(Ask("GET", "/readyz?verbose")->response.status, 200);
  EXPECT_EQ(Ask("HEAD", "/readyz")->response.status, 200);
}

TEST_F(AdminServerTest, IsNotReadyWithoutAnIndex) {
  metadata_.lookup_status = absl::UnavailableError("the index is away");
  const auto away = Ask("GET", "/readyz");
  EXPECT_EQ(away->response.status, 503);
  EXPECT_THAT(away->response.body, HasSubstr("the index is away"));
  metadata_.current->unavailable_reason = "the index is lost";
  EXPECT_THAT(Ask("GET", "/readyz")->response.body,
              HasSubstr("the index is lost"));
  metadata_.current = nullptr;
  EXPECT_THAT(Ask("GET", "/readyz")->response.body,
              HasSubstr("127.0.0.1:3100"));
  EXPECT_EQ(Ask("GET", "/healthz")->response.status, 200);
}

TEST_F(AdminServerTest, IsNotReadyWhileItDrains) {
  admin_.SetDraining();
  EXPECT_EQ(Ask("GET", "/readyz")->response.status, 503);
  EXPECT_EQ(Ask("GET", "/healthz")->response.status, 200);
}

TEST_F(AdminServerTest, HasNothingElse) {
  EXPECT_EQ(Ask("GET", "/")->response.status, 404);
  EXPECT_EQ(Ask("GET", "/foo?list")->response.status, 404);
  EXPECT_EQ(Ask("PUT", "/healthz")->response.status, 405);
}

}  // namespace
}  // namespace cairn::gateway
