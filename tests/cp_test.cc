// `cairn cp` on a real cluster: trees and files in both directions, what is on
// the terminal meanwhile, and what is left when it is cut short.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>

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
using testing::MatchesRegex;
using testing::Not;

namespace fs = std::filesystem;

class CpTest : public testing::Test {
 protected:
  static ClusterOptions Options() {
    ClusterOptions options;
    options.subvolumes = 1;
    options.master_flags = {"--durability=os"};
    return options;
  }
  std::string Line(const std::string& words) {
    return "CAIRN_MASTER=" + cluster_.master_address() + " admin/cairn " +
           words;
  }
  Outcome Cairn(const std::string& words) { return Shell(Line(words)); }
  std::string Path(const std::string& name) {
    return absl::StrCat(directory_.path(), "/", name);
  }
  // Small files in directories of 100.
  void MakeTree(const std::string& name, int files) {
    for (int i = 0; i < files; ++i) {
      const std::string sub = absl::StrCat(Path(name), "/", i / 100);
      if (i % 100 == 0) fs::create_directories(sub);
      WriteFile(absl::StrCat(sub, "/", i), absl::StrCat("value of ", i));
    }
  }
  bool SameTrees(const std::string& a, const std::string& b) {
    const Outcome diff = Shell(absl::StrCat("diff -r ", Path(a), " ", Path(b)));
    EXPECT_EQ(diff.text, "");
    return diff.code == 0;
  }

  Cluster cluster_{Options()};
  TemporaryDirectory directory_;
};

TEST_F(CpTest, ATreeGoesInAndComesBackOnEveryPath) {
  fs::create_directories(Path("in/sub/deep"));
  WriteFile(Path("in/empty"), "");
  WriteFile(Path("in/sub/small"), "small");
  WriteFile(Path("in/sub/\xff \n%2e"), "odd name");
  WriteFile(Path("in/sub/deep/inlined"), std::string(4096, 'i'));
  ASSERT_EQ(Shell("head -c 70000000 /dev/urandom >" + Path("in/large")).code,
            0);
  fs::create_symlink("large", Path("in/link"));

  const Outcome up = Cairn("cp -r " + Path("in") + " cairn:/tree");
  EXPECT_EQ(up.code, 0) << up.text;
  EXPECT_THAT(up.out, MatchesRegex("copied 5 files, 66\\.8 MiB in .*; 0 were "
                                   "there already; 1 skipped\n"));
  EXPECT_THAT(up.text, HasSubstr("cairn: link: a symbolic link: not copied\n"));
  EXPECT_EQ(HttpRead(cluster_.gateway_port(), "/tree/large").body,
            ReadFile(Path("in/large")));
  EXPECT_EQ(HttpGet(cluster_.gateway_port(), "/tree/sub/%FF%20%0A%252e").body,
            "odd name");

  const Outcome down = Cairn("cp -r cairn:tree/ " + Path("new/out"));
  EXPECT_EQ(down.code, 0) << down.text;
  fs::remove(Path("in/link"));
  EXPECT_TRUE(SameTrees("in", "new/out"));

  // Again: nothing moves. Then only what has changed.
  EXPECT_THAT(Cairn("cp -r " + Path("in") + " cairn:/tree --json").out,
              AllOf(HasSubstr("\"copied_count\":0,\"equal_count\":5,"),
                    HasSubstr("\"moved_bytes\":0,")));
  WriteFile(Path("new/out/sub/small"), "SMALL");
  EXPECT_THAT(Cairn("cp -r " + Path("new/out") + " cairn:/tree --json").out,
              HasSubstr("\"copied_count\":1,\"equal_count\":4,"));
  EXPECT_EQ(Cairn("get tree/sub/small").out, "SMALL");
  EXPECT_THAT(Cairn("cp --always -r cairn:/tree " + Path("in")).out,
              HasSubstr("copied 5 files"));
  EXPECT_TRUE(SameTrees("in", "new/out"));
}

TEST_F(CpTest, OneFileGoesWhereItIsTold) {
  WriteFile(Path("file"), "value");
  EXPECT_EQ(Cairn("cp " + Path("file") + " cairn:/a/b").text, "");
  EXPECT_EQ(Cairn("cp " + Path("file") + " cairn:/dir/").text, "");
  EXPECT_EQ(Cairn("cp " + Path("file") + " cairn:").text, "");
  EXPECT_EQ(Cairn("cp --escaped " + Path("file") + " cairn:/c%20d").text, "");
  EXPECT_EQ(Cairn("ls").out, "a/b\nc%20d\ndir/file\nfile\n");

  fs::create_directory(Path("out"));
  EXPECT_EQ(Cairn("cp cairn:/a/b " + Path("out")).text, "");
  EXPECT_EQ(Cairn("cp cairn:/a/b " + Path("out/name")).text, "");
  EXPECT_EQ(ReadFile(Path("out/b")), "value");
  EXPECT_EQ(ReadFile(Path("out/name")), "value");
}

TEST_F(CpTest, ExitCodesTellANoFromAFailure) {
  WriteFile(Path("file"), "value");
  fs::create_directories(Path("tree"));
  const Outcome missing = Cairn("cp cairn:/none " + Path("out"));
  EXPECT_EQ(missing.code, 1);
  EXPECT_EQ(missing.text, "cairn: none: the key does not exist\n");
  EXPECT_EQ(Cairn("cp -r cairn:/none " + Path("out")).code, 1);
  EXPECT_FALSE(fs::exists(Path("out")));

  EXPECT_EQ(Cairn("cp -r " + Path("tree") + " cairn:/t").code, 0);
  const Outcome directory = Cairn("cp " + Path("tree") + " cairn:/t");
  EXPECT_EQ(directory.code, 2);
  EXPECT_THAT(directory.text, HasSubstr("is a directory: copy it with -r"));
  for (const std::string& words :
       {Path("none") + " cairn:/k", Path("file") + " " + Path("other"),
        std::string("cairn:/a cairn:/b"), "-r " + Path("none") + " cairn:/t",
        "--parallel 0 " + Path("file") + " cairn:/k",
        std::string("cairn:/a ''")}) {
    EXPECT_EQ(Cairn("cp " + words).code, 2) << words;
  }
}

TEST_F(CpTest, KeysThatAreNoPathsAreNamedAndTheRestIsCopied) {
  for (const char* key : {"p/../../escaped", "p/a", "p/a/b", "p//x", "p/ok"}) {
    WriteFile(Path("value"), key);
    ASSERT_EQ(Cairn(absl::StrCat("put ", key, " ", Path("value"))).code, 0);
  }
  const Outcome copy = Cairn("cp -r cairn:/p " + Path("out"));
  EXPECT_EQ(copy.code, 1);
  EXPECT_THAT(copy.text,
              AllOf(HasSubstr("cairn: ../../escaped: no file can have"),
                    HasSubstr("cairn: a/b: it would lie below the file of"),
                    HasSubstr("cairn: /x: no file can have"),
                    HasSubstr("copied 2 files")));
  EXPECT_EQ(Shell("ls " + Path("out")).out, "a\nok\n");
  EXPECT_FALSE(fs::exists(Path("escaped")));
  EXPECT_FALSE(fs::exists(Path("../escaped")));
}

TEST_F(CpTest, ATerminalSeesABarAndAFileSeesNone) {
  MakeTree("in", 4000);
  Terminal terminal(Line("cp -r " + Path("in") + " cairn:/t --parallel 2"),
                    100);
  ASSERT_TRUE(terminal.WaitFor("copying  ")) << terminal.shown();
  ASSERT_TRUE(terminal.WaitFor("/4000 files")) << terminal.shown();
  ASSERT_TRUE(terminal.WaitFor("ETA ")) << terminal.shown();
  terminal.Resize(40);
  EXPECT_EQ(terminal.Wait(), 0);
  // The bar's line was cleared before the summary came.
  EXPECT_THAT(terminal.shown(), HasSubstr("\r\x1b[Kcopied 4000 files"));
  size_t longest = 0;
  for (absl::string_view line : absl::StrSplit(terminal.shown(), "\r\x1b[K")) {
    longest = std::max(longest, line.size());
  }
  EXPECT_LT(longest, 100);

  const Outcome again = Cairn("cp -r " + Path("in") + " cairn:/t");
  EXPECT_THAT(again.text, AllOf(HasSubstr("4000 were there already"),
                                Not(HasSubstr("\x1b")), Not(HasSubstr("ETA"))));
}

TEST_F(CpTest, CtrlCLeavesNoHalfFiles) {
  ASSERT_EQ(Shell("head -c 400000000 /dev/zero >" + Path("large")).code, 0);
  ASSERT_EQ(Cairn("cp " + Path("large") + " cairn:/t/large").text, "");
  fs::create_directory(Path("out"));
  WriteFile(Path("out/large"), "before");
  {
    Terminal terminal(Line("cp -r cairn:/t " + Path("out")), 100);
    ASSERT_TRUE(terminal.WaitFor("of 381.5 MiB")) << terminal.shown();
    terminal.Type("\x03");
    EXPECT_EQ(terminal.Wait(absl::Seconds(10)), 128 + SIGINT);
  }
  EXPECT_EQ(Shell("ls -A " + Path("out")).out, "large\n");
  EXPECT_EQ(ReadFile(Path("out/large")), "before");
  {
    Terminal terminal(Line("cp " + Path("large") + " cairn:/half"), 100);
    ASSERT_TRUE(terminal.WaitFor("of 381.5 MiB")) << terminal.shown();
    terminal.Type("\x03");
    EXPECT_EQ(terminal.Wait(absl::Seconds(10)), 128 + SIGINT);
  }
  EXPECT_EQ(Cairn("stat half").code, 1);
  EXPECT_TRUE(WaitUntil(absl::Seconds(10),
                        [&] { return cluster_.OpenUploads() == 0; }));
  EXPECT_EQ(cluster_.BlobFiles().size(), 2) << "two replicas of one key";
}

TEST_F(CpTest, ACopyThatWasCutShortGoesOn) {
  MakeTree("in", 2000);
  const auto copy =
      Process::Start({"admin/cairn", "--master", cluster_.master_address(),
                      "cp", "-r", Path("in"), "cairn:/t", "--parallel", "1"},
                     Path("log"));
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return cluster_.GetStatus().keys_count() > 200;
  }));
  copy->Signal(SIGKILL);
  copy->Wait(absl::Seconds(5));
  const Outcome rest = Cairn("cp -r " + Path("in") + " cairn:/t --json");
  EXPECT_EQ(rest.code, 0) << rest.text;
  EXPECT_THAT(rest.out, HasSubstr("\"failed_count\":0"));
  EXPECT_THAT(rest.out, Not(HasSubstr("\"equal_count\":0,")));
  EXPECT_EQ(Cairn("cp -r cairn:/t " + Path("out")).code, 0);
  EXPECT_TRUE(SameTrees("in", "out"));
}

TEST_F(CpTest, AVolumeThatDiesMeanwhileCostsNothing) {
  MakeTree("in", 2000);
  const auto copy =
      Process::Start({"admin/cairn", "--master", cluster_.master_address(),
                      "cp", "-r", Path("in"), "cairn:/t"},
                     Path("log"));
  ASSERT_TRUE(WaitUntil(absl::Seconds(20), [&] {
    return cluster_.GetStatus().keys_count() > 100;
  }));
  cluster_.Kill("volume-1");
  EXPECT_EQ(copy->Wait(absl::Seconds(60)), 0) << ReadFile(Path("log"));
  const Outcome back = Cairn("cp -r cairn:/t " + Path("out"));
  EXPECT_EQ(back.code, 0) << back.text;
  EXPECT_TRUE(SameTrees("in", "out"));
}

}  // namespace
}  // namespace cairn::tests
