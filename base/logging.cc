#include "base/logging.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <chrono>

#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"

namespace cairn::base {
namespace {

bool json_format = false;  // Set once by InitLogging(), before other threads.

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// spdlog throws from its constructors; this is where that ends.
template <typename Make>
absl::StatusOr<std::shared_ptr<spdlog::logger>> Guarded(const Make& make) {
  try {
    return make();
  } catch (const spdlog::spdlog_ex& error) {
    return absl::InvalidArgumentError(error.what());
  }
}

// Length of the valid UTF-8 sequence at `i`, 0 if there is none.
size_t Utf8Length(absl::string_view text, size_t i) {
  const unsigned char c = text[i];
  size_t length = c < 0x80       ? 1
                  : c >> 5 == 6  ? 2
                  : c >> 4 == 14 ? 3
                  : c >> 3 == 30 ? 4
                                 : 0;
  if (length == 0 || i + length > text.size()) return 0;
  for (size_t k = 1; k < length; ++k) {
    if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = length > 1 ? text[i + 1] : 0;
  // Overlong forms, surrogates and what lies beyond U+10FFFF.
  if ((c == 0xC0 || c == 0xC1) || (c == 0xE0 && second < 0xA0) ||
      (c == 0xED && second > 0x9F) || (c == 0xF0 && second < 0x90) ||
      (c == 0xF4 && second > 0x8F) || c > 0xF4) {
    return 0;
  }
  return length;
}

void AppendTextValue(absl::string_view value, std::string* out) {
  bool plain = !value.empty();
  for (const unsigned char c : value) {
    if (c <= ' ' || c == '"' || c == '\\' || c >= 0x7F) plain = false;
  }
  if (plain) {
    out->append(value.data(), value.size());
  } else {
    absl::StrAppend(out, "\"", JsonEscape(value), "\"");
  }
}

// Keys and peers' messages may hold line breaks and terminal codes: a line of
// the log stays one line.
std::string OneLine(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const unsigned char c : text) {
    if (c < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&out, "\\u%04x", c);
    } else {
      out.push_back(c);
    }
  }
  return out;
}

}  // namespace

std::string JsonEscape(absl::string_view text) {
  std::string out;
  out.reserve(text.size() + 8);
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = text[i];
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
      ++i;
    } else if (c < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&out, "\\u%04x", c);
      ++i;
    } else if (const size_t length = Utf8Length(text, i); length > 0) {
      out.append(text.data() + i, length);
      i += length;
    } else {
      out.append("\xEF\xBF\xBD");
      ++i;
    }
  }
  return out;
}

absl::Status InitLogging(const LogOptions& options) {
  const auto level = spdlog::level::from_str(options.level);
  if (level == spdlog::level::off) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--log_level=", options.level, ": use debug, info, warning or error"));
  }
  if (options.format != "text" && options.format != "json") {
    return absl::InvalidArgumentError(
        absl::StrCat("--log_format=", options.format, ": use text or json"));
  }
  json_format = options.format == "json";
  spdlog::drop("main");  // From an earlier call, in tests.
  auto logger = Guarded([&]() -> std::shared_ptr<spdlog::logger> {
    if (options.file.empty()) return spdlog::stderr_logger_mt("main");
    return spdlog::basic_logger_mt("main", options.file);
  });
  if (!logger.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--log_file: ", logger.status().message()));
  }
  spdlog::set_default_logger(*logger);
  spdlog::set_level(level);
  spdlog::flush_on(spdlog::level::info);
  if (json_format) {
    spdlog::set_pattern(absl::StrCat(
        R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","level":"%l","process":")",
        options.process, R"(","message":"%v"})"));
  } else {
    spdlog::set_pattern(
        absl::StrCat("%Y-%m-%dT%H:%M:%S.%e%z %l ", options.process, ": %v"));
  }
  return absl::OkStatus();
}

void FlushLogs() { spdlog::default_logger_raw()->flush(); }

bool LogEnabled(LogLevel level) {
  return spdlog::default_logger_raw()->should_log(ToSpdlog(level));
}

void LogLine(LogLevel level, absl::string_view message) {
  const std::string text = json_format ? JsonEscape(message) : OneLine(message);
  spdlog::default_logger_raw()->log(
      ToSpdlog(level), spdlog::string_view_t(text.data(), text.size()));
}

struct AccessLog::State {
  std::shared_ptr<spdlog::logger> logger;
  bool json = false;
};

AccessLog::AccessLog(const std::string& file, const std::string& format)
    : state_(std::make_unique<State>()) {
  if (file.empty()) return;
  state_->json = format == "json";
  spdlog::drop("access");
  auto logger = Guarded([&]() -> std::shared_ptr<spdlog::logger> {
    if (file == "-") return spdlog::stdout_logger_mt("access");
    return spdlog::basic_logger_mt("access", file);
  });
  if (!logger.ok()) {
    LogError("no access log: ", logger.status().message());
    return;
  }
  state_->logger = *logger;
  state_->logger->set_level(spdlog::level::info);
  state_->logger->flush_on(spdlog::level::off);
  state_->logger->set_pattern(state_->json
                                  ? R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z",%v})"
                                  : "%Y-%m-%dT%H:%M:%S.%e%z %v");
  spdlog::flush_every(std::chrono::seconds(1));
}

AccessLog::~AccessLog() {
  if (state_->logger != nullptr) state_->logger->flush();
}

bool AccessLog::enabled() const { return state_->logger != nullptr; }

void AccessLog::Write(const std::vector<Field>& fields) {
  if (!enabled()) return;
  std::string line;
  line.reserve(256);
  for (const auto& [name, value] : fields) {
    if (state_->json) {
      absl::StrAppend(&line, line.empty() ? "\"" : ",\"", name, "\":\"",
                      JsonEscape(value), "\"");
    } else {
      absl::StrAppend(&line, line.empty() ? "" : " ", name, "=");
      AppendTextValue(value, &line);
    }
  }
  state_->logger->info(spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace cairn::base
