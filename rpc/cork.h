// A cork keeps back what a thread submits to lanes, so that it leaves as one
// batch instead of many: a message costs about 8 us on each side, whatever is
// in it.

#ifndef CAIRN_RPC_CORK_H_
#define CAIRN_RPC_CORK_H_

#include <memory>
#include <utility>
#include <vector>

namespace cairn::rpc {

// Of one thread; others are not affected. Keep it short: what was submitted
// waits until the release.
class Cork {
 public:
  class Waiter {
   public:
    virtual ~Waiter() = default;
    virtual void OnRelease() = 0;
  };

  // Holds for a scope; inside of another hold it does nothing.
  Cork() : mine_(!State().held) { Hold(); }
  ~Cork() {
    if (mine_) Release();
  }
  Cork(const Cork&) = delete;
  Cork& operator=(const Cork&) = delete;

  // Holds until Release(), however often it was called.
  static void Hold() { State().held = true; }
  static void Release() {
    State().held = false;
    const auto waiters = std::exchange(State().waiters, {});
    for (const auto& waiter : waiters) waiter->OnRelease();
  }

  // True: the thread holds a cork, and `waiter` is called, once, when it lets
  // go.
  static bool Defer(std::shared_ptr<Waiter> waiter) {
    ThreadState& state = State();
    if (!state.held) return false;
    for (const auto& known : state.waiters) {
      if (known == waiter) return true;
    }
    state.waiters.push_back(std::move(waiter));
    return true;
  }

 private:
  struct ThreadState {
    bool held = false;
    std::vector<std::shared_ptr<Waiter>> waiters;
  };
  static ThreadState& State() {
    thread_local ThreadState state;
    return state;
  }

  const bool mine_;
};

}  // namespace cairn::rpc

#endif  // CAIRN_RPC_CORK_H_
