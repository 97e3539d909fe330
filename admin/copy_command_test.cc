#include "admin/copy_command.h"

#include <gtest/gtest.h>

namespace cairn::admin {
namespace {

TEST(CopyCommandTest, TheSideInTheClusterIsMarked) {
  for (const char* argument : {"cairn:a/b", "cairn:/a/b"}) {
    const auto side = ParseCopySide(argument, false);
    EXPECT_TRUE(side->in_cluster);
    EXPECT_EQ(side->path, "a/b") << argument;
  }
  EXPECT_EQ(ParseCopySide("cairn://a", false)->path, "/a");
  EXPECT_EQ(ParseCopySide("cairn:", false)->path, "");
  EXPECT_EQ(ParseCopySide("cairn:/", false)->path, "");
  for (const char* argument : {"./cairn:a", "/cairn:", "cairn", "a/b", "-"}) {
    EXPECT_FALSE(ParseCopySide(argument, false)->in_cluster) << argument;
    EXPECT_EQ(ParseCopySide(argument, false)->path, argument);
  }
}

TEST(CopyCommandTest, OnlyKeysAreEscaped) {
  EXPECT_EQ(ParseCopySide("cairn:/a%20b%2f", true)->path, "a b/");
  EXPECT_EQ(ParseCopySide("cairn:/%2fa", true)->path, "/a");
  EXPECT_EQ(ParseCopySide("a%20b", true)->path, "a%20b");
  EXPECT_EQ(ParseCopySide("cairn:/a%20b", false)->path, "a%20b");
  EXPECT_FALSE(ParseCopySide("cairn:/a%2", true).ok());
}

}  // namespace
}  // namespace cairn::admin
