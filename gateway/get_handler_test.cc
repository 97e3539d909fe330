#include "gateway/get_handler.h"

#include "gateway/conditions.h"
#include "gateway/gateway_fixture.h"
#include "gateway/redirect.h"

namespace cairn::gateway {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class GetHandlerTest : public GatewayFixture {
 protected:
  std::string Etag(const std::string& key) {
    return EtagOf(store_.values[key].record);
  }
  const std::string large_ = std::string(999999, 'x') + "y";
};

TEST_F(GetHandlerTest, SmallValuesAreAnsweredHere) {
  client::PutOptions options;
  options.metadata.set_content_type("text/plain");
  options.metadata.set_content_encoding("gzip");
  (*options.metadata.mutable_user())["color"] = "red";
  store_.Put("foo", "bar", options);
  const auto get = Get("/foo");
  EXPECT_EQ(get->response.status, 200);
  EXPECT_EQ(get->response.body, "bar");
  EXPECT_EQ(get->Header("ETag"), Etag("foo"));
  EXPECT_EQ(get->Header("Content-Md5"), "37b51d194a7513e45b56f6524f2d51f2");
  EXPECT_EQ(get->Header("Content-Type"), "text/plain");
  EXPECT_EQ(get->Header("Content-Encoding"), "gzip");
  EXPECT_EQ(get->Header("x-cairn-meta-color"), "red");
  EXPECT_EQ(get->Header("Accept-Ranges"), "bytes");
  EXPECT_EQ(get->Header("Last-Modified"), "Tue, 14 Nov 2023 22:13:21 GMT");
  EXPECT_EQ(get->Header("Cairn-Version").size(), 24u);
  EXPECT_EQ(get->Header("Key-Balance"), "balanced");
  EXPECT_THAT(
      get->Header("Key-Volumes"),
      ::testing::MatchesRegex("127.0.0.1:330[0-9]/0,127.0.0.1:330[0-9]/0"));
}

TEST_F(GetHandlerTest, AValueWithoutTypeIsOctets) {
  store_.Put("foo", "bar");
  EXPECT_EQ(Get("/foo")->Header("Content-Type"), "application/octet-stream");
}

TEST_F(GetHandlerTest, AnEmptyValueIs200) {
  store_.Put("foo", "");
  store_.inline_bytes_max = -1;
  const auto get = Get("/foo");
  EXPECT_EQ(get->response.status, 200);
  EXPECT_EQ(get->response.body, "");
  EXPECT_EQ(Get("/foo", {{"range", "bytes=0-"}})->response.status, 200);
}

TEST_F(GetHandlerTest, AbsentIs404AndUnavailableNeverIs) {
  EXPECT_EQ(Get("/foo")->response.status, 404);
  EXPECT_EQ(Begin("HEAD", "/foo")->response.status, 404);
  store_.failure = absl::UnavailableError("the index is lost");
  const auto lost = Get("/foo");
  EXPECT_EQ(lost->response.status, 503);
  EXPECT_EQ(lost->Header("Retry-After"), "1");
  EXPECT_THAT(lost->response.body, HasSubstr("the index is lost"));
  store_.failure = absl::DeadlineExceededError("late");
  EXPECT_EQ(Get("/foo")->response.status, 504);
  store_.fake_metadata.current = nullptr;
  EXPECT_EQ(Get("/foo")->response.status, 503);
}

TEST_F(GetHandlerTest, KeysThatCannotBeAre400) {
  EXPECT_EQ(Get("/")->response.status, 400);
  EXPECT_EQ(Get("/%")->response.status, 400);
  EXPECT_EQ(Get("/" + std::string(1025, 'k'))->response.status, 400);
}

TEST_F(GetHandlerTest, RangesOfSmallValues) {
  store_.Put("foo", "0123456789");
  const auto part = Get("/foo", {{"range", "bytes=2-100"}});
  EXPECT_EQ(part->response.status, 206);
  EXPECT_EQ(part->response.body, "23456789");
  EXPECT_EQ(part->Header("Content-Range"), "bytes 2-9/10");
  const auto none = Get("/foo", {{"range", "bytes=10-"}});
  EXPECT_EQ(none->response.status, 416);
  EXPECT_EQ(none->Header("Content-Range"), "bytes */10");
  EXPECT_EQ(Get("/foo", {{"range", "bytes=0-1,4-5"}})->response.body,
            "0123456789");
  EXPECT_EQ(Get("/foo", {{"range", "bytes=0-1"}, {"if-range", Etag("foo")}})
                ->response.body,
            "01");
  EXPECT_EQ(Get("/foo", {{"range", "bytes=0-1"}, {"if-range", "\"old\""}})
                ->response.status,
            200);
}

TEST_F(GetHandlerTest, Conditions) {
  store_.Put("foo", "bar");
  const auto same = Get("/foo", {{"if-none-match", Etag("foo")}});
  EXPECT_EQ(same->response.status, 304);
  EXPECT_EQ(same->Header("ETag"), Etag("foo"));
  EXPECT_EQ(same->response.body, "");
  EXPECT_EQ(Begin("HEAD", "/foo", {{"if-none-match", "*"}})->response.status,
            304);
  EXPECT_EQ(Get("/foo", {{"if-none-match", "\"x\""}})->response.status, 200);
  EXPECT_EQ(Get("/foo", {{"if-match", "\"x\""}})->response.status, 412);
  EXPECT_EQ(Get("/foo", {{"if-match", Etag("foo")}})->response.status, 200);
  EXPECT_EQ(
      Get("/foo", {{"if-modified-since", "Tue, 14 Nov 2023 22:13:21 GMT"}})
          ->response.status,
      304);
}

TEST_F(GetHandlerTest, HeadIsAlways200) {
  store_.Put("foo", large_);
  const auto head = Begin("HEAD", "/foo", {{"range", "bytes=0-1"}});
  EXPECT_EQ(head->response.status, 200);
  EXPECT_EQ(head->response.head_content_length, 1000000);
  EXPECT_EQ(head->response.body, "");
  EXPECT_EQ(head->Header("Accept-Ranges"), "bytes");
  EXPECT_EQ(head->Header("ETag"), Etag("foo"));
}

TEST_F(GetHandlerTest, LargeValuesAreRedirected) {
  client::PutOptions options;
  options.metadata.set_content_type("text/plain");
  (*options.metadata.mutable_user())["color"] = "red";
  store_.Put("a b", large_, options);
  const auto get = Get("/a%20b", {{"host", "files.example:8080"}});
  EXPECT_EQ(get->response.status, 302);
  EXPECT_EQ(get->response.body, "");
  const std::string location = get->Header("Location");
  EXPECT_THAT(location, StartsWith("http://127.0.0.1:330"));
  EXPECT_THAT(location, HasSubstr("&g=files.example:8080&k=a%20b"));
  EXPECT_THAT(location, Not(HasSubstr(std::string(64, 'a'))));
  EXPECT_EQ(get->Header("Cache-Control"), "no-store");
  EXPECT_EQ(get->Header("x-cairn-meta-color"), "red");
  EXPECT_EQ(get->Header("Key-Balance"), "balanced");
  EXPECT_EQ(get->Header("Content-Md5").size(), 32u);
}

TEST_F(GetHandlerTest, OnlyAPlainHostIsTheWayBack) {
  const auto address = [](const std::string& host) {
    http::RequestHead head;
    if (!host.empty()) head.headers.emplace_back("host", host);
    return ReturnAddress(head, "127.0.0.1:3000");
  };
  EXPECT_EQ(address("localhost:3000"), "localhost:3000");
  EXPECT_EQ(address("[::1]:3000"), "[::1]:3000");
  EXPECT_EQ(address(""), "127.0.0.1:3000");
  EXPECT_EQ(address("a/b"), "127.0.0.1:3000");
  EXPECT_EQ(address("a&k=b"), "127.0.0.1:3000");
  EXPECT_EQ(address(std::string(300, 'a')), "127.0.0.1:3000");
}

TEST_F(GetHandlerTest, AllReplicasDownIs503) {
  store_.Put("foo", large_);
  for (v1::Volume& volume :
       *store_.fake_metadata.current->map.mutable_volumes()) {
    volume.set_state(v1::VOLUME_STATE_DOWN);
  }
  const auto get = Get("/foo");
  EXPECT_EQ(get->response.status, 503);
  EXPECT_THAT(get->response.body, HasSubstr("are all down"));
}

TEST_F(GetHandlerTest, AChangedMapUnbalancesKeys) {
  store_.Put("foo", "bar");
  v1::Record& record = store_.values["foo"].record;
  for (int id = 1; id <= 3; ++id) {
    if (id != static_cast<int>(record.replicas(0).volume_id()) &&
        id != static_cast<int>(record.replicas(1).volume_id())) {
      record.mutable_replicas(1)->set_volume_id(id);
      break;
    }
  }
  EXPECT_EQ(Get("/foo")->Header("Key-Balance"), "unbalanced");
}

TEST_F(GetHandlerTest, ProxiedWhenAskedOrNeeded) {
  client::PutOptions odd;
  odd.metadata.set_content_type("text/plain; name=\"a&b\"");
  store_.Put("odd", large_, odd);
  store_.Put("foo", large_);
  const struct {
    std::string target;
    Headers headers;
  } kCases[] = {
      {"/odd", {}},
      {"/foo", {{"if-match", "*"}}},
      {"/foo", {{"if-unmodified-since", "Sun, 06 Nov 2044 08:49:37 GMT"}}},
      {"/foo?cairn-retry=1", {}},
      // What nginx would refuse, or read otherwise.
      {"/foo", {{"if-none-match", "\"x\""}, {"if-none-match", "\"y\""}}},
      {"/foo", {{"if-modified-since", "Sun, 06 Nov 2044 08:49:37 CET"}}},
      {"/foo", {{"range", "bytes=0-1"}, {"if-range", "nonsense"}}},
  };
  for (const auto& c : kCases) {
    const auto get = Get(c.target, c.headers);
    EXPECT_EQ(get->response.status, 200) << c.target;
    EXPECT_EQ(get->response.content_length, 1000000);
    EXPECT_EQ(get->Body(), large_);
    EXPECT_FALSE(get->broken);
  }
}

TEST_F(GetHandlerTest, OrdinaryConditionsAndRangesAreRedirected) {
  store_.Put("foo", large_);
  const Headers kCases[] = {
      {{"if-none-match", "\"x\", W/\"y\""}},
      {{"if-modified-since", "Sun, 06 Nov 1994 08:49:37 GMT"}},
      {{"range", "bytes=0-1"}, {"if-range", Etag("foo")}},
      {{"range", "bytes=0-1"}, {"if-range", "Sun, 06 Nov 1994 08:49:37 GMT"}},
  };
  for (const Headers& headers : kCases) {
    EXPECT_EQ(Get("/foo", headers)->response.status, 302) << headers[0].second;
  }
}

TEST_F(GetHandlerTest, ARangeThatALargeValueHasNotIsRefusedHere) {
  store_.Put("foo", large_);
  const auto get = Get("/foo", {{"range", "bytes=1000000-"}});
  EXPECT_EQ(get->response.status, 416);
  EXPECT_EQ(get->Header("Content-Range"), "bytes */1000000");
  EXPECT_EQ(get->Header("Content-Type"), "application/problem+json");
}

class ProxiedReadTest : public GetHandlerTest {
 protected:
  void SetUp() override {
    UseReads(/*proxy=*/true);
    store_.Put("foo", large_);
  }
};

TEST_F(ProxiedReadTest, StreamsWholeValuesAndRanges) {
  const auto whole = Get("/foo");
  EXPECT_EQ(whole->response.status, 200);
  EXPECT_EQ(whole->Header("Accept-Ranges"), "bytes");
  EXPECT_EQ(whole->Body(), large_);
  EXPECT_EQ(whole->pieces, 4);
  const auto part = Get("/foo", {{"range", "bytes=999998-"}});
  EXPECT_EQ(part->response.status, 206);
  EXPECT_EQ(part->response.content_length, 2);
  EXPECT_EQ(part->Header("Content-Range"), "bytes 999998-999999/1000000");
  EXPECT_EQ(part->Header("Accept-Ranges"), "");  // As nginx has it.
  EXPECT_EQ(part->Body(), "xy");
  EXPECT_EQ(Get("/foo", {{"range", "bytes=1000000-"}})->response.status, 416);
}

TEST_F(ProxiedReadTest, ReadersTakeTurnsAtTheReplicas) {
  Get("/foo")->Body();
  Get("/foo")->Body();
  ASSERT_EQ(store_.read_salts.size(), 2u);
  EXPECT_EQ(store_.read_salts[1], store_.read_salts[0] + 1);
}

TEST_F(ProxiedReadTest, TheNextReplicaStandsInFromTheFirstByte) {
  store_.replica_fails_at[0] = 0;
  const auto get = Get("/foo");
  EXPECT_EQ(get->Body(), large_);
  EXPECT_FALSE(get->broken);
}

TEST_F(ProxiedReadTest, TheNextReplicaStandsInInTheMiddle) {
  store_.replica_fails_at[0] = 300000;
  const auto get = Get("/foo");
  EXPECT_EQ(get->Body(), large_);
  EXPECT_FALSE(get->broken);
}

TEST_F(ProxiedReadTest, TheLastPieceIsHeldBackUntilTheHashIsRight) {
  store_.corrupt_replicas = {0, 1};
  const auto get = Get("/foo");
  EXPECT_EQ(get->response.status, 200);
  const std::string body = get->Body();
  EXPECT_TRUE(get->broken);
  EXPECT_EQ(body, large_.substr(0, 3 * (256 << 10)));
}

TEST_F(ProxiedReadTest, ACorruptReplicaOfOnePieceIsPassedOver) {
  store_.Put("foo", std::string(10000, 'x'));
  store_.corrupt_replicas = {0};
  const auto get = Get("/foo");
  EXPECT_EQ(get->Body(), std::string(10000, 'x'));
  EXPECT_FALSE(get->broken);
  store_.corrupt_replicas = {0, 1};
  EXPECT_EQ(Get("/foo")->response.status, 500);
}

TEST_F(ProxiedReadTest, AllReplicasFailingIs503) {
  store_.replica_fails_at = {{0, 0}, {1, 0}};
  const auto get = Get("/foo");
  EXPECT_EQ(get->response.status, 503);
  EXPECT_THAT(get->response.body, HasSubstr("volume is down"));
}

TEST_F(ProxiedReadTest, AValueReplacedMeanwhileIsReadAnew) {
  store_.before_read = [this] {
    store_.before_read = nullptr;
    store_.Put("foo", std::string(100000, 'z'));
  };
  const auto get = Get("/foo");
  EXPECT_EQ(get->response.status, 200);
  EXPECT_EQ(get->Header("ETag"), Etag("foo"));
  EXPECT_EQ(get->Body(), std::string(100000, 'z'));
  EXPECT_EQ(store_.lookups, 2);
}

TEST_F(ProxiedReadTest, AValueDeletedMeanwhileIs404) {
  store_.before_read = [this] { store_.values.clear(); };
  EXPECT_EQ(Get("/foo")->response.status, 404);
}

TEST_F(ProxiedReadTest, AWrongBitInTheIndexIsNotServed) {
  store_.Put("foo", "bar");
  const std::string good = store_.values["foo"].bytes;
  store_.values["foo"].bytes = "baz";
  EXPECT_EQ(Get("/foo")->response.status, 500);
  store_.values["foo"].bytes = good;
  EXPECT_EQ(Get("/foo")->response.body, "bar");
}

TEST_F(ProxiedReadTest, ExchangesAreNotKeptAlive) {
  auto get = Get("/foo");
  get->Body();
  std::weak_ptr<FakeExchange> weak = get;
  get = nullptr;
  EXPECT_TRUE(weak.expired());
}

}  // namespace
}  // namespace cairn::gateway
