// A copy of `./dev` and what it runs, in a directory of the test's own: it
// writes beside itself, and must not touch the checkout.

#ifndef CAIRN_TESTS_DEV_ROOT_H_
#define CAIRN_TESTS_DEV_ROOT_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/process.h"

namespace cairn::tests {

// Clusters that it started are stopped with the object. Not thread-safe.
class DevRoot {
 public:
  DevRoot();
  ~DevRoot();

  // Runs `./dev WORDS` to its end, in path().
  Outcome Dev(const std::string& words) const;
  // `./dev up --detach WORDS` on the ports below; expects it to work.
  Outcome Up(const std::string& words = "") const;
  // The options that name the ports.
  std::string PortOptions() const;
  int port() const { return first_port_; }
  int admin_port() const { return first_port_ + 1; }
  int master_port() const { return first_port_ + 2; }
  int volume_port() const { return first_port_ + 3; }  // And 5 more.
  int http_port() const { return first_port_ + 9; }    // And 5 more.

  // Above the checkout's copy.
  const std::string& path() const { return directory_.path(); }
  std::string program() const { return path() + "/root/dev"; }
  std::string data() const { return path() + "/root/data"; }
  std::string Log(const std::string& name) const;
  std::string SupervisorLog() const;

  // The process that has path() and `words` among its arguments; 0: none.
  pid_t Find(const std::string& words) const;
  // Of master, volume-1 ... and gateway.
  pid_t PidOf(const std::string& name) const;
  pid_t SupervisorPid() const { return Find("deploy/cluster.py"); }
  // Command lines of all processes that have path() among their arguments or
  // in the names of their open files.
  std::vector<std::string> Running() const;

 private:
  const TemporaryDirectory directory_;
  int first_port_;
};

// True while some process listens there.
bool Accepts(int port);

}  // namespace cairn::tests

#endif  // CAIRN_TESTS_DEV_ROOT_H_
