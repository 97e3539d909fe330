// UnmarkedSet remembers the blobs that are on disk but not marked committed:
// those of writes under way, and those whose outcome the agent has to ask for.

#ifndef CAIRN_VOLUME_UNMARKED_SET_H_
#define CAIRN_VOLUME_UNMARKED_SET_H_

#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "proto/cairn/v1/metadata.pb.h"

namespace cairn::volume {

// `name` is "<subvolume>/<directory>/<file name>". Thread safety: any method
// from any thread; nothing blocks.
class UnmarkedSet {
 public:
  // False: another operation is writing that blob now.
  bool StartWriting(const std::string& name, const v1::BlobId& blob);
  // `keep`: the blob is on disk and unmarked.
  void EndWriting(const std::string& name, bool keep, absl::Time now);

  // Unless it is there: a blob found on disk, unmarked since `since`.
  void Add(const std::string& name, const v1::BlobId& blob, absl::Time since);
  void Remove(const std::string& name);

  // Those unmarked since `limit` or longer and not being written.
  struct Entry {
    std::string name;
    v1::BlobId blob;
  };
  std::vector<Entry> Since(absl::Time limit) const;
  // Whether that blob is (still) among them.
  bool IsSince(const std::string& name, absl::Time limit) const;
  std::vector<std::string> Names() const;
  size_t size() const;

 private:
  struct State {
    v1::BlobId blob;
    absl::Time since;
    bool writing = false;
  };
  mutable base::Mutex mu_;
  absl::flat_hash_map<std::string, State> blobs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_UNMARKED_SET_H_
