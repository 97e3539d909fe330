// Writes, deletes and remembers what was acknowledged, to be held against what
// a cluster says after faults.

#ifndef CAIRN_TESTS_AUDITOR_H_
#define CAIRN_TESTS_AUDITOR_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace cairn::tests {

// Each writer has keys of its own, so that what a key may hold is known: what
// was acknowledged last, or what was tried since without an answer.
class Auditor {
 public:
  // Starts `writers` threads on the gateway at that port.
  Auditor(int gateway_port, int writers);
  ~Auditor();

  int64_t acknowledged() const { return acknowledged_; }
  int64_t failed() const { return failed_; }
  // Ends the writers.
  void Stop();
  // After Stop(). Reads every key, and the listing. A line for each that does
  // not hold what it may; empty when all is well.
  std::vector<std::string> Check() const;

 private:
  static constexpr int kKeysPerWriter = 50;

  // Values are told apart by their numbers; 0: the key is absent.
  struct Expected {
    std::set<uint64_t> may_be = {0};
  };
  struct Writer {
    std::map<std::string, Expected> keys;
    std::thread thread;
  };

  void Write(int writer);
  void CheckListing(std::vector<std::string>* findings) const;

  const int port_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int64_t> acknowledged_ = 0;
  std::atomic<int64_t> failed_ = 0;
  std::vector<std::unique_ptr<Writer>> writers_;
};

}  // namespace cairn::tests

#endif  // CAIRN_TESTS_AUDITOR_H_
