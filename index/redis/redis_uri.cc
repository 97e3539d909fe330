#include "index/redis/redis_uri.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace cairn::index {
namespace {

constexpr absl::string_view kTcp = "redis://";
constexpr absl::string_view kUnix = "redis+unix://";
constexpr absl::string_view kCluster = "redis+cluster://";
constexpr absl::string_view kSentinel = "redis+sentinel://";
constexpr int kRedisPort = 6379;
constexpr int kSentinelPort = 26379;
// What a browser's habit makes of host:port.
constexpr absl::string_view kHttp = "http://";

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "--index: ", what,
      ": give redis://[user:pass@]host:port[/db], redis+unix:///path, "
      "redis+cluster://host:port,host:port or "
      "redis+sentinel://host:port,host:port/name"));
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

absl::StatusOr<RedisAddress> ParseAddress(absl::string_view text, int port) {
  RedisAddress address;
  address.port = port;
  // The last colon: an IPv6 address has others, inside brackets.
  const size_t colon = text.rfind(':');
  if (colon != absl::string_view::npos &&
      text.find(']', colon) == absl::string_view::npos) {
    const absl::string_view digits = text.substr(colon + 1);
    if (!absl::SimpleAtoi(digits, &address.port) || address.port < 1 ||
        address.port > 65535) {
      return Malformed(absl::StrCat("\"", digits, "\" is not a port"));
    }
    text = text.substr(0, colon);
  }
  absl::ConsumePrefix(&text, "[");
  absl::ConsumeSuffix(&text, "]");
  if (text.empty()) return Malformed("there is no host");
  address.host = std::string(text);
  return address;
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
  ASSIGN_OR_RETURN(RedisAddress address, ParseAddress(rest, kRedisPort));
  uri.host = std::move(address.host);
  uri.port = address.port;
  return uri;
}

absl::StatusOr<std::vector<RedisAddress>> ParseAddresses(absl::string_view text,
                                                         int port) {
  std::vector<RedisAddress> addresses;
  for (const absl::string_view one : absl::StrSplit(text, ',')) {
    ASSIGN_OR_RETURN(addresses.emplace_back(), ParseAddress(one, port));
  }
  return addresses;
}

absl::StatusOr<RedisUri> ParseCluster(absl::string_view rest) {
  RedisUri uri;
  uri.kind = RedisUri::Kind::kCluster;
  RETURN_IF_ERROR(TakeCredentials(&rest, &uri));
  absl::ConsumeSuffix(&rest, "/");
  if (absl::StrContains(rest, '/')) {
    return Malformed("a Redis Cluster has no databases: no /N at the end");
  }
  ASSIGN_OR_RETURN(uri.nodes, ParseAddresses(rest, kRedisPort));
  return uri;
}

absl::StatusOr<RedisUri> ParseSentinel(absl::string_view rest) {
  RedisUri uri;
  uri.kind = RedisUri::Kind::kSentinel;
  RETURN_IF_ERROR(TakeCredentials(&rest, &uri));
  const std::vector<absl::string_view> parts = absl::StrSplit(rest, '/');
  if (parts.size() < 2 || parts.size() > 3 || parts[1].empty()) {
    return Malformed("redis+sentinel:// needs the master's name, as /name");
  }
  ASSIGN_OR_RETURN(uri.nodes, ParseAddresses(parts[0], kSentinelPort));
  uri.service = std::string(parts[1]);
  if (parts.size() == 3) RETURN_IF_ERROR(ParseDb(parts[2], &uri));
  return uri;
}

std::string Joined(const std::vector<RedisAddress>& nodes) {
  return absl::StrJoin(nodes, ",",
                       [](std::string* out, const RedisAddress& node) {
                         absl::StrAppend(out, node.Text());
                       });
}

}  // namespace

std::string RedisAddress::Text() const {
  const bool ipv6 = absl::StrContains(host, ':');
  return absl::StrCat(ipv6 ? "[" : "", host, ipv6 ? "]" : "", ":", port);
}

std::string RedisUri::Text() const {
  switch (kind) {
    case Kind::kCluster:
      return absl::StrCat(kCluster, Joined(nodes));
    case Kind::kSentinel:
      return absl::StrCat(kSentinel, Joined(nodes), "/", service,
                          db == 0 ? "" : absl::StrCat("/", db));
    case Kind::kServer:
      break;
  }
  if (host.empty()) {
    return absl::StrCat(kUnix, path, db == 0 ? "" : absl::StrCat("?db=", db));
  }
  return absl::StrCat(kTcp, RedisAddress{host, port}.Text(),
                      db == 0 ? "" : absl::StrCat("/", db));
}

RedisUri RedisUri::At(const RedisAddress& address) const {
  RedisUri server;
  server.host = address.host;
  server.port = address.port;
  server.user = user;
  server.password = password;
  server.db = db;
  return server;
}

bool IsRedisUri(absl::string_view uri) {
  for (const absl::string_view scheme :
       {kTcp, kUnix, kCluster, kSentinel, kHttp}) {
    if (absl::StartsWith(uri, scheme)) return true;
  }
  return false;
}

absl::StatusOr<RedisUri> ParseRedisUri(absl::string_view uri) {
  if (absl::ConsumePrefix(&uri, kUnix)) return ParseUnix(uri);
  if (absl::ConsumePrefix(&uri, kCluster)) return ParseCluster(uri);
  if (absl::ConsumePrefix(&uri, kSentinel)) return ParseSentinel(uri);
  if (absl::ConsumePrefix(&uri, kTcp) || absl::ConsumePrefix(&uri, kHttp)) {
    return ParseTcp(uri);
  }
  return Malformed("this is no Redis");
}

}  // namespace cairn::index
