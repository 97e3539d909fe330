#include "gateway/http/head_parser.h"

#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace cairn::http {
namespace {

constexpr int kEmptyLinesMax = 2;

HeadResult Refuse(int status, absl::string_view sentence) {
  return {HeadState::kRefused, 0, status, sentence};
}
// As a step's result: go on.
HeadResult Fine() { return {HeadState::kComplete, 0, 0, ""}; }
bool IsFine(const HeadResult& result) {
  return result.state == HeadState::kComplete;
}

#define RETURN_IF_REFUSED(expr)             \
  do {                                      \
    const HeadResult refused_ = (expr);     \
    if (!IsFine(refused_)) return refused_; \
  } while (false)

std::array<bool, 256> MakeTable(absl::string_view others, bool high_bytes) {
  std::array<bool, 256> table{};
  for (int c = 0; c < 256; ++c) {
    table[c] = absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
               (high_bytes && c >= 0x80);
  }
  for (const char c : others) table[static_cast<unsigned char>(c)] = true;
  return table;
}

bool AllIn(const std::array<bool, 256>& table, absl::string_view text) {
  for (const char c : text) {
    if (!table[static_cast<unsigned char>(c)]) return false;
  }
  return true;
}

// RFC 9110's token.
bool IsToken(absl::string_view text) {
  static const auto& table =
      *new std::array<bool, 256>(MakeTable("!#$%&'*+-.^_`|~", false));
  return !text.empty() && AllIn(table, text);
}

// Visible bytes but '#', and those above ASCII, which curl sends as typed.
bool IsTarget(absl::string_view text) {
  static const auto& table = *new std::array<bool, 256>(
      MakeTable("!\"$%&'()*+,-./:;<=>?@[\\]^_`{|}~", true));
  return !text.empty() && AllIn(table, text);
}

// uri-host [":" port], loosely: what could end or split it elsewhere is out.
bool IsHost(absl::string_view text) {
  static const auto& table =
      *new std::array<bool, 256>(MakeTable("-._~:[]%!$&'()*+;=", false));
  return AllIn(table, text);
}

bool IsFieldValue(absl::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return false;
  }
  return true;
}

absl::string_view StripSpace(absl::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

// Where the head ends (behind its empty line), 0: not here yet. Notes how far
// it has looked. Refuses what can be seen to be wrong before the end is here.
HeadResult FindEnd(absl::string_view in, const HeadLimits& limits,
                   size_t* scanned, size_t* end) {
  *end = 0;
  size_t from = *scanned;
  while (true) {
    const size_t newline = in.find('\n', from);
    if (newline == absl::string_view::npos) break;
    if (newline == 0 || in[newline - 1] != '\r') {
      return Refuse(400, "A line of the head ends with LF alone: send CR LF.");
    }
    from = newline + 1;
    if (newline >= 3 && in[newline - 2] == '\n') {
      *end = from;
      break;
    }
  }
  *scanned = *end != 0 ? *end : in.size();

  // As long as the line has no end, a last CR may be the start of it.
  const size_t line = in.find("\r\n");
  const size_t line_bytes = line != absl::string_view::npos
                                ? line
                                : in.size() - absl::EndsWith(in, "\r");
  if (static_cast<int64_t>(line_bytes) > limits.line_bytes_max) {
    return Refuse(414, "The request line is longer than 8 KiB.");
  }
  const size_t head_bytes = *end != 0 ? *end : in.size();
  if (static_cast<int64_t>(head_bytes) > limits.head_bytes_max) {
    return Refuse(431, "The head of the request is too large.");
  }
  return Fine();
}

HeadResult CheckVersion(absl::string_view version, RequestHead* head) {
  if (version == "HTTP/1.1") return Fine();
  if (version == "HTTP/1.0") {
    head->http10 = true;
    return Fine();
  }
  if (version.size() == 8 && absl::StartsWith(version, "HTTP/") &&
      absl::ascii_isdigit(version[5]) && version[6] == '.' &&
      absl::ascii_isdigit(version[7])) {
    return Refuse(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here.");
  }
  return Refuse(400, "The request line does not end with an HTTP version.");
}

// Cuts "http://host" off the absolute form, which only proxies need.
absl::string_view OriginForm(absl::string_view target, std::string* storage) {
  if (target.front() == '/') return target;
  absl::string_view rest;
  if (absl::StartsWithIgnoreCase(target, "http://")) {
    rest = target.substr(7);
  } else if (absl::StartsWithIgnoreCase(target, "https://")) {
    rest = target.substr(8);
  } else {
    return "";
  }
  const size_t path = rest.find_first_of("/?");
  if (path == 0 || rest.empty()) return "";  // No host.
  if (path == absl::string_view::npos) return "/";
  rest.remove_prefix(path);
  if (rest.front() == '/') return rest;
  *storage = absl::StrCat("/", rest);
  return *storage;
}

HeadResult ParseRequestLine(absl::string_view line, RequestHead* head) {
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == absl::string_view::npos || first == last) {
    return Refuse(400, "The request line is not METHOD TARGET VERSION.");
  }
  const absl::string_view method = line.substr(0, first);
  const absl::string_view target = line.substr(first + 1, last - first - 1);
  if (!IsToken(method)) {
    return Refuse(400, "The method of the request has illegal bytes.");
  }
  head->method = std::string(method);
  RETURN_IF_REFUSED(CheckVersion(line.substr(last + 1), head));
  if (!IsTarget(target)) {
    return Refuse(400,
                  "The target has bytes that must be percent-encoded, such as "
                  "a space, a control byte or '#'.");
  }
  if (method != "GET" && method != "PUT" && method != "HEAD" &&
      method != "DELETE" && method != "POST") {
    return Refuse(405, "Use GET, HEAD, PUT, POST or DELETE.");
  }
  std::string storage;
  head->target = std::string(OriginForm(target, &storage));
  if (head->target.empty()) {
    return Refuse(400, "The target of the request must start with '/'.");
  }
  return Fine();
}

// "name: value" of one line, without its CR LF.
HeadResult ParseField(absl::string_view line, RequestHead* head) {
  if (line.front() == ' ' || line.front() == '\t') {
    return Refuse(400, "A header is folded over two lines.");
  }
  const size_t colon = line.find(':');
  if (colon == absl::string_view::npos) {
    return Refuse(400, "A header has no colon.");
  }
  const absl::string_view name = line.substr(0, colon);
  if (!IsToken(name)) {
    return Refuse(400,
                  "A header's name is empty, has illegal bytes, or a space "
                  "before its colon.");
  }
  const absl::string_view value = StripSpace(line.substr(colon + 1));
  if (!IsFieldValue(value)) {
    return Refuse(400, "A header's value has control bytes.");
  }
  head->headers.emplace_back(absl::AsciiStrToLower(name), std::string(value));
  return Fine();
}

// What the headers with a meaning for the framing said.
struct Framing {
  int hosts = 0;
  int lengths = 0;
  int encodings = 0;
  bool encoding_is_chunked = false;
  bool expects = false;
  bool close = false;
  bool keep_alive = false;
};

// Digits only, at most INT64_MAX.
bool ParseLength(absl::string_view text, int64_t* length) {
  if (text.empty()) return false;
  int64_t value = 0;
  for (const char c : text) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return false;
    const int digit = c - '0';
    if (value > (INT64_MAX - digit) / 10) return false;
    value = value * 10 + digit;
  }
  *length = value;
  return true;
}

void ReadConnectionOptions(absl::string_view value, Framing* framing) {
  while (true) {
    const size_t comma = value.find(',');
    const absl::string_view option = StripSpace(value.substr(0, comma));
    if (absl::EqualsIgnoreCase(option, "close")) framing->close = true;
    if (absl::EqualsIgnoreCase(option, "keep-alive")) {
      framing->keep_alive = true;
    }
    if (comma == absl::string_view::npos) return;
    value.remove_prefix(comma + 1);
  }
}

HeadResult ReadFraming(RequestHead* head, Framing* framing) {
  for (const auto& [name, value] : head->headers) {
    if (name == "host") {
      ++framing->hosts;
      if (!IsHost(value)) return Refuse(400, "Host has illegal bytes.");
    } else if (name == "content-length") {
      ++framing->lengths;
      if (!ParseLength(value, &head->content_length)) {
        return Refuse(400, "Content-Length is not one number of bytes.");
      }
    } else if (name == "transfer-encoding") {
      ++framing->encodings;
      framing->encoding_is_chunked = absl::EqualsIgnoreCase(value, "chunked");
    } else if (name == "connection") {
      ReadConnectionOptions(value, framing);
    } else if (name == "expect") {
      framing->expects = true;
      if (!absl::EqualsIgnoreCase(value, "100-continue")) {
        return Refuse(417, "Expect knows 100-continue only.");
      }
    }
  }
  return Fine();
}

HeadResult CheckFraming(const Framing& framing, const RequestHead& head) {
  if (framing.hosts > 1 || (framing.hosts == 0 && !head.http10)) {
    return Refuse(400, "There must be exactly one Host.");
  }
  if (framing.lengths > 1) {
    return Refuse(400, "There is more than one Content-Length.");
  }
  if (framing.encodings > 0) {
    if (framing.lengths > 0) {
      return Refuse(400, "Content-Length and Transfer-Encoding contradict.");
    }
    if (head.http10) {
      return Refuse(400, "HTTP/1.0 has no Transfer-Encoding.");
    }
    if (framing.encodings > 1) {
      return Refuse(400, "There is more than one Transfer-Encoding.");
    }
    if (!framing.encoding_is_chunked) {
      return Refuse(501, "The only Transfer-Encoding known is chunked.");
    }
  } else if (framing.lengths == 0 &&
             (head.method == "PUT" || head.method == "POST")) {
    return Refuse(411, "Send Content-Length or Transfer-Encoding: chunked.");
  }
  return Fine();
}

HeadResult ParseWhole(absl::string_view text, const HeadLimits& limits,
                      ParsedHead* out) {
  RequestHead& head = out->head;
  size_t line_end = text.find("\r\n");
  const absl::string_view line = text.substr(0, line_end);
  RETURN_IF_REFUSED(ParseRequestLine(line, &head));
  text.remove_prefix(line_end + 2);
  // The last line is the empty one.
  while ((line_end = text.find("\r\n")) != 0) {
    if (static_cast<int>(head.headers.size()) >= limits.headers_max) {
      return Refuse(431, "The request has too many headers.");
    }
    RETURN_IF_REFUSED(ParseField(text.substr(0, line_end), &head));
    text.remove_prefix(line_end + 2);
  }
  Framing framing;
  RETURN_IF_REFUSED(ReadFraming(&head, &framing));
  RETURN_IF_REFUSED(CheckFraming(framing, head));
  out->chunked = framing.encodings > 0;
  if (out->chunked) head.content_length = -1;
  out->keep_alive = !framing.close && (!head.http10 || framing.keep_alive);
  // HTTP/1.0 has no interim answers (RFC 9110, 10.1.1).
  out->expects_continue =
      framing.expects && !head.http10 && head.content_length != 0;
  return Fine();
}

}  // namespace

HeadResult ParseHead(absl::string_view in, const HeadLimits& limits,
                     size_t* scanned, ParsedHead* out) {
  size_t skipped = 0;
  for (int i = 0; i < kEmptyLinesMax; ++i) {
    if (absl::StartsWith(in.substr(skipped), "\r\n")) skipped += 2;
  }
  in.remove_prefix(skipped);
  // Not HTTP at all (TLS, for one) is told at once, not at the deadline.
  if (!in.empty() && !absl::ascii_isupper(in[0]) && in != "\r") {
    return Refuse(400, "This is not an HTTP request; TLS is not spoken here.");
  }
  size_t from = *scanned > skipped ? *scanned - skipped : 0;
  size_t end = 0;
  const HeadResult found = FindEnd(in, limits, &from, &end);
  *scanned = from + skipped;
  RETURN_IF_REFUSED(found);
  if (end == 0) return {HeadState::kIncomplete, 0, 0, ""};
  RETURN_IF_REFUSED(ParseWhole(in.substr(0, end), limits, out));
  return {HeadState::kComplete, skipped + end, 0, ""};
}

}  // namespace cairn::http
