// CopyPlan: one direction of a copy. What there is to copy, and how one of it
// is copied; a Copier decides when, and how many at a time.

#ifndef CAIRN_ADMIN_COPY_PLAN_H_
#define CAIRN_ADMIN_COPY_PLAN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "admin/blocking_store.h"
#include "admin/local_tree.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::admin {

struct CopyItem {
  enum class Kind {
    kFile,
    kSkipped,  // Not meant to be copied: links, pipes, devices.
    kRefused,  // Has no place on the other side.
    kFailed,   // Cannot be read here.
  };
  Kind kind = Kind::kFile;
  std::string path;  // Relative; any bytes.
  int64_t size_bytes = 0;
  v1::Record record;  // Of a key.
  std::string why;    // It is no kFile.
};

// Thread safety: any method from any thread.
class CopyPlan {
 public:
  virtual ~CopyPlan() = default;

  // Visits all items, each once, until `visit` returns false. May be called
  // again. kNotFound: there is nothing at all where the source should be.
  using Visit = std::function<bool(CopyItem item)>;
  virtual absl::Status List(const Visit& visit) = 0;

  // Copies one kFile, whole or not at all. True: the other side had it
  // already, with these very bytes. `moved` hears of bytes as they are read
  // or written; its error ends the copy and is returned. kNotFound: it has
  // gone since it was listed. kFailedPrecondition, kInvalidArgument: the other
  // side has no place for it.
  using Moved = std::function<absl::Status(int64_t bytes)>;
  virtual absl::StatusOr<bool> Copy(const CopyItem& item,
                                    const Moved& moved) = 0;
};

// `always`: copy what the other side has already too. What is pointed to must
// outlive the plan.

// All files below `tree` to keys: `prefix` and the file's path.
std::unique_ptr<CopyPlan> NewUploadPlan(BlockingStore* store,
                                        const LocalTree* tree,
                                        std::string prefix, bool always);
// One file, links followed, to one key.
std::unique_ptr<CopyPlan> NewUploadOnePlan(BlockingStore* store,
                                           std::string file, std::string key,
                                           bool always);

// All keys that begin with `prefix` to files below the directory `target`,
// which is made if it is missing and there is a key. Of a key that is also
// the directory of others ("a" and "a/b") only the first is copied; the others
// are kRefused.
std::unique_ptr<CopyPlan> NewDownloadPlan(BlockingStore* store,
                                          std::string prefix,
                                          std::string target, bool always);
// One key to one file.
std::unique_ptr<CopyPlan> NewDownloadOnePlan(BlockingStore* store,
                                             std::string key, std::string file,
                                             bool always);

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_COPY_PLAN_H_
