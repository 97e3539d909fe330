// What must hold alike under --reads=redirect and --reads=proxy.

#ifndef CAIRN_TESTS_BOTH_READS_H_
#define CAIRN_TESTS_BOTH_READS_H_

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/cluster.h"
#include "tests/http.h"

namespace cairn::tests {

// One cluster for each way of reading, for all tests of a suite: each test
// keeps to keys of its own.
class BothReadsTest : public testing::TestWithParam<std::string> {
 protected:
  // Answered out of the index; by nginx, or streamed; uploaded in pieces.
  static constexpr int kSizes[] = {10, 5000, 100000};

  static void TearDownTestSuite() { Clusters().clear(); }

  static Cluster& cluster() {
    std::unique_ptr<Cluster>& cluster = Clusters()[GetParam()];
    if (cluster == nullptr) {
      ClusterOptions options;
      options.gateway_flags = {"--reads=" + GetParam()};
      cluster = std::make_unique<Cluster>(options);
    }
    return *cluster;
  }
  static int port() { return cluster().gateway_port(); }

  // A request on a connection of its own; `headers` are whole lines.
  static Reply Ask(const std::string& method, const std::string& target,
                   const std::string& headers = "",
                   const std::string& body = "") {
    return Http(port(),
                absl::StrCat(method, " ", target, " HTTP/1.1\r\n", headers),
                body);
  }
  static Reply Put(const std::string& target, const std::string& value,
                   const std::string& headers = "") {
    return HttpPut(port(), target, value, headers);
  }
  // GET, followed to where it leads.
  static Reply Read(const std::string& target,
                    const std::string& headers = "") {
    return HttpRead(port(), target, headers);
  }
  static std::string List(const std::string& target) {
    const Reply reply = HttpGet(port(), target);
    EXPECT_EQ(reply.status, 200) << target;
    EXPECT_EQ(reply.Header("Content-Type"), "application/json");
    return reply.body;
  }

  // Bytes of any value, others for each seed.
  static std::string Bytes(int size, int seed = 0) {
    std::string bytes(size, '\0');
    uint32_t state = 12345 + seed;
    for (char& byte : bytes) {
      state = state * 1664525 + 1013904223;
      byte = static_cast<char>(state >> 24);
    }
    return bytes;
  }

 private:
  static std::map<std::string, std::unique_ptr<Cluster>>& Clusters() {
    static auto& clusters =
        *new std::map<std::string, std::unique_ptr<Cluster>>();
    return clusters;
  }
};

#define INSTANTIATE_BOTH_READS(suite)                                          \
  INSTANTIATE_TEST_SUITE_P(Reads, suite, testing::Values("redirect", "proxy"), \
                           [](const auto& info) { return info.param; })

}  // namespace cairn::tests

#endif  // CAIRN_TESTS_BOTH_READS_H_
