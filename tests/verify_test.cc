// `cairn verify` on a real cluster: what it finds, what it mends, and that it
// finds nothing while clients write.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/cluster.h"
#include "tests/http.h"
#include "tests/process.h"
#include "tests/terminal.h"

namespace cairn::tests {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

namespace fs = std::filesystem;

class VerifyTest : public testing::Test {
 protected:
  static ClusterOptions Options() {
    ClusterOptions options;
    options.subvolumes = 2;
    options.master_flags = {"--durability=os", "--inline_max=2000"};
    return options;
  }
  std::string Line(const std::string& words) {
    return "CAIRN_MASTER=" + cluster_.master_address() + " admin/cairn " +
           words;
  }
  Outcome Cairn(const std::string& words) { return Shell(Line(words)); }
  std::string ValueOf(int i) {
    return std::string(1000 + 100 * i, 'a' + i % 26);
  }
  void PutAll(int keys) {
    for (int i = 0; i < keys; ++i) {
      ASSERT_EQ(HttpPut(cluster_.gateway_port(), absl::StrCat("/k", i, "-"),
                        ValueOf(i))
                    .status,
                201);
    }
  }
  // The files of a key, in the order of their paths.
  std::vector<std::string> FilesOf(const std::string& key) {
    std::vector<std::string> files;
    for (const std::string& file : cluster_.BlobFiles()) {
      if (absl::StrContains(file, "/" + key + "@")) files.push_back(file);
    }
    return files;
  }
  // A file that no key needs, as a removal that was lost would leave it: the
  // first of the key's, at an older version.
  std::string MakeStray(const std::string& key) {
    const std::string file = FilesOf(key)[0];
    std::string stray = file;
    stray.replace(stray.rfind('@') + 1, 6, "018000");
    EXPECT_EQ(Shell(absl::StrCat("cp -a ", file, " ", stray)).code, 0);
    return stray;
  }

  Cluster cluster_{Options()};
};

TEST_F(VerifyTest, AHealthyClusterHasNoFindings) {
  PutAll(30);
  ASSERT_EQ(Http(cluster_.gateway_port(), "DELETE /k0- HTTP/1.1\r\n").status,
            204);
  const Outcome verify = Cairn("verify");
  EXPECT_EQ(verify.code, 0) << verify.text;
  EXPECT_THAT(verify.out,
              HasSubstr("58 copies of 29 keys were read: 0 corrupt, 0 missing, "
                        "0 stray blobs, 0 keys with too few copies; 0 mended; "
                        "0 copies not checked\n"));
  const Outcome dry = Cairn("verify --dry-run");
  EXPECT_EQ(dry.code, 0);
  EXPECT_THAT(dry.out, HasSubstr("would read 58 copies of 29 keys, "));
}

TEST_F(VerifyTest, DamageIsFoundAndMendedAndNothingElseIsTouched) {
  PutAll(30);
  const std::vector<std::string> healthy = cluster_.BlobFiles();
  const std::string flipped = FilesOf("k1-")[0], shorter = FilesOf("k2-")[1],
                    missing = FilesOf("k3-")[0], stray = MakeStray("k4-");
  std::fstream(flipped, std::ios::in | std::ios::out) << "X";
  fs::resize_file(shorter, 7);
  fs::remove(missing);
  // The index has the value of the one, and not of the other.
  for (const char* key : {"k5-", "k15-"}) {
    for (const std::string& lost : FilesOf(key)) {
      std::fstream(lost, std::ios::in | std::ios::out) << "X";
    }
  }

  const auto damaged = cluster_.BlobFiles();
  const Outcome found = Cairn("verify");
  EXPECT_EQ(found.code, 1);
  EXPECT_THAT(
      found.out,
      AllOf(HasSubstr("k1-: the copy on "),
            HasSubstr(" is corrupt: its bytes do not match their hash\n"),
            HasSubstr(" is corrupt: it has 7 bytes instead of 1200\n"),
            HasSubstr("k3-: the copy on "), HasSubstr(" is missing: "),
            HasSubstr("k4-: a stray blob of version 018000"),
            HasSubstr(": 6 corrupt, 1 missing, 1 stray blobs, ")));
  EXPECT_EQ(cluster_.BlobFiles(), damaged) << "it only looks";

  const Outcome mended = Cairn("verify --repair --json");
  EXPECT_EQ(mended.code, 1);
  EXPECT_THAT(mended.out,
              AllOf(HasSubstr("; mended from "), HasSubstr("6 mended"),
                    HasSubstr("; mended from the index"),
                    HasSubstr("k15-: the copy on "),
                    HasSubstr("no good copy is left to mend it from"),
                    HasSubstr("\"state\":\"done\"")));
  EXPECT_TRUE(WaitUntil(absl::Seconds(10), [&] { return !fs::exists(stray); }));
  EXPECT_EQ(cluster_.BlobFiles(), healthy);
  EXPECT_EQ(ReadFile(flipped), ValueOf(1));
  EXPECT_EQ(ReadFile(shorter), ValueOf(2));
  EXPECT_EQ(ReadFile(missing), ValueOf(3));
  for (const std::string& file : FilesOf("k5-")) {
    EXPECT_EQ(ReadFile(file), ValueOf(5));
  }
  EXPECT_EQ(ReadFile(FilesOf("k15-")[0])[0], 'X') << "it may be all there is";

  ASSERT_EQ(Http(cluster_.gateway_port(), "DELETE /k15- HTTP/1.1\r\n").status,
            204);
  const Outcome after = Cairn("verify");
  EXPECT_EQ(after.code, 0) << after.text;
}

TEST_F(VerifyTest, CopiesOnAVolumeThatIsDownAreCountedNotCondemned) {
  PutAll(30);
  cluster_.Kill("volume-2");
  cluster_.WaitVolume("volume-2", v1::VOLUME_STATE_DOWN);
  const Outcome verify = Cairn("verify --repair");
  EXPECT_EQ(verify.code, 1);
  EXPECT_THAT(verify.out,
              AllOf(HasSubstr("copies on it were not checked: it is down\n"),
                    HasSubstr(": 0 corrupt, 0 missing, 0 stray blobs, ")));
  cluster_.Start("volume-2");
  cluster_.WaitReady();
  EXPECT_EQ(Cairn("verify").code, 0);
}

TEST_F(VerifyTest, NothingIsFoundWhileClientsWrite) {
  PutAll(30);
  std::atomic<bool> done = false;
  std::vector<std::thread> clients;
  for (int client = 0; client < 3; ++client) {
    clients.emplace_back([&, client] {
      for (int i = client; !done; i += 3) {
        const std::string target = absl::StrCat("/k", i % 30, "-");
        if (i % 4 == 0) {
          Http(cluster_.gateway_port(), "DELETE " + target + " HTTP/1.1\r\n");
        } else {
          HttpPut(cluster_.gateway_port(), target, ValueOf(i % 50));
        }
      }
    });
  }
  for (int i = 0; i < 10; ++i) {
    const Outcome verify = Cairn("verify --repair");
    EXPECT_EQ(verify.code, 0) << verify.text;
  }
  done = true;
  for (std::thread& client : clients) client.join();
}

TEST_F(VerifyTest, ItGoesOnWhenTheMasterIsKilled) {
  // More than are noted as one: 500.
  const std::string value(1000, 'v');
  for (int i = 100; i < 900; ++i) {
    ASSERT_EQ(
        HttpPut(cluster_.gateway_port(), absl::StrCat("/k", i, "-"), value)
            .status,
        201);
  }
  fs::remove(FilesOf("k100-")[0]);
  fs::remove(FilesOf("k899-")[0]);
  TemporaryDirectory directory;
  const std::string log = directory.path() + "/log";
  // 1.6 MB: eight seconds.
  const auto verify =
      Process::Start({"admin/cairn", "--master", cluster_.master_address(),
                      "verify", "--rate", "200K", "--json"},
                     log);
  ASSERT_TRUE(WaitUntil(absl::Seconds(30), [&] {
    const std::string text = ReadFile(log);
    const size_t at = text.rfind("\"keys_done\":");
    return at != std::string::npos && std::atoi(&text[at + 12]) > 500;
  })) << ReadFile(log);
  cluster_.Kill("master");
  cluster_.Start("master");
  EXPECT_EQ(verify->Wait(absl::Seconds(60)), 1) << ReadFile(log);
  // What was found before the kill is not found again, and told all the same.
  const std::string text = ReadFile(log);
  EXPECT_THAT(
      text.substr(text.rfind('{', text.rfind("\"state\":\"done\""))),
      AllOf(HasSubstr("k100-: the copy on "), HasSubstr("k899-: the copy on "),
            HasSubstr("\"problems_count\":2"),
            HasSubstr("1600 copies of 800 keys were read: 0 corrupt, "
                      "2 missing, ")));
}

TEST_F(VerifyTest, JobsShowItAndCancelEndsIt) {
  PutAll(50);
  EXPECT_EQ(Cairn("jobs").out, "no job has run since the master was started\n");
  EXPECT_EQ(Cairn("jobs --json").out, "[]\n");
  EXPECT_EQ(Cairn("jobs cancel 1").code, 1);
  TemporaryDirectory directory;
  const std::string log = directory.path() + "/log";
  const auto verify =
      Process::Start({"admin/cairn", "--master", cluster_.master_address(),
                      "verify", "--rate", "1K"},
                     log);
  ASSERT_TRUE(WaitUntil(absl::Seconds(10), [&] {
    return absl::StrContains(Cairn("jobs").out, "verify  running");
  }));
  EXPECT_THAT(Cairn("status").out, HasSubstr("\njobs      verify ("));
  const std::string id =
      std::vector<std::string>(absl::StrSplit(Cairn("jobs").out, '\n'))[1]
          .substr(0, 1);
  EXPECT_EQ(Cairn("jobs cancel " + id).text, "");
  EXPECT_EQ(verify->Wait(absl::Seconds(10)), 2);
  EXPECT_THAT(ReadFile(log), HasSubstr("cairn: the verify was stopped\n"));
  EXPECT_THAT(Cairn("jobs").out, HasSubstr("verify  cancelled"));
  EXPECT_THAT(Cairn("status").out, HasSubstr("\njobs      none\n"));
}

TEST_F(VerifyTest, TheBackgroundVerifyTellsInTheStatusWhatItFound) {
  PutAll(20);
  EXPECT_THAT(Cairn("status").out, HasSubstr("\nverified  "));
  // One second a round; at other times 30 days.
  ASSERT_EQ(cluster_.Stop("master"), 0);
  cluster_.options().master_flags.push_back("--verify_every=1s");
  cluster_.Start("master");
  cluster_.WaitReady();
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return absl::StrContains(Cairn("status").out, " UTC, all good\n");
  })) << Cairn("status").out;
  fs::remove(FilesOf("k3-")[0]);
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return absl::StrContains(Cairn("status").out,
                             " UTC, 1 problems: run `cairn verify`\n");
  })) << Cairn("status").out;
  // It is nobody's job: it does not stand in the list, nor in anyone's way.
  EXPECT_EQ(Cairn("jobs").out, "no job has run since the master was started\n");
  EXPECT_EQ(Cairn("verify --repair").code, 1);
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return absl::StrContains(Cairn("status").out, " UTC, all good\n");
  })) << Cairn("status").out;
}

TEST_F(VerifyTest, ABackgroundVerifyIsNotTooOftenAndCanBeSwitchedOff) {
  ASSERT_EQ(cluster_.Stop("master"), 0);
  for (const char* refused : {"--verify_every=999ms", "--verify_every=-1s"}) {
    const Outcome master =
        Shell(absl::StrCat("master/cairn-master --data=", cluster_.path(),
                           "/other --listen=127.0.0.1:1 ", refused));
    EXPECT_EQ(master.code, 1) << refused;
    EXPECT_THAT(master.text, HasSubstr("give 1s or more, or 0 for never"));
  }
  cluster_.options().master_flags.push_back("--verify_every=0");
  cluster_.Start("master");
  cluster_.WaitReady();
  EXPECT_EQ(Cairn("status").code, 0);
}

TEST_F(VerifyTest, CtrlCOnATerminalAsksTheMasterToStop) {
  PutAll(50);
  {
    Terminal terminal(Line("verify --rate 1K"), 100);
    ASSERT_TRUE(terminal.WaitFor("verify: checking copies  "))
        << terminal.shown();
    terminal.Type("\x03");
    ASSERT_TRUE(terminal.WaitFor("l: leave it running"));
    terminal.Type("l\n");
    EXPECT_EQ(terminal.Wait(absl::Seconds(10)), 0);
  }
  EXPECT_THAT(Cairn("jobs").out, HasSubstr("verify  running"));
  // A second call joins it.
  Terminal terminal(Line("verify"), 100);
  ASSERT_TRUE(terminal.WaitFor("verify: checking copies  "))
      << terminal.shown();
  terminal.Type("\x03");
  ASSERT_TRUE(terminal.WaitFor("s: stop it"));
  terminal.Type("s\n");
  EXPECT_EQ(terminal.Wait(absl::Seconds(10)), 2);
  EXPECT_THAT(terminal.shown(), HasSubstr("the verify was stopped"));
  EXPECT_THAT(Cairn("jobs").out, HasSubstr("verify  cancelled"));
}

}  // namespace
}  // namespace cairn::tests
