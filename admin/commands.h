// The commands of `cairn`, given their arguments.

#ifndef CAIRN_ADMIN_COMMANDS_H_
#define CAIRN_ADMIN_COMMANDS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace cairn::admin {

// How a command ended, as the shell sees it.
inline constexpr int kDone = 0;
// A definite no: the key is missing, or a condition does not hold.
inline constexpr int kNo = 1;
// It failed; of a write the outcome may be unknown.
inline constexpr int kFailed = 2;

struct Arguments {
  std::string master = "127.0.0.1:3100";
  // Keys and prefixes come percent-encoded, as `ls` prints them.
  bool escaped = false;
  bool json = false;              // stat, status
  std::string key;                // Of put, get, stat; the prefix of ls.
  std::vector<std::string> keys;  // rm
  std::string file = "-";         // put: from; get: to.
  std::string content_type;       // put
  bool if_new = false;            // put
  std::vector<std::string> meta;  // put: name=value
};

// Each returns kDone, kNo or kFailed, and has printed "cairn: sentence" to
// standard error unless it is kDone. Each waits at most 5 s for the master.
int RunPut(const Arguments& arguments);
int RunGet(const Arguments& arguments);
int RunList(const Arguments& arguments);
int RunRemove(const Arguments& arguments);
int RunStat(const Arguments& arguments);
// kNo: the cluster answers but does not serve reads and writes now.
int RunStatus(const Arguments& arguments);

// Prints "cairn: sentence" unless `status` is OK; returns the exit code.
int Report(const absl::Status& status);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_COMMANDS_H_
