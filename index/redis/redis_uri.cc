#include "index/redis/redis_uri.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace cairn::index {
namespace {

constexpr absl::string_view kTcp = "redis://";
constexpr absl::string_view kUnix = "redis+unix://";
// What a browser's habit makes of host:port.
constexpr absl::string_view kHttp = "http://";

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "--index: ", what,
      ": give redis://[user:pass@]host:port[/db] or redis+unix:///path"));
}

absl::StatusOr<std::string> PercentDecoded(absl::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    if (i + 2 >= text.size() || !absl::ascii_isxdigit(text[i + 1]) ||
        !absl::ascii_isxdigit(text[i + 2])) {
      return Malformed("user or password have a % that encodes nothing");
    }
    out += absl::HexStringToBytes(text.substr(i + 1, 2));
    i += 2;
  }
  return out;
}

// Takes "user:pass@" off the front of `rest`.
absl::Status TakeCredentials(absl::string_view* rest, RedisUri* uri) {
  const size_t at = rest->rfind('@');
  if (at == absl::string_view::npos) return absl::OkStatus();
  const absl::string_view credentials = rest->substr(0, at);
  rest->remove_prefix(at + 1);
  const size_t colon = credentials.find(':');
  if (colon == absl::string_view::npos) {
    return Malformed("before the @ there is no password");
  }
  ASSIGN_OR_RETURN(uri->user, PercentDecoded(credentials.substr(0, colon)));
  ASSIGN_OR_RETURN(uri->password,
                   PercentDecoded(credentials.substr(colon + 1)));
  return absl::OkStatus();
}

absl::Status ParseDb(absl::string_view text, RedisUri* uri) {
  if (absl::SimpleAtoi(text, &uri->db) && uri->db >= 0) return absl::OkStatus();
  return Malformed(
      absl::StrCat("\"", text, "\" is not the number of a database"));
}

absl::StatusOr<RedisUri> ParseUnix(absl::string_view rest) {
  RedisUri uri;
  const size_t query = rest.find("?db=");
  if (query != absl::string_view::npos) {
    RETURN_IF_ERROR(ParseDb(rest.substr(query + 4), &uri));
    rest = rest.substr(0, query);
  }
  RETURN_IF_ERROR(TakeCredentials(&rest, &uri));
  if (!absl::StartsWith(rest, "/") || rest.size() < 2) {
    return Malformed("redis+unix:// needs the absolute path of a socket");
  }
  uri.path = std::string(rest);
  return uri;
}

absl::StatusOr<RedisUri> ParseTcp(absl::string_view rest) {
  RedisUri uri;
  RETURN_IF_ERROR(TakeCredentials(&rest, &uri));
  const size_t slash = rest.find('/');
  if (slash != absl::string_view::npos) {
    const absl::string_view db = rest.substr(slash + 1);
    if (!db.empty()) RETURN_IF_ERROR(ParseDb(db, &uri));
    rest = rest.substr(0, slash);
  }
  // The last colon: an IPv6 address has others, inside brackets.
  const size_t colon = rest.rfind(':');
  if (colon != absl::string_view::npos &&
      rest.find(']', colon) == absl::string_view::npos) {
    const absl::string_view port = rest.substr(colon + 1);
    if (!absl::SimpleAtoi(port, &uri.port) || uri.port < 1 ||
        uri.port > 65535) {
      return Malformed(absl::StrCat("\"", port, "\" is not a port"));
    }
    rest = rest.substr(0, colon);
  }
  absl::ConsumePrefix(&rest, "[");
  absl::ConsumeSuffix(&rest, "]");
  if (rest.empty()) return Malformed("there is no host");
  uri.host = std::string(rest);
  return uri;
}

}  // namespace

std::string RedisUri::Text() const {
  if (host.empty()) {
    return absl::StrCat(kUnix, path, db == 0 ? "" : absl::StrCat("?db=", db));
  }
  const bool ipv6 = absl::StrContains(host, ':');
  return absl::StrCat(kTcp, ipv6 ? "[" : "", host, ipv6 ? "]" : "", ":", port,
                      db == 0 ? "" : absl::StrCat("/", db));
}

bool IsRedisUri(absl::string_view uri) {
  return absl::StartsWith(uri, kTcp) || absl::StartsWith(uri, kUnix) ||
         absl::StartsWith(uri, kHttp);
}

absl::StatusOr<RedisUri> ParseRedisUri(absl::string_view uri) {
  if (absl::ConsumePrefix(&uri, kUnix)) return ParseUnix(uri);
  if (absl::ConsumePrefix(&uri, kTcp) || absl::ConsumePrefix(&uri, kHttp)) {
    return ParseTcp(uri);
  }
  return Malformed("this is no Redis");
}

}  // namespace cairn::index
