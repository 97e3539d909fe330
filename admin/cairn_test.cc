// Runs the program as a person would, with no master to answer.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace {

struct Outcome {
  int code = -1;
  std::string text;  // Of both standard output and standard error.
};

Outcome RunCairn(const std::string& arguments) {
  const std::string command =
      absl::StrCat("admin/cairn ", arguments, " 2>&1 </dev/null");
  Outcome outcome;
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return outcome;
  std::array<char, 4096> buffer;
  for (size_t got; (got = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    outcome.text.append(buffer.data(), got);
  }
  const int status = pclose(pipe);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return outcome;
}

TEST(CairnTest, HelpNamesCommandsAndExitCodes) {
  for (const char* arguments : {"--help", "-h"}) {
    const Outcome help = RunCairn(arguments);
    EXPECT_EQ(help.code, 0);
    for (const char* word :
         {"put", "get", "ls", "rm", "stat", "status", "--master",
          "CAIRN_MASTER", "127.0.0.1:3100", "Exit code"}) {
      EXPECT_TRUE(absl::StrContains(help.text, word)) << word << help.text;
    }
  }
  const Outcome put = RunCairn("put --help");
  EXPECT_EQ(put.code, 0);
  EXPECT_TRUE(absl::StrContains(put.text, "--content-type"));
}

TEST(CairnTest, VersionIsOneLine) {
  EXPECT_EQ(RunCairn("--version").text, "cairn 0.1.0\n");
  EXPECT_EQ(RunCairn("--version").code, 0);
}

TEST(CairnTest, AWrongCommandLineIsOneSentenceAndTwo) {
  for (const char* arguments :
       {"", "mv a b", "put", "rm", "get a b", "put a b c", "ls a b", "status x",
        "ls --no-such", "get a -o"}) {
    const Outcome outcome = RunCairn(arguments);
    EXPECT_EQ(outcome.code, 2) << arguments;
    EXPECT_TRUE(absl::StartsWith(outcome.text, "cairn: ")) << outcome.text;
    EXPECT_TRUE(absl::EndsWith(outcome.text, "see `cairn --help`\n"));
  }
}

TEST(CairnTest, WhatIsWrongHereIsSaidWithoutAskingTheMaster) {
  const Outcome no_file = RunCairn("put key /no/such/file");
  EXPECT_EQ(no_file.code, 2);
  EXPECT_TRUE(absl::StrContains(no_file.text, "/no/such/file"));
  const Outcome no_key = RunCairn("put ''");
  EXPECT_EQ(no_key.code, 2);
  const Outcome escape = RunCairn("get --escaped a%2");
  EXPECT_EQ(escape.code, 2);
  EXPECT_TRUE(absl::StrContains(escape.text, "%25")) << escape.text;
  EXPECT_EQ(RunCairn("put key --meta colour").code, 2);
}

// Nothing listens on port 1.
TEST(CairnTest, AMasterThatDoesNotAnswerIsNamedWithinTenSeconds) {
  for (const char* arguments :
       {"status --master 127.0.0.1:1", "--master=127.0.0.1:1 ls"}) {
    const absl::Time start = absl::Now();
    const Outcome outcome = RunCairn(arguments);
    EXPECT_LT(absl::Now() - start, absl::Seconds(10));
    EXPECT_EQ(outcome.code, 2);
    EXPECT_EQ(outcome.text,
              "cairn: the master at 127.0.0.1:1 does not answer: is it "
              "running? --master or CAIRN_MASTER names another\n");
  }
}

TEST(CairnTest, TheEnvironmentNamesTheMasterToo) {
  setenv("CAIRN_MASTER", "127.0.0.1:2", 1);
  const Outcome outcome = RunCairn("rm a");
  unsetenv("CAIRN_MASTER");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(absl::StrContains(outcome.text, "127.0.0.1:2")) << outcome.text;
}

}  // namespace
