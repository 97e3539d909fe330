#include "gateway/list_handler.h"

#include <nlohmann/json.hpp>

#include "gateway/gateway_fixture.h"

namespace cairn::gateway {
namespace {

class ListHandlerTest : public GatewayFixture {
 protected:
  void PutMany(int count) {
    for (int i = 0; i < count; ++i) {
      store_.Put(absl::StrCat("k", 1000000 + i), "");
    }
  }
  // The value of `next` as it would be pasted into the next request.
  static std::string NextOf(const std::string& body) {
    return nlohmann::json::parse(body)["next"].get<std::string>();
  }
};

TEST_F(ListHandlerTest, ListsInTheDocumentedForm) {
  EXPECT_EQ(Get("/?list")->Body(), "{\"next\":\"\",\"keys\":[]}");
  store_.Put("foo", "bar");
  const auto list = Get("/foo?list");
  EXPECT_EQ(list->response.status, 200);
  EXPECT_EQ(list->Header("Content-Type"), "application/json");
  EXPECT_EQ(list->Body(), "{\"next\":\"\",\"keys\":[\"/foo\"]}");
  EXPECT_EQ(Get("/fox?list")->Body(), "{\"next\":\"\",\"keys\":[]}");
}

TEST_F(ListHandlerTest, KeysStandAsInAUrl) {
  store_.Put(std::string("a b/\"%\0\xff", 8), "");
  EXPECT_EQ(Get("/?list")->Body(),
            "{\"next\":\"\",\"keys\":[\"/a%20b/%22%25%00%FF\"]}");
}

TEST_F(ListHandlerTest, NextContinuesWhenPastedAsItIs) {
  for (const std::string key : {"a", "a b", "a%20", "a+b", "/slash", "z"}) {
    store_.Put(key, "");
  }
  std::string all;
  std::string start;
  for (int i = 0; i < 6; ++i) {
    const std::string body = Get("/?list&limit=1&start=" + start)->Body();
    all += nlohmann::json::parse(body)["keys"][0].get<std::string>() + " ";
    start = NextOf(body);
  }
  EXPECT_EQ(all, "//slash /a /a%20b /a%2520 /a%2Bb /z ");
  EXPECT_EQ(start, "");
}

TEST_F(ListHandlerTest, LimitIs1000ByDefault) {
  PutMany(1001);
  const auto list = nlohmann::json::parse(Get("/?list")->Body());
  EXPECT_EQ(list["keys"].size(), 1000u);
  EXPECT_EQ(list["next"], "/k1001000");
}

TEST_F(ListHandlerTest, ShortPagesAreJoined) {
  PutMany(25);
  store_.list_page_keys_max = 10;
  const auto list = nlohmann::json::parse(Get("/?list&limit=22")->Body());
  EXPECT_EQ(list["keys"].size(), 22u);
  EXPECT_EQ(list["next"], "/k1000022");
  EXPECT_EQ(store_.list_pages, 3);
}

TEST_F(ListHandlerTest, LimitZeroStreamsAll) {
  PutMany(25);
  store_.list_page_keys_max = 10;
  const auto exchange = Get("/?list&limit=0");
  EXPECT_EQ(store_.list_pages, 1);
  const std::string body = exchange->Body();
  const auto list = nlohmann::json::parse(body);
  EXPECT_EQ(body.substr(0, 19), "{\"next\":\"\",\"keys\":[");
  EXPECT_EQ(list["keys"].size(), 25u);
  EXPECT_EQ(exchange->pieces, 3);
  store_.values.clear();
  EXPECT_EQ(Get("/?list&limit=0")->Body(), "{\"next\":\"\",\"keys\":[]}");
}

TEST_F(ListHandlerTest, LongLimitsStreamWithNextBehind) {
  PutMany(10002);
  const std::string body = Get("/?list&limit=10001")->Body();
  const auto list = nlohmann::json::parse(body);
  EXPECT_EQ(list["keys"].size(), 10001u);
  EXPECT_EQ(list["next"], "/k1010001");
  EXPECT_EQ(body.substr(0, 9), "{\"keys\":[");
}

TEST_F(ListHandlerTest, DelimiterCuts) {
  for (const std::string key : {"a/1", "a/b/2", "a/b/3", "a/c", "b"}) {
    store_.Put(key, "");
  }
  EXPECT_EQ(Get("/a/?list&delimiter=/")->Body(),
            "{\"next\":\"\",\"keys\":[\"/a/1\",\"/a/b/\",\"/a/c\"]}");
}

TEST_F(ListHandlerTest, LongTellsOfEachKey) {
  client::PutOptions options;
  options.metadata.set_content_type("text/x; a=\"b\"");
  store_.Put("foo", "bar", options);
  store_.Put("dir/x", "");
  const auto list =
      nlohmann::json::parse(Get("/?list&long&delimiter=/")->Body());
  EXPECT_EQ(list["keys"][0].dump(), "{\"key\":\"/dir/\"}");
  EXPECT_EQ(list["keys"][1]["key"], "/foo");
  EXPECT_EQ(list["keys"][1]["size"], 3);
  EXPECT_EQ(list["keys"][1]["type"], "text/x; a=\"b\"");
  EXPECT_EQ(list["keys"][1]["etag"], "37b51d194a7513e45b56f6524f2d51f2");
  EXPECT_EQ(list["keys"][1]["mtime"], "2023-11-14T22:13:21Z");
}

TEST_F(ListHandlerTest, ErrorsAreProblemsOrBreakTheStream) {
  PutMany(25);
  store_.list_page_keys_max = 10;
  store_.list_failure_after_first_page = absl::UnavailableError("gone");
  const auto stream = Get("/?list&limit=0");
  EXPECT_EQ(stream->response.status, 200);
  stream->Body();
  EXPECT_TRUE(stream->broken);
  store_.list_pages = 0;
  EXPECT_EQ(Get("/?list&limit=20")->response.status, 503);
  store_.failure = absl::UnavailableError("the index is lost");
  EXPECT_EQ(Get("/?list")->response.status, 503);
  EXPECT_EQ(Get("/?list&limit=x")->response.status, 400);
}

TEST_F(ListHandlerTest, OnlyGetLists) {
  store_.Put("foo", "bar");
  for (const std::string method : {"HEAD", "PUT", "POST", "DELETE"}) {
    const auto exchange = Begin(method, "/foo?list");
    EXPECT_EQ(exchange->response.status, 405) << method;
    EXPECT_EQ(exchange->Header("Allow"), "GET");
  }
  EXPECT_EQ(store_.values.size(), 1u);
}

TEST_F(ListHandlerTest, ExchangesAreNotKeptAlive) {
  auto list = Get("/?list&limit=0");
  std::weak_ptr<FakeExchange> weak = list;
  list = nullptr;
  EXPECT_TRUE(weak.expired());
}

}  // namespace
}  // namespace cairn::gateway
