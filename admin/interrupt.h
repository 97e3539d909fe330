// Interrupt: Ctrl-C (SIGINT), SIGTERM and SIGHUP as something to look at, so
// that a command can end what is under way first.

#ifndef CAIRN_ADMIN_INTERRUPT_H_
#define CAIRN_ADMIN_INTERRUPT_H_

#include <csignal>

namespace cairn::admin {

// While one lives, the first such signal is noted and changes nothing else; a
// second one ends the process at once, as without it. At most one at a time,
// made before the threads that are to see it.
class Interrupt {
 public:
  Interrupt();
  ~Interrupt();
  Interrupt(const Interrupt&) = delete;
  Interrupt& operator=(const Interrupt&) = delete;

  // The signal that came; 0: none. From any thread.
  static int signal();

  // Forgets what came: the next signal is a first one again.
  void Rearm();

  // Ends the process as the signal would have, so that a shell that runs the
  // command in a loop ends the loop too.
  [[noreturn]] void EndBySignal();

 private:
  struct sigaction before_[3];
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_INTERRUPT_H_
