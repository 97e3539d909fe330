#include "base/logging.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace cairn::base {
namespace {

std::string Contents(const std::string& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::string LogPath(const char* name) {
  const std::string path =
      absl::StrCat(testing::TempDir(), name, "-", getpid(), ".log");
  unlink(path.c_str());
  return path;
}

TEST(LoggingTest, AnUnknownLevelOrFormatIsRefusedByName) {
  EXPECT_TRUE(absl::StrContains(
      InitLogging({"cairn-test", "", "loud", "text"}).message(),
      "--log_level=loud"));
  EXPECT_TRUE(absl::StrContains(
      InitLogging({"cairn-test", "", "info", "xml"}).message(),
      "--log_format=xml"));
  EXPECT_FALSE(
      InitLogging({"cairn-test", "/proc/none/x", "info", "text"}).ok());
}

TEST(LoggingTest, LinesCarryLevelProcessAndMessageAndDebugIsLeftOut) {
  const std::string path = LogPath("text");
  ASSERT_TRUE(InitLogging({"cairn-test", path, "info", "text"}).ok());
  LogInfo("took ", 3, " blobs {} %v");
  LogDebug("not seen");
  LogError("line\nbreak \x1b[31m");
  FlushLogs();
  const std::string text = Contents(path);
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  ASSERT_EQ(lines.size(), 3u) << text;
  EXPECT_TRUE(absl::EndsWith(lines[0], " info cairn-test: took 3 blobs {} %v"));
  EXPECT_TRUE(absl::EndsWith(lines[1],
                             " error cairn-test: line\\u000abreak \\u001b[31m"))
      << lines[1];
}

TEST(LoggingTest, JsonLinesStayJsonWhateverTheyHold) {
  const std::string path = LogPath("json");
  ASSERT_TRUE(InitLogging({"cairn-test", path, "debug", "json"}).ok());
  LogDebug("a \"quote\" and \\ and \n and \xff");
  FlushLogs();
  EXPECT_TRUE(absl::StrContains(
      Contents(path), R"("level":"debug","process":"cairn-test",)"
                      "\"message\":\"a \\\"quote\\\" and \\\\ and \\u000a and "
                      "\xEF\xBF\xBD\"}"))
      << Contents(path);
}

TEST(LoggingTest, JsonEscapeKeepsUtf8AndReplacesTheRest) {
  EXPECT_EQ(JsonEscape("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"),
            "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  const std::string replaced = "\xEF\xBF\xBD";
  EXPECT_EQ(JsonEscape("\xc3"), replaced);
  EXPECT_EQ(JsonEscape("\xc0\x80"), replaced + replaced);
  EXPECT_EQ(JsonEscape("\xed\xa0\x80"), replaced + replaced + replaced);
  EXPECT_EQ(JsonEscape("\x7f"), "\\u007f");
}

TEST(LoggingTest, TheAccessLogQuotesWhatIsNotPlain) {
  const std::string path = LogPath("access");
  {
    AccessLog log(path, "text");
    ASSERT_TRUE(log.enabled());
    log.Write({{"method", "PUT"}, {"key", "/a b\n"}, {"empty", ""}});
  }
  EXPECT_TRUE(absl::EndsWith(Contents(path),
                             " method=PUT key=\"/a b\\u000a\" empty=\"\"\n"))
      << Contents(path);
  EXPECT_FALSE(AccessLog("", "text").enabled());
}

}  // namespace
}  // namespace cairn::base
