// HTTP to the byte: what a test sends is what goes out.

#ifndef CAIRN_TESTS_HTTP_H_
#define CAIRN_TESTS_HTTP_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"

namespace cairn::tests {

struct Reply {
  int status = 0;  // 0: the connection ended before a whole answer.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // The first header of that name, in any case; "" when there is none.
  std::string Header(const std::string& name) const;
  int CountOf(const std::string& name) const;
};

// One connection to 127.0.0.1. Not thread-safe.
class Connection {
 public:
  explicit Connection(int port);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // False: the peer has closed.
  bool Send(const std::string& bytes);
  // The next answer; 1xx are answers of their own. `head_only`: the answer to
  // a HEAD, which has no body whatever its length says.
  Reply Read(bool head_only = false,
             absl::Duration timeout = absl::Seconds(20));
  // True: the peer ends the connection, with nothing more to read.
  bool AtEnd(absl::Duration timeout = absl::Seconds(20));
  // Ends the connection at once: RST if something is unread or unsent.
  void Reset();

 private:
  bool Fill(absl::Time deadline);  // False: end, error or timeout.
  bool TakeLine(absl::Time deadline, std::string* line);
  bool TakeBytes(absl::Time deadline, size_t count, std::string* bytes);

  int fd_;
  std::string buffer_;
};

// One request on a connection of its own. `head`: the request line and the
// headers, each line ended by \r\n; Host, and an empty line, are added.
Reply Http(int port, const std::string& head, const std::string& body = "");
Reply HttpGet(int port, const std::string& target);
// With Content-Length.
Reply HttpPut(int port, const std::string& target, const std::string& value,
              const std::string& headers = "");
// GET, following redirects as clients do: to a volume's nginx, and back to the
// gateway if the copy has just moved away.
Reply HttpRead(int port, const std::string& target,
               const std::string& headers = "");

// port and target of an absolute http://127.0.0.1:PORT URL.
std::pair<int, std::string> SplitUrl(const std::string& url);

}  // namespace cairn::tests

#endif  // CAIRN_TESTS_HTTP_H_
