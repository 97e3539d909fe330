#include "admin/interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <iterator>

namespace cairn::admin {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

// Written by the handler: lock-free, and nothing else hangs on it.
std::atomic<int> received = 0;
static_assert(std::atomic<int>::is_always_lock_free);

void Note(int signal) { received.store(signal, std::memory_order_relaxed); }

void Install(struct sigaction* before) {
  struct sigaction action = {};
  action.sa_handler = Note;
  action.sa_flags = SA_RESTART | static_cast<int>(SA_RESETHAND);
  for (const int signal : kSignals) sigaction(signal, &action, before++);
}

}  // namespace

Interrupt::Interrupt() {
  received = 0;
  Install(before_);
  // One that was ignored (nohup) stays so.
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    if (before_[i].sa_handler == SIG_IGN) {
      sigaction(kSignals[i], &before_[i], nullptr);
    }
  }
}

Interrupt::~Interrupt() {
  for (size_t i = 0; i < std::size(kSignals); ++i) {
    sigaction(kSignals[i], &before_[i], nullptr);
  }
}

int Interrupt::signal() { return received.load(std::memory_order_relaxed); }

void Interrupt::Rearm() {
  received = 0;
  struct sigaction unused[3];
  Install(unused);
}

void Interrupt::EndBySignal() {
  const int signal = this->signal();
  std::signal(signal, SIG_DFL);
  raise(signal);
  _exit(128 + signal);  // Not reached: the default of all of them is to end.
}

}  // namespace cairn::admin
