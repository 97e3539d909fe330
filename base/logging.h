// Leveled logs of a process, and the gateway's access log, on spdlog.
//
// Thread safety: any function from any thread, after InitLogging().

#ifndef CAIRN_BASE_LOGGING_H_
#define CAIRN_BASE_LOGGING_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace cairn::base {

enum class LogLevel { kDebug, kInfo, kWarning, kError };

struct LogOptions {
  std::string process;          // "cairn-master": stands in every line.
  std::string file;             // Appended to; empty: standard error.
  std::string level = "info";   // debug, info, warning, error.
  std::string format = "text";  // text or json.
};
// kInvalidArgument: an unknown level or format; a file that cannot be opened.
absl::Status InitLogging(const LogOptions& options);
// Writes out what is buffered; call before the process ends.
void FlushLogs();

bool LogEnabled(LogLevel level);
void LogLine(LogLevel level, absl::string_view message);

template <typename... Args>
void LogDebug(const Args&... args) {
  if (LogEnabled(LogLevel::kDebug)) {
    LogLine(LogLevel::kDebug, absl::StrCat(args...));
  }
}
template <typename... Args>
void LogInfo(const Args&... args) {
  LogLine(LogLevel::kInfo, absl::StrCat(args...));
}
template <typename... Args>
void LogWarning(const Args&... args) {
  LogLine(LogLevel::kWarning, absl::StrCat(args...));
}
template <typename... Args>
void LogError(const Args&... args) {
  LogLine(LogLevel::kError, absl::StrCat(args...));
}

// A second log with one line an event and named fields, in the same format.
// Buffered: lines are on disk within a second. A file name of "-" is standard
// output; empty: nothing is written.
class AccessLog {
 public:
  AccessLog(const std::string& file, const std::string& format);
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  bool enabled() const;
  using Field = std::pair<absl::string_view, absl::string_view>;
  // Text: `name=value` with values quoted where they hold spaces or control
  // bytes. JSON: one object a line, all values strings.
  void Write(const std::vector<Field>& fields);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// `text` as the inside of a JSON string (UTF-8; other bytes become U+FFFD).
std::string JsonEscape(absl::string_view text);

}  // namespace cairn::base

#endif  // CAIRN_BASE_LOGGING_H_
