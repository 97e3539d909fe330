#include "tests/auditor.h"

#include <random>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "tests/http.h"

namespace cairn::tests {
namespace {

// Some are kept in the index, some are batched, some streamed.
constexpr size_t kSizes[] = {20, 1000, 5000, 70000, 300000};

// Begins with its number and ends with it.
std::string ValueOf(uint64_t number) {
  const std::string mark = absl::StrCat(number, ".");
  std::string value = mark;
  value.resize(kSizes[number % std::size(kSizes)], 'x');
  return value + mark;
}

// The number of a value that is whole; false: it is not.
bool NumberOf(const std::string& value, uint64_t* number) {
  const size_t dot = value.find('.');
  return dot != std::string::npos &&
         absl::SimpleAtoi(value.substr(0, dot), number) &&
         value == ValueOf(*number);
}

Reply Ask(Connection& connection, int port, const std::string& method,
          const std::string& key, const std::string& body) {
  std::string request = absl::StrCat(
      method, " /", key, " HTTP/1.1\r\nHost: 127.0.0.1:", port, "\r\n");
  if (method == "PUT") {
    absl::StrAppend(&request, "Content-Length: ", body.size(), "\r\n");
  }
  connection.Send(absl::StrCat(request, "\r\n", body));
  return connection.Read(false, absl::Seconds(60));
}

}  // namespace

Auditor::Auditor(int gateway_port, int writers) : port_(gateway_port) {
  for (int i = 0; i < writers; ++i) {
    writers_.push_back(std::make_unique<Writer>());
  }
  for (int i = 0; i < writers; ++i) {
    writers_[i]->thread = std::thread([this, i] { Write(i); });
  }
}

Auditor::~Auditor() { Stop(); }

void Auditor::Stop() {
  stopping_ = true;
  for (const auto& writer : writers_) {
    if (writer->thread.joinable()) writer->thread.join();
  }
}

void Auditor::Write(int writer) {
  std::mt19937 random(writer);
  auto connection = std::make_unique<Connection>(port_);
  for (uint64_t number = 1; !stopping_; ++number) {
    const std::string key =
        absl::StrCat("audit/", writer, "/", random() % kKeysPerWriter);
    std::set<uint64_t>& may_be = writers_[writer]->keys[key].may_be;
    const bool remove = random() % 5 == 0;
    const uint64_t wanted = remove ? 0 : number;
    const Reply reply = Ask(*connection, port_, remove ? "DELETE" : "PUT", key,
                            remove ? "" : ValueOf(number));
    const bool ok = reply.status == 201 || reply.status == 204;
    // 404: the key was absent, and nothing was written by others meanwhile.
    if (ok || (remove && reply.status == 404)) {
      may_be = {wanted};
      ++acknowledged_;
      continue;
    }
    may_be.insert(wanted);
    ++failed_;
    connection = std::make_unique<Connection>(port_);
    absl::SleepFor(absl::Milliseconds(20));  // Spares a gateway that is gone.
  }
}

std::vector<std::string> Auditor::Check() const {
  std::vector<std::string> findings;
  for (const auto& writer : writers_) {
    for (const auto& [key, expected] : writer->keys) {
      const Reply reply = HttpRead(port_, "/" + key);
      uint64_t found = 0;
      const bool known = reply.status == 404 ||
                         (reply.status == 200 && NumberOf(reply.body, &found));
      if (known && expected.may_be.count(found) > 0) continue;
      findings.push_back(
          absl::StrCat(key, " answers ", reply.status, " with value ", found,
                       known ? "" : " (broken)", ", may be one of ",
                       absl::StrJoin(expected.may_be, " ")));
    }
  }
  CheckListing(&findings);
  return findings;
}

void Auditor::CheckListing(std::vector<std::string>* findings) const {
  const Reply reply = HttpGet(port_, "/audit/?list&limit=0");
  if (reply.status != 200) {
    findings->push_back(absl::StrCat("the listing answers ", reply.status));
    return;
  }
  for (const auto& writer : writers_) {
    for (const auto& [key, expected] : writer->keys) {
      if (expected.may_be.size() != 1) continue;
      const bool listed =
          absl::StrContains(reply.body, absl::StrCat("\"/", key, "\""));
      if (listed == (*expected.may_be.begin() != 0)) continue;
      findings->push_back(
          absl::StrCat(key, listed ? " is" : " is not", " in the listing"));
    }
  }
}

}  // namespace cairn::tests
