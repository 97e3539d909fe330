#include "base/signed_url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cairn::base {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

BlobUrl Url() {
  BlobUrl url;
  url.http_address = "127.0.0.1:3301";
  url.subvolume = 2;
  url.key = "a/b";
  url.version = {/*time_ms=*/1, /*counter=*/2, /*writer_id=*/3};
  url.md5_hex = "0123456789abcdef0123456789abcdef";
  url.content_type = "text/html; charset=utf-8";
  url.gateway = "localhost:3000";
  url.expires_unix_seconds = 1700000000;
  return url;
}

TEST(SignedUrlTest, HoldsEachFieldAsNginxUsesIt) {
  const std::string text = SignBlobUrl(Url(), "secret");
  EXPECT_THAT(text, StartsWith("http://127.0.0.1:3301/2/"));
  EXPECT_THAT(text, HasSubstr("/a%252Fb@000000000001000200000003?m="));
  EXPECT_THAT(text, HasSubstr("&e=1700000000&et=0123456789abcdef0123456789abc"
                              "def&ct=text/html;~charset=utf-8&ce=&g="));
  EXPECT_THAT(text, EndsWith("&g=localhost:3000&k=a/b"));
}

TEST(SignedUrlTest, SignatureDependsOnEachFieldAndOnTheSecret) {
  const auto signature = [](const BlobUrl& url, const char* secret) {
    const std::string text = SignBlobUrl(url, secret);
    const size_t start = text.find("?m=") + 3;
    return text.substr(start, text.find('&') - start);
  };
  const std::string first = signature(Url(), "secret");
  EXPECT_EQ(first.size(), 22);
  EXPECT_NE(signature(Url(), "other"), first);
  BlobUrl url = Url();
  url.expires_unix_seconds += 1;
  EXPECT_NE(signature(url, "secret"), first);
  url = Url();
  url.subvolume = 1;
  EXPECT_NE(signature(url, "secret"), first);
  url = Url();
  url.content_type = "text/html";
  EXPECT_NE(signature(url, "secret"), first);
  url = Url();
  url.content_encoding = "gzip";
  EXPECT_NE(signature(url, "secret"), first);
  url = Url();
  url.gateway = "evil:80";
  EXPECT_NE(signature(url, "secret"), first);
  url = Url();
  url.key = "a/c";
  EXPECT_NE(signature(url, "secret"), first);
  // Fields cannot be shifted into each other.
  BlobUrl shifted = Url();
  shifted.content_type = "text/html";
  shifted.content_encoding = "x";
  BlobUrl other = shifted;
  other.content_type = "text/htmlx";
  other.content_encoding = "";
  EXPECT_NE(signature(shifted, "secret"), signature(other, "secret"));
}

TEST(SignedUrlTest, AnEmptyTypeIsOctetStream) {
  BlobUrl url = Url();
  url.content_type = "";
  EXPECT_THAT(SignBlobUrl(url, "s"),
              HasSubstr("&ct=application/octet-stream&"));
}

TEST(SignedUrlTest, AGatewayThatIsNoPlainAddressIsLeftOut) {
  BlobUrl url = Url();
  url.gateway = "evil/?x=";
  EXPECT_THAT(SignBlobUrl(url, "s"), HasSubstr("&g=&k="));
  EXPECT_TRUE(IsPlainAddress("[::1]:3000"));
  EXPECT_TRUE(IsPlainAddress("store-1.example:3000"));
  EXPECT_FALSE(IsPlainAddress(""));
  EXPECT_FALSE(IsPlainAddress("user@host"));
  EXPECT_FALSE(IsPlainAddress("a b"));
  EXPECT_FALSE(IsPlainAddress(absl::string_view("a\0b", 3)));
}

TEST(SignedUrlTest, TypesThatClientsMightChangeAreNotRedirected) {
  EXPECT_TRUE(CanRedirect("", ""));
  EXPECT_TRUE(CanRedirect("image/svg+xml", "gzip"));
  EXPECT_TRUE(CanRedirect("text/html; charset=utf-8", "gzip,br"));
  EXPECT_TRUE(CanRedirect("a; b; c", ""));
  EXPECT_FALSE(CanRedirect("a; b; c; d", ""));
  EXPECT_FALSE(CanRedirect("text/html; charset=\"utf-8\"", ""));
  EXPECT_FALSE(CanRedirect("text/x~y", ""));
  EXPECT_FALSE(CanRedirect("a&b", ""));
  EXPECT_FALSE(CanRedirect("a%41", ""));
  EXPECT_FALSE(CanRedirect("a|b", ""));
  EXPECT_FALSE(CanRedirect("t\xc3\xa9xt", ""));
  EXPECT_FALSE(CanRedirect("text/html", "gzip, br"));
  EXPECT_FALSE(CanRedirect(absl::string_view("a\0", 2), ""));
}

}  // namespace
}  // namespace cairn::base
