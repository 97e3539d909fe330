// CHECK: a broken invariant is our bug; stop before it spreads. Bad input, a
// full disk or a dead peer never is one: those get a Status.

#ifndef CAIRN_BASE_CHECK_H_
#define CAIRN_BASE_CHECK_H_

namespace cairn::base {

// Prints where and what to standard error, then aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* what);

}  // namespace cairn::base

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) {                                           \
      ::cairn::base::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                             \
  } while (false)
#define CHECK_OK(expr) CHECK((expr).ok())

#endif  // CAIRN_BASE_CHECK_H_
