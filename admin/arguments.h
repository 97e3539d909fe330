// What the words of the command line said, for the commands.

#ifndef CAIRN_ADMIN_ARGUMENTS_H_
#define CAIRN_ADMIN_ARGUMENTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "admin/copier.h"

namespace cairn::admin {

struct Arguments {
  std::string master = "127.0.0.1:3100";
  // Keys and prefixes come percent-encoded, as `ls` prints them.
  bool escaped = false;
  bool json = false;
  std::string key;                      // Of put, get, stat; the prefix of ls.
  std::vector<std::string> keys;        // rm
  std::string file = "-";               // put: from; get: to.
  std::string content_type;             // put
  bool if_new = false;                  // put
  std::vector<std::string> meta;        // put: name=value
  bool long_list = false;               // ls
  std::string source;                   // cp
  std::string target;                   // cp
  bool recursive = false;               // cp
  bool always = false;                  // cp
  int parallel = kCopyParallelDefault;  // cp
  bool dry_run = false;                 // Of jobs.
  std::string rate;                     // Of jobs; as typed.
  bool repair = false;                  // verify
  std::vector<std::string> without;     // rebuild: volumes and disks
  bool diff = false;                    // rebuild
  int64_t job_id = 0;                   // jobs cancel
  std::string volume_id;                // volume drain, undrain, remove
  std::string shell;                    // completion
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_ARGUMENTS_H_
