#include "base/program.h"

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace cairn::base {
namespace {

TEST(ProgramTest, LoopbackAddressesNeedNothingElse) {
  for (const char* address :
       {"127.0.0.1:3000", "localhost:1", "[::1]:65535", "127.8.9.10:80"}) {
    EXPECT_TRUE(CheckListenAddress("listen", address, false).ok()) << address;
  }
}

TEST(ProgramTest, OtherAddressesAreRefusedNamingTheFlagAndInsecure) {
  for (const char* address :
       {"0.0.0.0:3000", "[::]:3000", "example.com:3000", "10.0.0.1:3000",
        "127.0.0.1.example.com:3000", "127.0.0.256:1", ".127.0.0.1:1"}) {
    const absl::Status status = CheckListenAddress("listen", address, false);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << address;
    EXPECT_TRUE(absl::StrContains(status.message(),
                                  absl::StrCat("--listen=", address)));
    EXPECT_TRUE(absl::StrContains(status.message(), "--insecure"));
    EXPECT_TRUE(CheckListenAddress("listen", address, true).ok()) << address;
  }
}

TEST(ProgramTest, WhatIsNoAddressIsRefusedAlsoWithInsecure) {
  for (const char* address :
       {"", "3000", ":3000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0",
        "127.0.0.1:65536", "127.0.0.1:http", "127.0.0.1:-1"}) {
    EXPECT_FALSE(CheckListenAddress("listen", address, true).ok()) << address;
  }
}

using ProgramDeathTest = testing::Test;

// Each of these ends the process, as main() wants it.
void Start(std::vector<std::string> args) {
  std::vector<char*> argv;
  args.insert(args.begin(), "cairn-test");
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  StartProgram(static_cast<int>(argv.size()) - 1, argv.data(), "cairn-test",
               "cairn-test: a program");
  RefuseToStart(absl::UnavailableError("nobody is there"), 3);
}

TEST(ProgramDeathTest, HelpAndVersionEndWithZero) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(Start({"--help"}), testing::ExitedWithCode(0), "");
  EXPECT_EXIT(Start({"--version"}), testing::ExitedWithCode(0), "");
}

TEST(ProgramDeathTest, AWrongCommandLineEndsWithOneAndASentence) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(Start({"extra"}), testing::ExitedWithCode(1),
              "cairn-test: \"extra\" is not an option");
  EXPECT_EXIT(Start({"--log_level=loud"}), testing::ExitedWithCode(1),
              "cairn-test: --log_level=loud");
  EXPECT_EXIT(Start({"--no_such_option"}), testing::ExitedWithCode(1),
              "no_such_option");
}

TEST(ProgramDeathTest, ARefusalIsOneSentenceWithItsCode) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(Start({}), testing::ExitedWithCode(3),
              "^cairn-test: nobody is there\n$");
}

}  // namespace
}  // namespace cairn::base
