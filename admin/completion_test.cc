#include "admin/completion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace cairn::admin {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::UnorderedElementsAre;

std::vector<std::string> Complete(const std::vector<std::string>& words) {
  const CommandLine line;
  return Completions(line, words, [] {
    return std::vector<std::string>{"00000001", "0a000002"};
  });
}

TEST(CompletionTest, CommandsComeFirst) {
  EXPECT_THAT(Complete({""}), IsSupersetOf({"put", "get", "cp", "ls", "rm",
                                            "stat", "status", "volume"}));
  EXPECT_THAT(Complete({"st"}), UnorderedElementsAre("stat", "status"));
  EXPECT_THAT(Complete({"volume", ""}), Contains("list"));
  EXPECT_THAT(Complete({"--master", "h:1", "vol"}), ElementsAre("volume"));
  EXPECT_THAT(Complete({"--master", ""}), IsEmpty()) << "nothing is known";
  EXPECT_THAT(Complete({"nonsense", "more", ""}), Not(Contains("list")));
}

TEST(CompletionTest, FlagsAreThoseOfTheCommandAndOfAll) {
  EXPECT_THAT(Complete({"cp", "-"}),
              IsSupersetOf({"-r", "--recursive", "--parallel", "--always",
                            "--master", "--help"}));
  EXPECT_THAT(Complete({"ls", "--l"}), ElementsAre("--long"));
  EXPECT_THAT(Complete({"ls", "--par"}), IsEmpty());
  EXPECT_THAT(Complete({"ls", "--", "--l"}), IsEmpty());
}

TEST(CompletionTest, FilesAreAskedForWhereTheyAreWanted) {
  EXPECT_THAT(Complete({"put", "key", ""}), ElementsAre(kFilesWord));
  EXPECT_THAT(Complete({"put", ""}), IsEmpty()) << "a key";
  EXPECT_THAT(Complete({"get", "key", "-o", "x"}), ElementsAre(kFilesWord));
  EXPECT_THAT(Complete({"cp", "-r", "some"}), ElementsAre(kFilesWord));
  EXPECT_THAT(Complete({"cp", "-r", "x", ""}), ElementsAre(kFilesWord));
  EXPECT_THAT(Complete({"cp", "cairn:"}), IsEmpty());
  EXPECT_THAT(Complete({"cp", "a", "b", ""}), IsEmpty());
}

TEST(CompletionTest, VolumesAreOfferedWhereOneIsWanted) {
  EXPECT_THAT(Complete({"volume", ""}),
              IsSupersetOf({"list", "drain", "undrain", "remove"}));
  EXPECT_THAT(Complete({"volume", "drain", ""}),
              ElementsAre("00000001", "0a000002"));
  EXPECT_THAT(Complete({"volume", "remove", "0a"}), ElementsAre("0a000002"));
  EXPECT_THAT(Complete({"volume", "drain", "--r"}), ElementsAre("--rate"));
  EXPECT_THAT(Complete({"reb"}), Contains("rebalance"));
}

TEST(CompletionTest, ShellsAreTheTwo) {
  EXPECT_THAT(Complete({"completion", ""}), ElementsAre("bash", "zsh"));
  EXPECT_THAT(Complete({"completion", "z"}), ElementsAre("zsh"));
}

}  // namespace
}  // namespace cairn::admin
