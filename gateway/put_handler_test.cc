#include "gateway/put_handler.h"

#include "gateway/gateway_fixture.h"

namespace cairn::gateway {
namespace {

using ::testing::HasSubstr;

constexpr char kBarMd5[] = "37b51d194a7513e45b56f6524f2d51f2";
constexpr char kBarEtag[] = "\"37b51d194a7513e45b56f6524f2d51f2\"";
constexpr char kBarMd5Base64[] = "N7UdGUp1E+RbVvZSTy1R8g==";

class PutHandlerTest : public GatewayFixture {};

TEST_F(PutHandlerTest, TellsNewFromReplaced) {
  const auto first = Put("/foo", "bar");
  EXPECT_EQ(first->response.status, 201);
  EXPECT_EQ(first->Header("ETag"), kBarEtag);
  EXPECT_EQ(first->Header("Cairn-Version").size(), 24u);
  EXPECT_EQ(first->response.body, "");
  EXPECT_EQ(store_.values["foo"].bytes, "bar");
  const auto second = Put("/foo", "baz");
  EXPECT_EQ(second->response.status, 204);
  EXPECT_GT(second->Header("Cairn-Version"), first->Header("Cairn-Version"));
  EXPECT_EQ(store_.values["foo"].bytes, "baz");
}

TEST_F(PutHandlerTest, KeepsTypeEncodingAndMetadata) {
  Put("/foo", "bar",
      {{"content-type", "text/plain; charset=x"},
       {"content-encoding", "gzip"},
       {"x-cairn-meta-color", "red"},
       {"x-cairn-meta-color", "blue"},
       {"x-cairn-meta-size", "100%41"}});
  const v1::ValueMetadata& metadata = store_.values["foo"].record.metadata();
  EXPECT_EQ(metadata.content_type(), "text/plain; charset=x");
  EXPECT_EQ(metadata.content_encoding(), "gzip");
  EXPECT_EQ(metadata.user().at("color"), "red, blue");
  EXPECT_EQ(metadata.user().at("size"), "100%41");
}

TEST_F(PutHandlerTest, BadHeadsAreRefusedBeforeTheBody) {
  const struct {
    std::string target;
    Headers headers;
  } kCases[] = {
      {"/", {}},
      {"/%zz", {}},
      {"/" + std::string(1025, 'k'), {}},
      {"/foo", {{"content-type", "text/\xff"}}},
      {"/foo", {{"content-encoding", "\xc3\xa4"}}},
      {"/foo", {{"x-cairn-meta-", "x"}}},
      {"/foo", {{"x-cairn-meta-big", std::string(2048, 'x')}}},
      {"/foo", {{"content-md5", ""}}},
      {"/foo", {{"content-md5", kBarMd5}}},
      {"/foo", {{"content-md5", "N7UdGUp1E+RbVvZSTy1R8g"}}},
      {"/foo", {{"content-md5", "N7UdGUp1E+RbVvZSTy1R8h=="}}},
  };
  for (const auto& c : kCases) {
    const auto exchange = Begin("PUT", c.target, c.headers, 3);
    EXPECT_EQ(exchange->response.status, 400) << c.target;
    EXPECT_FALSE(exchange->wants_body()) << c.target;
    EXPECT_EQ(exchange->Header("Content-Type"), "application/problem+json");
  }
  EXPECT_TRUE(store_.values.empty());
}

TEST_F(PutHandlerTest, KeysAreExactToTheByte) {
  Put("/a%2Fb%00%ff//..", "bar");
  EXPECT_EQ(store_.values.begin()->first, std::string("a/b\0\xff//..", 9));
}

TEST_F(PutHandlerTest, AnEmptyValueIsAValue) {
  EXPECT_EQ(Put("/foo", "")->response.status, 201);
  EXPECT_EQ(PutChunked("/bar", "")->response.status, 201);
  EXPECT_EQ(store_.values.size(), 2u);
}

TEST_F(PutHandlerTest, TooLargeIs413BeforeTheBody) {
  const auto exchange = Begin("PUT", "/foo", {}, (int64_t{5} << 40) + 1);
  EXPECT_EQ(exchange->response.status, 413);
  EXPECT_FALSE(exchange->wants_body());
}

TEST_F(PutHandlerTest, ContentMd5IsCheckedBeforeAnythingIsVisible) {
  EXPECT_EQ(
      Put("/foo", "bar", {{"content-md5", kBarMd5Base64}})->response.status,
      201);
  const auto wrong = Put("/foo", "baz", {{"content-md5", kBarMd5Base64}});
  EXPECT_EQ(wrong->response.status, 400);
  EXPECT_THAT(wrong->response.body, HasSubstr(kBarMd5));
  EXPECT_EQ(PutChunked("/foo", std::string(100000, 'x'),
                       {{"content-md5", kBarMd5Base64}})
                ->response.status,
            400);
  EXPECT_EQ(store_.abandoned_writers, 1);
  EXPECT_EQ(store_.values["foo"].bytes, "bar");
}

TEST_F(PutHandlerTest, TooFewVolumesAnswerBeforeTheBody) {
  v1::ClusterMap& map = store_.fake_metadata.current->map;
  map.mutable_volumes(0)->set_state(v1::VOLUME_STATE_DOWN);
  map.mutable_volumes(1)->set_state(v1::VOLUME_STATE_DOWN);
  const auto down = Begin("PUT", "/foo", {}, 3);
  EXPECT_EQ(down->response.status, 503);
  EXPECT_EQ(down->Header("Retry-After"), "1");
  EXPECT_FALSE(down->wants_body());

  map.mutable_volumes(0)->set_state(v1::VOLUME_STATE_UP);
  map.mutable_volumes(1)->set_state(v1::VOLUME_STATE_UP);
  for (int i = 0; i < 3; ++i) {
    map.mutable_volumes(i)->mutable_subvolumes(0)->set_full(true);
  }
  const auto full = Begin("PUT", "/foo", {}, 3);
  EXPECT_EQ(full->response.status, 507);
  EXPECT_FALSE(full->wants_body());
}

TEST_F(PutHandlerTest, NoMasterAndALostIndexAre503) {
  store_.fake_metadata.current->unavailable_reason =
      "the index is lost: run `cairn rebuild`";
  const auto lost = Begin("PUT", "/foo", {}, 3);
  EXPECT_EQ(lost->response.status, 503);
  EXPECT_THAT(lost->response.body, HasSubstr("run `cairn rebuild`"));
  store_.fake_metadata.current = nullptr;
  const auto no_master = Begin("PUT", "/foo", {}, 3);
  EXPECT_EQ(no_master->response.status, 503);
  EXPECT_THAT(no_master->response.body, HasSubstr("127.0.0.1:3100"));
}

TEST_F(PutHandlerTest, ErrorsOfTheStoreHaveTheirStatus) {
  const struct {
    absl::Status status;
    int http_status;
  } kCases[] = {
      {absl::UnavailableError("x"), 503},
      {absl::DeadlineExceededError("x"), 503},
      {absl::AbortedError("x"), 503},
      {absl::ResourceExhaustedError("x"), 507},
      {absl::DataLossError("x"), 500},
      {absl::InternalError("x"), 500},
      {absl::InvalidArgumentError("x"), 400},
      // No precondition was sent, so it is not the client's.
      {absl::FailedPreconditionError("volume removed"), 503},
  };
  for (const auto& c : kCases) {
    store_.failure = c.status;
    EXPECT_EQ(Put("/foo", "bar")->response.status, c.http_status) << c.status;
  }
}

TEST_F(PutHandlerTest, IfNoneMatchStarWritesOnlyNewKeys) {
  EXPECT_EQ(Put("/foo", "1", {{"if-none-match", "*"}})->response.status, 201);
  const auto again = Put("/foo", "2", {{"if-none-match", "*"}});
  EXPECT_EQ(again->response.status, 412);
  EXPECT_EQ(store_.values["foo"].bytes, "1");
}

TEST_F(PutHandlerTest, IfMatchWritesOnlyOverThatEtag) {
  EXPECT_EQ(Put("/foo", "x", {{"if-match", kBarEtag}})->response.status, 412);
  EXPECT_EQ(Put("/foo", "x", {{"if-match", "*"}})->response.status, 412);
  Put("/foo", "bar");
  EXPECT_EQ(Put("/foo", "x", {{"if-match", "\"other\""}})->response.status,
            412);
  EXPECT_EQ(Put("/foo", "x", {{"if-match", std::string("W/") + kBarEtag}})
                ->response.status,
            412);
  EXPECT_EQ(Put("/foo", "baz", {{"if-match", "\"0\""}, {"if-match", kBarEtag}})
                ->response.status,
            204);
  EXPECT_EQ(Put("/foo", "bar", {{"if-match", "*"}})->response.status, 204);
}

TEST_F(PutHandlerTest, OtherConditionsAreTiedToTheRecordOfNow) {
  const Headers none = {{"if-none-match", kBarEtag}};
  EXPECT_EQ(Put("/foo", "bar", none)->response.status, 201);
  EXPECT_EQ(Put("/foo", "baz", none)->response.status, 412);
  Put("/foo", "x");
  EXPECT_EQ(Put("/foo", "y", none)->response.status, 204);
  EXPECT_EQ(store_.last_options.precondition.md5_any_of_size(), 1);
  const Headers old = {
      {"if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"}};
  EXPECT_EQ(Put("/foo", "z", old)->response.status, 412);
  const Headers young = {
      {"if-unmodified-since", "Sun, 06 Nov 2044 08:49:37 GMT"}};
  EXPECT_EQ(Put("/foo", "z", young)->response.status, 204);
}

TEST_F(PutHandlerTest, PostWritesOnlyNewKeys) {
  EXPECT_EQ(Send("POST", "/foo", "1")->response.status, 201);
  const auto again = Send("POST", "/foo", "2");
  EXPECT_EQ(again->response.status, 409);
  EXPECT_THAT(again->response.body, HasSubstr("use PUT"));
  EXPECT_EQ(store_.values["foo"].bytes, "1");
}

TEST_F(PutHandlerTest, FailedConditionsSpareLargeAndExpectedBodies) {
  Put("/foo", "bar");
  const auto large = Begin("PUT", "/foo", {{"if-none-match", "*"}}, 1 << 20);
  EXPECT_EQ(large->response.status, 412);
  EXPECT_FALSE(large->wants_body());
  const auto chunked = Begin("POST", "/foo", {}, -1);
  EXPECT_EQ(chunked->response.status, 409);
  EXPECT_FALSE(chunked->wants_body());
  const auto expects =
      Begin("PUT", "/foo", {{"if-match", "*"}, {"expect", "100-continue"}}, 3);
  EXPECT_TRUE(expects->wants_body());
  expects->Vanish();
  const auto refused = Begin(
      "PUT", "/foo", {{"if-none-match", "*"}, {"expect", "100-continue"}}, 3);
  EXPECT_EQ(refused->response.status, 412);
  EXPECT_FALSE(refused->wants_body());
}

TEST_F(PutHandlerTest, SmallBodiesWithoutConditionsCostNoLookup) {
  Put("/foo", "bar");
  Put("/foo", "bar", {{"if-match", kBarEtag}});
  EXPECT_EQ(store_.lookups, 0);
}

TEST_F(PutHandlerTest, LargeBodiesStream) {
  const std::string value(1000000, 'x');
  const auto exchange = Put("/foo", value);
  EXPECT_EQ(exchange->response.status, 201);
  EXPECT_EQ(store_.last_size_bytes_expected, 1000000);
  EXPECT_EQ(store_.small_puts, 0);
  EXPECT_EQ(store_.open_writers, 0);
  EXPECT_EQ(store_.values["foo"].bytes, value);
  EXPECT_EQ(exchange->Header("ETag"),
            "\"" + base::Md5Hex(base::DigestOf(value).md5) + "\"");
}

TEST_F(PutHandlerTest, ChunkedBodiesThatStaySmallGoTheSmallWay) {
  const std::string small(64 << 10, 'x');
  EXPECT_EQ(PutChunked("/small", small)->response.status, 201);
  EXPECT_EQ(store_.small_puts, 1);
  EXPECT_EQ(store_.values["small"].bytes, small);
  const std::string large((64 << 10) + 1, 'x');
  EXPECT_EQ(PutChunked("/large", large)->response.status, 201);
  EXPECT_EQ(store_.small_puts, 1);
  EXPECT_EQ(store_.values["large"].bytes, large);
  EXPECT_EQ(store_.last_size_bytes_expected, 0);
}

TEST_F(PutHandlerTest, TheSlowestReplicaSetsThePace) {
  store_.pieces_until_full = 2;
  const auto exchange = Begin("PUT", "/foo", {}, 300000);
  EXPECT_TRUE(exchange->SendPiece(std::string(100000, 'a')));
  EXPECT_FALSE(exchange->SendPiece(std::string(100000, 'b')));
  store_.last_writable();
  EXPECT_EQ(exchange->resumes, 1);
  EXPECT_TRUE(exchange->SendPiece(std::string(100000, 'c')));
  exchange->EndBody();
  EXPECT_EQ(exchange->response.status, 201);
}

TEST_F(PutHandlerTest, AFailedWriterAnswersWhileTheBodyComes) {
  const auto exchange = Begin("PUT", "/foo", {}, 300000);
  exchange->SendPiece(std::string(100000, 'a'));
  store_.writer_failure = absl::UnavailableError("a volume failed");
  EXPECT_TRUE(exchange->SendPiece(std::string(100000, 'b')));
  EXPECT_EQ(exchange->response.status, 503);
  // What still comes is ignored.
  EXPECT_TRUE(exchange->SendPiece(std::string(100000, 'c')));
  exchange->EndBody();
  EXPECT_EQ(exchange->responses, 1);
  EXPECT_EQ(store_.abandoned_writers, 1);
}

TEST_F(PutHandlerTest, AVanishedClientLeavesNothing) {
  const auto exchange = Begin("PUT", "/foo", {}, 300000);
  exchange->SendPiece(std::string(100000, 'a'));
  exchange->Vanish();
  EXPECT_EQ(store_.abandoned_writers, 1);
  EXPECT_TRUE(store_.values.empty());
  EXPECT_EQ(exchange->responses, 0);
  store_.last_writable();  // A late call does no harm.
}

TEST_F(PutHandlerTest, ExchangesAreNotKeptAlive) {
  std::weak_ptr<FakeExchange> weak = Put("/foo", std::string(100000, 'x'));
  EXPECT_TRUE(weak.expired());
  auto vanished = Begin("PUT", "/foo", {}, 300000);
  vanished->Vanish();
  weak = vanished;
  vanished = nullptr;
  EXPECT_TRUE(weak.expired());
}

TEST_F(PutHandlerTest, AnnouncedJsonMustBeJson) {
  const Headers json = {{"content-type", "Application/JSON ; charset=utf-8"}};
  EXPECT_EQ(Put("/foo", "{\"a\":1}", json)->response.status, 201);
  const auto bad = Put("/foo", "{\"a\":}", json);
  EXPECT_EQ(bad->response.status, 400);
  EXPECT_THAT(bad->response.body, HasSubstr("line 1, column 6"));
  EXPECT_EQ(Put("/foo", "", json)->response.status, 400);
  EXPECT_EQ(Put("/bar", "{", {{"content-type", "application/json-seq"}})
                ->response.status,
            201);
  EXPECT_EQ(store_.values["foo"].bytes, "{\"a\":1}");
}

TEST_F(PutHandlerTest, LargeJsonIsCheckedAsItStreams) {
  const Headers json = {{"content-type", "application/json"}};
  const std::string good = "[" + std::string(300000, ' ') + "1]";
  EXPECT_EQ(PutChunked("/good", good, json)->response.status, 201);
  const auto cut = PutChunked("/cut", good.substr(0, 300000), json);
  EXPECT_EQ(cut->response.status, 400);
  EXPECT_THAT(cut->response.body, HasSubstr("ends too early"));
  const auto exchange = Begin("PUT", "/bad", json, 300000);
  exchange->SendPiece("]");
  EXPECT_EQ(exchange->response.status, 400);
  EXPECT_EQ(store_.values.size(), 1u);
}

TEST_F(PutHandlerTest, TheRequestIdTravels) {
  const auto exchange = Put("/foo", "bar", {{"x-request-id", "abc-1.2_3"}});
  EXPECT_EQ(exchange->Header("X-Request-Id"), "abc-1.2_3");
  EXPECT_EQ(store_.last_request_id, "abc-1.2_3");
  const auto odd = Put("/foo", "bar", {{"x-request-id", "a b\"c"}});
  EXPECT_NE(odd->Header("X-Request-Id"), "a b\"c");
  EXPECT_NE(odd->Header("X-Request-Id"), "");
}

}  // namespace
}  // namespace cairn::gateway
