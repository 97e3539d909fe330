// Ends a byte stream that does not move on: a blocking Read() or Write() of
// gRPC waits for ever for a peer that is there and does nothing.

#ifndef CAIRN_MASTER_STALL_GUARD_H_
#define CAIRN_MASTER_STALL_GUARD_H_

#include <grpcpp/grpcpp.h>

#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/mutex.h"
#include "rpc/event_loop.h"

namespace cairn::master {

// Guards one call while it lives. Thread safety: Progress() from any thread.
class StallGuard {
 public:
  // Cancels the call behind `context` when Progress() was not called for
  // `timeout`. `context` outlives the guard.
  StallGuard(rpc::EventLoop* loop, grpc::ServerContext* context,
             absl::Duration timeout)
      : state_(std::make_shared<State>()) {
    {
      base::MutexLock lock(&state_->mu);
      state_->context = context;
      state_->deadline = absl::Now() + timeout;
    }
    timeout_ = timeout;
    loop->AddTicker([state = state_] { return state->Tick(); });
  }
  ~StallGuard() {
    base::MutexLock lock(&state_->mu);
    state_->context = nullptr;
  }
  StallGuard(const StallGuard&) = delete;
  StallGuard& operator=(const StallGuard&) = delete;

  void Progress() {
    base::MutexLock lock(&state_->mu);
    state_->deadline = absl::Now() + timeout_;
  }

 private:
  struct State {
    // False: the call is over.
    bool Tick() {
      base::MutexLock lock(&mu);
      if (context == nullptr) return false;
      if (absl::Now() < deadline) return true;
      context->TryCancel();  // Does not block.
      return false;
    }
    base::Mutex mu;
    grpc::ServerContext* context ABSL_GUARDED_BY(mu) = nullptr;
    absl::Time deadline ABSL_GUARDED_BY(mu);
  };

  const std::shared_ptr<State> state_;
  absl::Duration timeout_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_STALL_GUARD_H_
