// Waits, on a thread that may wait, for the one answer of an asynchronous call.

#ifndef CAIRN_MASTER_AWAIT_H_
#define CAIRN_MASTER_AWAIT_H_

#include <memory>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "base/mutex.h"

namespace cairn::master {

//   Await<absl::Status> deleted;
//   store->Delete(key, ..., deleted.Setter());
//   return deleted.Get();
//
// The answer may come after the Await is gone.
template <typename T>
class Await {
 public:
  // A function that takes the answer; to be called once, from any thread.
  auto Setter() {
    return [state = state_](T value) {
      base::MutexLock lock(&state->mu);
      state->value = std::move(value);
      state->came.Signal();
    };
  }

  // Blocks until the answer has come: whoever was asked has a deadline.
  T Get() {
    base::MutexLock lock(&state_->mu);
    while (!state_->value.has_value()) state_->came.Wait(&state_->mu);
    return *std::move(state_->value);
  }

 private:
  struct State {
    base::Mutex mu;
    base::CondVar came;
    std::optional<T> value ABSL_GUARDED_BY(mu);
  };
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_AWAIT_H_
