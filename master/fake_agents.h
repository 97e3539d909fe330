// Agents in memory, for tests: say what each volume does with what it is asked.

#ifndef CAIRN_MASTER_FAKE_AGENTS_H_
#define CAIRN_MASTER_FAKE_AGENTS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "master/agents.h"

namespace cairn::master {

// Answers from within the call. Thread safety: any method from any thread.
class FakeAgents final : public Agents {
 public:
  // Every operation of this volume gets this answer; OK at first.
  void SetAnswer(uint32_t volume_id, absl::Status answer) {
    base::MutexLock lock(&mu_);
    answers_[volume_id] = std::move(answer);
  }

  void Unlink(uint32_t volume_id, v1::UnlinkOp op, absl::Time deadline,
              Done done) override {
    done(Record(volume_id, op.blob(), op.fencing_number(), &unlinked_));
  }
  void Put(uint32_t volume_id, v1::SmallPutOp op, absl::Time deadline,
           Done done) override {
    done(Record(volume_id, op.blob(), op.committed() ? 1 : 0, &put_));
  }

  void Mark(uint32_t volume_id, const v1::BlobId& blob) override {
    base::MutexLock lock(&mu_);
    marked_.insert(
        absl::StrCat(volume_id, "/", blob.subvolume(), " ", blob.key()));
  }

  // "7/0 key" of each blob that was unlinked, put or marked, in that order of
  // text.
  std::multiset<std::string> unlinked() { return Copy(unlinked_); }
  std::multiset<std::string> put() { return Copy(put_); }
  std::multiset<std::string> marked() { return Copy(marked_); }
  int64_t fencing_number() {
    base::MutexLock lock(&mu_);
    return last_number_;
  }

 private:
  absl::Status Record(uint32_t volume_id, const v1::BlobId& blob,
                      int64_t number, std::multiset<std::string>* list) {
    base::MutexLock lock(&mu_);
    last_number_ = number;
    const absl::Status answer = answers_[volume_id];
    if (answer.ok()) {
      list->insert(
          absl::StrCat(volume_id, "/", blob.subvolume(), " ", blob.key()));
    }
    return answer;
  }
  std::multiset<std::string> Copy(const std::multiset<std::string>& list) {
    base::MutexLock lock(&mu_);
    return list;
  }

  base::Mutex mu_;
  std::map<uint32_t, absl::Status> answers_ ABSL_GUARDED_BY(mu_);
  std::multiset<std::string> unlinked_;  // Guarded by mu_.
  std::multiset<std::string> put_;       // Guarded by mu_.
  std::multiset<std::string> marked_;    // Guarded by mu_.
  int64_t last_number_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_FAKE_AGENTS_H_
