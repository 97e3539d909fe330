// `./dev up` and its kin: a cluster started, looked at, broken and stopped as
// a person at a shell does it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "tests/dev_root.h"
#include "tests/http.h"
#include "tests/process.h"

namespace cairn::tests {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace fs = std::filesystem;

constexpr absl::Duration kRecovery = absl::Seconds(20);

class DevTest : public testing::Test {
 protected:
  Outcome Dev(const std::string& words) { return root_.Dev(words); }
  void Put(const std::string& key, const std::string& value) {
    WriteFile(root_.path() + "/input", value);
    const Outcome put = Dev("cairn put " + key + " input");
    EXPECT_EQ(put.code, 0);
    EXPECT_EQ(put.text, "");
  }
  bool Has(const std::string& key, const std::string& value) {
    return Dev("cairn get " + key).text == value;
  }
  void Down() {
    const Outcome down = Dev("down");
    EXPECT_EQ(down.code, 0) << down.text;
    EXPECT_EQ(down.text, "stopped; the data stays in " + root_.data() + "\n");
    EXPECT_THAT(root_.Running(), IsEmpty());
  }

  DevRoot root_;
};

TEST_F(DevTest, UpPrintsAddressesAndCurlLinesThatPaste) {
  // Programs that are given are not built.
  const std::string bazel = root_.path() + "/bazel";
  WriteFile(bazel, "#!/bin/sh\ntouch " + root_.path() + "/built\nexit 1\n");
  fs::permissions(bazel, fs::perms::owner_all);
  const Outcome up =
      Shell(absl::StrCat("cd ", root_.path(), " && PATH=", root_.path(),
                         ":$PATH root/dev up "
                         "--detach ",
                         root_.PortOptions()));
  ASSERT_EQ(up.code, 0) << up.text;
  EXPECT_FALSE(fs::exists(root_.path() + "/built"));
  for (const int port : {root_.port(), root_.admin_port(), root_.master_port(),
                         root_.volume_port(), root_.http_port()}) {
    EXPECT_THAT(up.out, HasSubstr(absl::StrCat(":", port)));
  }
  std::vector<std::string> answers;
  for (const auto line : absl::StrSplit(up.out, '\n')) {
    if (!absl::StartsWith(line, "  curl ")) continue;
    const Outcome curl = Shell(absl::StrCat(line, " -sS"));
    EXPECT_EQ(curl.code, 0) << line;
    answers.push_back(curl.text);
  }
  EXPECT_THAT(answers,
              ElementsAre("", "bar", R"({"next":"","keys":["/foo"]})"));
  Down();
}

TEST_F(DevTest, OptionsAreTakenWithAnEqualsSignAndWithASpace) {
  const std::string ports = root_.PortOptions();
  const Outcome up = Dev(absl::StrCat(
      "up --detach --volumes 2 --replicas=1 --subvolumes 3 --durability=os ",
      "--inline-max 77 ", absl::StrReplaceAll(ports, {{"=", " "}})));
  ASSERT_EQ(up.code, 0) << up.text;
  EXPECT_THAT(up.out, HasSubstr("2 volumes, 1 replicas"));
  EXPECT_THAT(
      Dev("cairn status").out,
      AllOf(HasSubstr("replicas 1, 3 subvolumes a volume\n"),
            HasSubstr("\ndurable   os"), HasSubstr("\nvolumes   2: 2 up\n")));
  EXPECT_THAT(Dev("cairn status --json").out,
              HasSubstr("\"inline_bytes_max\": 77"));
}

TEST_F(DevTest, StatusTellsWhatRunsAndWhatDoesNot) {
  root_.Up();
  const Outcome status = Dev("status");
  EXPECT_EQ(status.code, 0);
  for (const char* name :
       {"master", "volume-1", "volume-2", "volume-3", "gateway"}) {
    EXPECT_THAT(status.out, HasSubstr(absl::StrCat("\n", name, ": runs (pid ",
                                                   root_.PidOf(name), "), ")));
  }
  EXPECT_THAT(status.out, AllOf(HasSubstr("supervisor: runs (pid "),
                                HasSubstr("\nready     yes\n")));
  Down();
  const Outcome stopped = Dev("status");
  EXPECT_EQ(stopped.code, 1);
  EXPECT_THAT(stopped.out, AllOf(HasSubstr("supervisor: does not run"),
                                 HasSubstr("\ngateway: does not run, "),
                                 Not(HasSubstr("pid"))));
}

TEST_F(DevTest, CairnPrintsNothingOfItsOwnAndPassesAllOn) {
  root_.Up();
  Put("a", "value");
  EXPECT_EQ(Dev("cairn get a").text, "value");
  EXPECT_EQ(Dev("cairn ls").text, "a\n");
  EXPECT_EQ(Dev("cairn --data " + root_.data() + " ls").text, "a\n");
  EXPECT_EQ(Dev("cairn --data=" + root_.data() + " ls").text, "a\n");
  const Outcome missing = Dev("cairn get missing");
  EXPECT_EQ(missing.code, 1);
  EXPECT_EQ(missing.text, "cairn: missing: the key does not exist\n");
  EXPECT_EQ(Dev("cairn get").code, 2);
}

TEST_F(DevTest, ItRunsThroughALinkFromAnywhereOnTheLastCluster) {
  fs::create_directories(root_.path() + "/bin");
  fs::create_directories(root_.path() + "/elsewhere");
  fs::create_symlink("../root/dev", root_.path() + "/bin/cairn-dev");
  const std::string dev =
      absl::StrCat("cd ", root_.path(), "/elsewhere && ../bin/cairn-dev ");
  const Outcome up = Shell(
      absl::StrCat(dev, "up --detach --data my/data ", root_.PortOptions()));
  ASSERT_EQ(up.code, 0) << up.text;
  const std::string data = root_.path() + "/elsewhere/my/data";
  EXPECT_THAT(up.out, HasSubstr("data in " + data + "\n"));
  EXPECT_TRUE(fs::exists(data + "/volume-3"));
  EXPECT_FALSE(fs::exists(root_.data()));
  EXPECT_EQ(Shell("cd / && " + root_.path() + "/bin/cairn-dev cairn ls").code,
            0);
  // A link to the data directory is the same cluster.
  fs::create_symlink(data, root_.path() + "/link");
  EXPECT_EQ(Dev("down --data=link").text,
            "stopped; the data stays in " + data + "\n");
  EXPECT_THAT(root_.Running(), IsEmpty());
}

TEST_F(DevTest, DownAndUpKeepVolumesDataAndOptions) {
  root_.Up("--replicas 3 --subvolumes 2");
  const Outcome add = Dev("add-volume");
  EXPECT_EQ(add.code, 0) << add.text;
  EXPECT_EQ(add.text,
            absl::StrCat("volume-4 runs: 127.0.0.1:", root_.volume_port() + 3,
                         " 127.0.0.1:", root_.http_port() + 3, "\n"));
  Put("small", "value");
  Put("large", std::string(300000, 'x'));
  Down();
  const Outcome again = Dev("down");
  EXPECT_EQ(again.code, 0);
  EXPECT_EQ(again.text, "nothing runs in " + root_.data() + "\n");

  const Outcome up = Dev("up --detach --volumes=4");
  ASSERT_EQ(up.code, 0) << up.text;
  EXPECT_THAT(up.out,
              AllOf(HasSubstr("4 volumes, 3 replicas"),
                    HasSubstr(absl::StrCat(":", root_.port(), "/foo"))));
  EXPECT_TRUE(Has("small", "value"));
  EXPECT_TRUE(Has("large", std::string(300000, 'x')));
  EXPECT_THAT(Dev("cairn status").out, HasSubstr("\nvolumes   4: 4 up\n"));
}

TEST_F(DevTest, AVolumeThatWasRemovedStaysOut) {
  root_.Up("--volumes=4");
  Put("k", "value");
  Down();
  // As its agent notes it.
  WriteFile(root_.data() + "/volume-2/removed", "volume 2 was removed\n");
  const Outcome up = Dev("up --detach");
  ASSERT_EQ(up.code, 0) << up.text;
  EXPECT_THAT(up.out, HasSubstr("3 volumes, "));
  EXPECT_EQ(root_.PidOf("volume-2"), 0);
  EXPECT_TRUE(Has("k", "value"));
  EXPECT_THAT(Dev("add-volume").out, HasSubstr("volume-5 runs: "));
}

TEST_F(DevTest, ALostIndexIsPrintedAndNeverAnEmptyStore) {
  root_.Up();
  Put("k", "value");
  Down();
  fs::remove_all(root_.data() + "/master/index");
  const Outcome up = root_.Up();
  EXPECT_THAT(up.out, HasSubstr("\nIt is NOT ready: the index is lost"));
  EXPECT_EQ(HttpGet(root_.admin_port(), "/readyz").status, 503);
  EXPECT_EQ(HttpGet(root_.port(), "/k").status, 503);
  Down();
}

TEST_F(DevTest, EachProcessThatIsKilledIsStartedAgainAndNothingIsLost) {
  root_.Up();
  for (const std::string name : {"master", "volume-1", "volume-2", "gateway"}) {
    SCOPED_TRACE(name);
    Put("before/" + name, name);
    const pid_t pid = root_.PidOf(name);
    ASSERT_NE(pid, 0);
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    EXPECT_TRUE(WaitUntil(kRecovery, [&] {
      const pid_t now = root_.PidOf(name);
      return now != 0 && now != pid && Dev("cairn status").code == 0 &&
             HttpGet(root_.admin_port(), "/readyz").status == 200;
    }));
    EXPECT_THAT(root_.SupervisorLog(),
                HasSubstr(name + " ended (signal 9): starting it again in "));
    EXPECT_TRUE(Has("before/" + name, name));
    Put("after/" + name, name);
  }
  EXPECT_EQ(Dev("cairn ls").out,
            "after/gateway\nafter/master\nafter/volume-1\nafter/volume-2\n"
            "before/gateway\nbefore/master\nbefore/volume-1\n"
            "before/volume-2\n");
  Down();
}

TEST_F(DevTest, AnAgentThatSomebodyStopsAndAKilledNginxComeBackToo) {
  root_.Up("--volumes=2");
  Put("large", std::string(300000, 'x'));
  const pid_t agent = root_.PidOf("volume-1");
  ASSERT_EQ(kill(agent, SIGTERM), 0);
  EXPECT_TRUE(WaitUntil(kRecovery, [&] {
    return root_.SupervisorLog().find("volume-1 ended (exit code 0)") !=
               std::string::npos &&
           root_.PidOf("volume-1") != 0 && Accepts(root_.http_port());
  })) << root_.SupervisorLog();
  const std::string nginx = "nginx -p " + root_.data() + "/volume-2/nginx ";
  const pid_t killed = root_.Find(nginx);
  ASSERT_NE(killed, 0);
  ASSERT_EQ(kill(killed, SIGKILL), 0);
  EXPECT_TRUE(WaitUntil(kRecovery, [&] {
    const pid_t now = root_.Find(nginx);
    return now != 0 && now != killed && Accepts(root_.http_port() + 1);
  }));
  for (int i = 0; i < 4; ++i) {  // From both replicas.
    EXPECT_EQ(HttpRead(root_.port(), "/large").body.size(), 300000);
  }
  Down();
}

TEST_F(DevTest, WithoutItsSupervisorAClusterIsStoppedAndStartedAllTheSame) {
  root_.Up();
  Put("k", "value");
  const auto kill_supervisor = [this] {
    const pid_t pid = root_.SupervisorPid();
    ASSERT_NE(pid, 0);
    ASSERT_EQ(kill(pid, SIGKILL), 0);
    ASSERT_TRUE(
        WaitUntil(kRecovery, [&] { return root_.SupervisorPid() == 0; }));
  };
  kill_supervisor();
  EXPECT_THAT(Dev("status").out, AllOf(HasSubstr("supervisor: does not run"),
                                       HasSubstr("\ngateway: runs (pid ")));
  EXPECT_TRUE(Has("k", "value")) << "the others go on";
  Down();
  // The next `up` needs no `down`.
  root_.Up();
  kill_supervisor();
  const pid_t master = root_.PidOf("master");
  ASSERT_NE(master, 0);
  root_.Up();
  EXPECT_NE(root_.PidOf("master"), master);
  EXPECT_TRUE(Has("k", "value"));
  Down();
}

// In the foreground: Ctrl-C, `kill`, a terminal that is closed.
TEST_F(DevTest, ASignalStopsAllCleanly) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    SCOPED_TRACE(number);
    const std::string log = absl::StrCat(root_.path(), "/up-", number);
    std::vector<std::string> command = {root_.program(), "up"};
    for (const auto option : absl::StrSplit(root_.PortOptions(), ' ')) {
      command.emplace_back(option);
    }
    const auto up = Process::Start(command, log);
    ASSERT_TRUE(WaitUntil(kRecovery, [&] {
      return ReadFile(log).find("Ctrl-C stops it.") != std::string::npos;
    })) << ReadFile(log);
    EXPECT_EQ(HttpGet(root_.admin_port(), "/readyz").status, 200);
    up->Signal(number);
    EXPECT_EQ(up->Wait(kRecovery), 0) << ReadFile(log);
    EXPECT_THAT(root_.Running(), IsEmpty());
    EXPECT_THAT(root_.Log("volume-1"), HasSubstr("cairn-volume: stopped\n"));
  }
}

TEST_F(DevTest, WhileItStartsASignalStopsAll) {
  for (const char* detach : {"--detach", "--reads=redirect"}) {
    std::vector<std::string> command = {root_.program(), "up", detach};
    for (const auto option : absl::StrSplit(root_.PortOptions(), ' ')) {
      command.emplace_back(option);
    }
    const std::string log = root_.path() + "/up";
    const auto up = Process::Start(command, log);
    ASSERT_TRUE(
        WaitUntil(kRecovery, [&] { return root_.PidOf("master") != 0; }));
    up->Signal(SIGINT);
    const int code = up->Wait(kRecovery);
    EXPECT_THAT(code, AnyOf(0, 1)) << ReadFile(log);
    if (code == 0) Dev("down");  // It had started before the signal came.
    EXPECT_TRUE(WaitUntil(kRecovery, [&] { return root_.Running().empty(); }));
  }
}

TEST_F(DevTest, ARedisOfItsOwnKeepsTheIndexAndIsSupervised) {
  // Not below path(), which is too long for the name of a socket.
  std::string data = "/tmp/cairn-dev-XXXXXX";
  ASSERT_NE(mkdtemp(data.data()), nullptr);
  const auto redis = [this] {
    const std::string status = Dev("status").text;
    const std::string start = "redis: runs (pid ";
    const size_t at = status.find(start);
    return at == std::string::npos ? 0 : atoi(&status[at + start.size()]);
  };
  ASSERT_EQ(root_.Up("--index=redis --data=" + data).code, 0);
  EXPECT_THAT(Dev("cairn status").text, HasSubstr("redis+unix://" + data));
  Put("kept", "value");
  const pid_t first = redis();
  ASSERT_NE(first, 0);
  kill(first, SIGKILL);
  EXPECT_TRUE(WaitUntil(kRecovery, [&] {
    return redis() != 0 && redis() != first && Has("kept", "value");
  }));
  EXPECT_EQ(Dev("down").code, 0);
  EXPECT_EQ(redis(), 0);
  ASSERT_EQ(root_.Up("--data=" + data).code, 0) << "it remembers --index";
  EXPECT_TRUE(Has("kept", "value"));
  EXPECT_EQ(Dev("down").code, 0);
  EXPECT_EQ(redis(), 0);
  fs::remove_all(data);
}

TEST_F(DevTest, ASocketsPathThatIsTooLongIsRefusedInOneSentence) {
  const Outcome up = Dev("up --detach --index=redis " + root_.PortOptions() +
                         " --data=" + root_.path() + std::string(100, 'x'));
  EXPECT_EQ(up.code, 1);
  EXPECT_THAT(up.text, HasSubstr("choose a shorter --data"));
}

}  // namespace
}  // namespace cairn::tests
