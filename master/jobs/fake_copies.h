// Agents that copy in memory, for tests.

#ifndef CAIRN_MASTER_JOBS_FAKE_COPIES_H_
#define CAIRN_MASTER_JOBS_FAKE_COPIES_H_

#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/mutex.h"
#include "master/jobs/copy_agents.h"

namespace cairn::master {

// Copies every blob, or says of some why not. Set its members while no job
// runs, or from `before`.
class FakeCopies final : public CopyAgents {
 public:
  absl::Status CopyMany(const v1::Volume& target,
                        const v1::CopyBlobsRequest& request,
                        absl::Duration timeout,
                        v1::CopyBlobsResponse* response) override {
    base::MutexLock lock(&mu_);
    ++calls;
    if (before) before();
    if (!answer.ok()) return answer;
    for (const v1::CopiedBlob& blob : request.blobs()) {
      v1::BlobOpResult* const result = response->add_results();
      const auto it = codes.find(blob.blob().key());
      if (it != codes.end()) {
        result->set_code(static_cast<int>(it->second));
      } else {
        copied.insert(blob.blob().key());
        in_order.push_back(blob.blob().key());
      }
    }
    return absl::OkStatus();
  }
  absl::Status Copy(const v1::Volume& target,
                    const v1::CopyBlobRequest& request,
                    absl::Duration timeout) override {
    base::MutexLock lock(&mu_);
    ++large_calls;
    copied.insert(request.blob().key());
    return answer;
  }
  absl::Status Count(const v1::Volume&, absl::Duration,
                     v1::CountBlobsResponse* response) override {
    response->set_blobs_count(std::abs(blobs_left));
    if (blobs_left > 0) --blobs_left;
    return absl::OkStatus();
  }

  std::function<void()> before;  // What happens while it copies.
  absl::Status answer;
  std::map<std::string, absl::StatusCode> codes;  // By key.
  std::set<std::string> copied;
  std::vector<std::string> in_order;  // As CopyMany() made them.
  int calls = 0;
  int large_calls = 0;
  // What a volume counts: one less each time, but for a negative number, which
  // stays.
  int blobs_left = 0;

 private:
  base::Mutex mu_;  // A job copies with several threads.
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_FAKE_COPIES_H_
