// Runs the program as a person would, with no master to answer.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace {

struct Outcome {
  int code = -1;
  std::string text;  // Of both standard output and standard error.
};

Outcome RunShell(const std::string& line) {
  const std::string command = absl::StrCat(line, " 2>&1 </dev/null");
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

Outcome RunCairn(const std::string& arguments) {
  return RunShell("admin/cairn " + arguments);
}

// For between single quotes of a shell.
std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text, {{"'", "'\\''"}});
}

TEST(CairnTest, HelpNamesCommandsAndExitCodes) {
  for (const char* arguments : {"--help", "-h"}) {
    const Outcome help = RunCairn(arguments);
    EXPECT_EQ(help.code, 0);
    for (const char* word : {"put", "get", "ls", "rm", "stat", "status", "cp",
                             "volume", "completion", "--master", "CAIRN_MASTER",
                             "127.0.0.1:3100", "Exit code"}) {
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
        "ls --no-such", "get a -o", "cp a", "volume", "volume frobnicate",
        "completion fish"}) {
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

// What the shell offers behind `line`, blank-separated.
std::string CompletedByBash(const std::string& line) {
  const std::string script = absl::StrCat(
      "PATH=$PWD/admin:$PATH; source <(cairn completion bash); COMP_LINE='",
      line,
      "'; COMP_POINT=${#COMP_LINE}; IFS=' :' read -ra COMP_WORDS <<< "
      "\"$COMP_LINE\"; case \"$COMP_LINE\" in *' ') COMP_WORDS+=('');; esac; "
      "COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _cairn; "
      "complete -p cairn >/dev/null && echo ${COMPREPLY[*]}");
  return RunShell(absl::StrCat("bash -c '", Escaped(script), "'")).text;
}

TEST(CairnTest, BashCompletesCommandsFlagsAndFiles) {
  EXPECT_EQ(CompletedByBash("cairn sta"), "stat status\n");
  EXPECT_EQ(CompletedByBash("cairn --master h:1 volume l"), "list\n");
  EXPECT_EQ(CompletedByBash("cairn ls --l"), "--long\n");
  EXPECT_EQ(CompletedByBash("cairn put key admin/cairn_t"),
            "admin/cairn_test\n");
  EXPECT_EQ(CompletedByBash("cairn completion "), "bash zsh\n");
}

TEST(CairnTest, ZshCompletesToo) {
  if (RunShell("command -v zsh").code != 0) {
    GTEST_SKIP() << "zsh is not installed";
  }
  // compadd and _files work only while zsh completes: in their place stand
  // functions that say what they were given.
  const std::string script =
      "PATH=$PWD/admin:$PATH; compdef() { print -r -- compdef $@ }; "
      "source <(cairn completion zsh); compadd() { shift; print -r -- $@ }; "
      "_files() { print files }; "
      "words=(cairn sta); CURRENT=2; _cairn; "
      "words=(cairn cp ./); CURRENT=3; _cairn; "
      "words=(cairn --master h:1 volume \"\"); CURRENT=5; _cairn";
  EXPECT_EQ(
      RunShell(absl::StrCat("zsh -f -c '", Escaped(script), "'")).text,
      "compdef _cairn cairn\nstat status\nfiles\nlist drain undrain remove\n");
}

TEST(CairnTest, TheEnvironmentNamesTheMasterToo) {
  setenv("CAIRN_MASTER", "127.0.0.1:2", 1);
  const Outcome outcome = RunCairn("rm a");
  unsetenv("CAIRN_MASTER");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_TRUE(absl::StrContains(outcome.text, "127.0.0.1:2")) << outcome.text;
}

}  // namespace
