// What `./dev up` and the programs refuse: each with one sentence that names
// the fix and exit code 1, and nothing started or made.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tests/dev_root.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace fs = std::filesystem;

class DevRefusalTest : public testing::Test {
 protected:
  // `./dev WORDS` must fail; returns its one sentence.
  std::string Refusal(const std::string& words) {
    const Outcome outcome = root_.Dev(words);
    EXPECT_EQ(outcome.code, 1) << words << ": " << outcome.text;
    EXPECT_EQ(outcome.out, "") << words;
    EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1)
        << words << ": " << outcome.text;
    return outcome.text;
  }
  // Of `up` in both ways; nothing runs then.
  void ExpectUpRefused(const std::string& words,
                       const testing::Matcher<std::string>& sentence) {
    for (const char* up : {"up ", "up --detach "}) {
      EXPECT_THAT(Refusal(absl::StrCat(up, root_.PortOptions(), " ", words)),
                  sentence);
      EXPECT_THAT(root_.Running(), IsEmpty());
    }
  }
  void Put(const std::string& value) {
    EXPECT_EQ(root_.Dev("cairn put k - <<END\n" + value + "\nEND").text, "");
  }
  std::string Get() { return root_.Dev("cairn get k").text; }
  void Down() { EXPECT_EQ(root_.Dev("down").code, 0); }

  DevRoot root_;
};

// Listens on a port until the object ends.
std::unique_ptr<Process> Occupy(int port, const std::string& log) {
  auto process =
      Process::Start({"python3", "-c",
                      absl::StrCat("import socket, time\n"
                                   "s = socket.create_server(('127.0.0.1', ",
                                   port, "))\ntime.sleep(600)")},
                     log);
  EXPECT_TRUE(WaitUntil(absl::Seconds(10), [&] { return Accepts(port); }));
  return process;
}

TEST_F(DevRefusalTest, APortInUseIsNamedWithItsUserAndOption) {
  const std::pair<int, const char*> ports[] = {
      {root_.port(), "--port"},
      {root_.admin_port(), "--admin-port"},
      {root_.master_port(), "--master-port"},
      {root_.volume_port() + 2, "--volume-port"},
      {root_.http_port() + 1, "--http-port"}};
  TemporaryDirectory elsewhere;
  for (const auto& [port, option] : ports) {
    const auto user = Occupy(port, elsewhere.path() + "/log");
    ExpectUpRefused(
        "", AllOf(HasSubstr(absl::StrCat("port ", port, " cannot be had")),
                  HasSubstr(absl::StrCat("pid ", user->pid(), ": ")),
                  HasSubstr(absl::StrCat("another with ", option, "\n"))));
    EXPECT_FALSE(fs::exists(root_.data()));
  }
  ExpectUpRefused("--http-port 70000", HasSubstr("1 to 65535"));
  ExpectUpRefused("--port=0", HasSubstr("1 to 65535"));
  ExpectUpRefused(absl::StrCat("--http-port ", root_.volume_port()),
                  AllOf(HasSubstr("wanted twice"), HasSubstr("--volume-port"),
                        HasSubstr("--http-port")));
  EXPECT_FALSE(fs::exists(root_.data()));
}

TEST_F(DevRefusalTest, TooFewVolumesForTheReplicas) {
  ExpectUpRefused(
      "--volumes 2 --replicas 3",
      "replicas=3 but 2 volumes: start 1 more with --volumes 3 or pass "
      "--replicas 2\n");
  ExpectUpRefused("--volumes 0", HasSubstr("--volumes=0: at least 1"));
  ExpectUpRefused("--replicas=-1", HasSubstr("at least 1"));
  EXPECT_FALSE(fs::exists(root_.data()));
}

TEST_F(DevRefusalTest, AMissingNginx) {
  for (const char* nginx : {"nginx-of-nowhere", "/no/such/nginx"}) {
    ExpectUpRefused(absl::StrCat("--nginx ", nginx),
                    absl::StrCat(nginx,
                                 " is missing: apt-get install nginx, or say "
                                 "where it is with --nginx\n"));
  }
  EXPECT_FALSE(fs::exists(root_.data()));
}

TEST_F(DevRefusalTest, WhatAProgramRefusesAtAFirstStartLeavesNothing) {
  // One disk each: 256 directories are made and removed.
  ExpectUpRefused(
      "--subvolumes=1 --index=bogus:x",
      AllOf(HasSubstr("cairn-master: "), HasSubstr("rocksdb:PATH")));
  ExpectUpRefused("--subvolumes=1 --durability=never",
                  AllOf(HasSubstr("cairn-master: "), HasSubstr("fsync or os")));
  ExpectUpRefused("--subvolumes=1 --reads=never",
                  AllOf(HasSubstr("cairn-gateway: "), HasSubstr("redirect")));
  EXPECT_FALSE(fs::exists(root_.data()));
  // What was there before stays, and another try is free in its options.
  fs::create_directories(root_.data());
  WriteFile(root_.data() + "/mine", "mine");
  ExpectUpRefused("--reads=never --subvolumes=2 --replicas=3",
                  HasSubstr("cairn-gateway: "));
  EXPECT_EQ(Shell("ls " + root_.data()).out, "mine\n");
  root_.Up("--subvolumes=1 --replicas=1");
  Put("value");
  EXPECT_EQ(Get(), "value\n");
}

TEST_F(DevRefusalTest, AVolumeOfAnotherCluster) {
  root_.Up("--subvolumes=1");
  Put("ours");
  Down();
  const std::string other = root_.path() + "/other";
  root_.Up("--subvolumes=1 --data " + other);
  Put("theirs");
  Down();
  const std::string volume = root_.data() + "/volume-3";
  fs::rename(volume, root_.path() + "/kept");
  fs::copy(other + "/volume-3", volume, fs::copy_options::recursive);
  ExpectUpRefused("", AllOf(HasSubstr("cairn-volume: "),
                            HasSubstr(" belongs to "), HasSubstr("--data")));
  fs::remove_all(volume);
  fs::rename(root_.path() + "/kept", volume);
  root_.Up("--data " + root_.data());
  EXPECT_EQ(Get(), "ours\n");
}

TEST_F(DevRefusalTest, ACopyOfAVolume) {
  root_.Up("--subvolumes=1 --volumes=2");
  Put("value");
  Down();
  fs::copy(root_.data() + "/volume-1", root_.data() + "/volume-3",
           fs::copy_options::recursive);
  ExpectUpRefused(
      "", HasSubstr("volume-3 in " + root_.data() + " is a copy of volume-1"));
  fs::remove_all(root_.data() + "/volume-3");
  root_.Up();
  EXPECT_EQ(Get(), "value\n");
}

TEST_F(DevRefusalTest, OtherReplicasOrSubvolumesThanTheClusterWasMadeWith) {
  root_.Up();
  Put("value");
  Down();
  ExpectUpRefused("--replicas=3",
                  AllOf(HasSubstr("replicas"), HasSubstr("2"), HasSubstr("3")));
  ExpectUpRefused("--subvolumes=7", AllOf(HasSubstr("subvolumes"),
                                          HasSubstr("4"), HasSubstr("7")));
  root_.Up();
  EXPECT_EQ(Get(), "value\n") << "a refused option is not remembered";
}

TEST_F(DevRefusalTest, ASecondUpLeavesTheFirstAlone) {
  root_.Up();
  for (const char* up : {"up", "up --detach"}) {
    EXPECT_EQ(Refusal(up), "the cluster in " + root_.data() +
                               " runs already: ./dev status shows it, ./dev "
                               "down stops it\n");
  }
  // Another data directory wants the same ports.
  EXPECT_THAT(Refusal(absl::StrCat("up --data d ", root_.PortOptions())),
              HasSubstr("cannot be had (pid "));
  Put("value");
  EXPECT_EQ(Get(), "value\n");
}

TEST_F(DevRefusalTest, WithoutAClusterThereIsNothingToAskOrAddTo) {
  for (const char* words : {"down", "status", "add-volume", "cairn ls"}) {
    EXPECT_EQ(Refusal(words), "there is no cluster in " + root_.data() +
                                  ": start one with ./dev up, or name its "
                                  "directory with --data\n");
  }
  EXPECT_EQ(root_.Dev("cairn --help").code, 0);
  root_.Up();
  Down();
  EXPECT_THAT(Refusal("add-volume"), HasSubstr("does not run"));
  WriteFile(root_.data() + "/cluster.json", "{\"port\": ");
  for (const char* words : {"up", "up --detach", "down", "status"}) {
    EXPECT_THAT(Refusal(words), HasSubstr("cluster.json is damaged"));
  }
  WriteFile(root_.path() + "/file", "");
  ExpectUpRefused("--data=file", HasSubstr("Not a directory"));
}

TEST_F(DevRefusalTest, UnknownCommandsAndOptionsAreNamed) {
  EXPECT_THAT(Refusal("frobnicate"),
              AllOf(HasSubstr("\"frobnicate\""), HasSubstr("./dev help")));
  EXPECT_THAT(Refusal("up --frobnicate"), HasSubstr("--frobnicate"));
  EXPECT_THAT(Refusal("up --volumes=many"), HasSubstr("many"));
  EXPECT_THAT(Refusal("up --volumes"), HasSubstr("--volumes"));
  EXPECT_THAT(Refusal("up --vol 3"), HasSubstr("--vol"));
  EXPECT_THAT(Refusal("down now"), HasSubstr("now"));
  EXPECT_THAT(Refusal("build now"), HasSubstr("now"));
  for (const char* words : {"", "help", "--help", "up --help", "down --help"}) {
    const Outcome help = root_.Dev(words);
    EXPECT_EQ(help.code, 0) << words;
    EXPECT_THAT(help.text, HasSubstr("usage: ./dev")) << words;
  }
  EXPECT_FALSE(fs::exists(root_.data()));
}

// The programs themselves, as somebody without ./dev starts them.
TEST_F(DevRefusalTest, AnAddressBeyondLoopbackNeedsInsecure) {
  const std::string port = absl::StrCat(root_.port());
  const std::string data = " --data=" + root_.data();
  for (const std::string& command :
       {std::string("master/cairn-master --listen=0.0.0.0:"),
        std::string("master/cairn-master --listen=[::]:"),
        std::string("volume/cairn-volume --listen=0.0.0.0:"),
        std::string("volume/cairn-volume --http_listen=10.1.2.3:"),
        std::string("gateway/cairn-gateway --listen=0.0.0.0:"),
        std::string("gateway/cairn-gateway --admin_listen=0.0.0.0:")}) {
    const Outcome outcome = Shell("timeout 20 " + command + port + data);
    EXPECT_EQ(outcome.code, 1) << command;
    EXPECT_EQ(std::count(outcome.text.begin(), outcome.text.end(), '\n'), 1);
    EXPECT_THAT(outcome.text, AllOf(HasSubstr("not a loopback address"),
                                    HasSubstr("--insecure"), HasSubstr(port)));
    EXPECT_FALSE(fs::exists(root_.data())) << command;
  }
  const auto master =
      Process::Start({"master/cairn-master", "--listen=0.0.0.0:" + port,
                      "--data=" + root_.data(), "--insecure"},
                     root_.path() + "/log");
  EXPECT_TRUE(
      WaitUntil(absl::Seconds(20), [&] { return Accepts(root_.port()); }));
  master->Signal(SIGTERM);
  EXPECT_EQ(master->Wait(absl::Seconds(20)), 0);
}

}  // namespace
}  // namespace cairn::tests
