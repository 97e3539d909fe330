#include "admin/local_tree.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "absl/strings/str_cat.h"

namespace cairn::admin {
namespace {

namespace fs = std::filesystem;

class LocalTreeTest : public testing::Test {
 protected:
  LocalTreeTest() : dir_(absl::StrCat(testing::TempDir(), "tree-", getpid())) {
    fs::remove_all(dir_);
    fs::create_directories(dir_ + "/in/sub/deep");
  }
  ~LocalTreeTest() override { fs::remove_all(dir_); }

  void Write(const std::string& path, const std::string& bytes) {
    std::ofstream(dir_ + "/" + path) << bytes;
  }
  std::string Read(const std::string& path) {
    std::ifstream in(dir_ + "/" + path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  LocalTree Tree() {
    auto tree = LocalTree::Open(dir_ + "/in");
    EXPECT_TRUE(tree.ok()) << tree.status();
    return *std::move(tree);
  }
  absl::Status Create(const std::string& path, const std::string& bytes) {
    auto file = Tree().CreateFile(path);
    if (!file.ok()) return file.status();
    EXPECT_TRUE(file->Write(bytes).ok());
    return file->Commit();
  }

  const std::string dir_;
};

TEST_F(LocalTreeTest, AWalkVisitsFilesInOrderAndTellsWhatIsNone) {
  Write("in/sub/b", "12");
  Write("in/sub/a\xff", "1");
  Write("in/sub/deep/x", "");
  Write("in/z", "123");
  fs::create_symlink("z", dir_ + "/in/link");
  fs::create_symlink("sub", dir_ + "/in/sublink");
  ASSERT_EQ(mkfifo((dir_ + "/in/pipe").c_str(), 0600), 0);
  std::vector<std::string> seen;
  Tree().Walk([&](LocalTree::Entry entry) {
    seen.push_back(absl::StrCat(entry.path, " ", entry.size_bytes, " ",
                                entry.status.message()));
    return true;
  });
  EXPECT_EQ(seen, std::vector<std::string>(
                      {"link 0 a symbolic link: not copied",
                       "pipe 0 a pipe, device or socket: not copied",
                       "sublink 0 a symbolic link: not copied", "z 3 ",
                       "sub/a\xff 1 ", "sub/b 2 ", "sub/deep/x 0 "}));
}

TEST_F(LocalTreeTest, AWalkEndsWhenTold) {
  Write("in/a", "");
  Write("in/b", "");
  int visits = 0;
  Tree().Walk([&](LocalTree::Entry) { return ++visits < 1; });
  EXPECT_EQ(visits, 1);
}

TEST_F(LocalTreeTest, FilesAppearWholeAndWithTheirDirectories) {
  ASSERT_TRUE(Create("new/er/file", "bytes").ok());
  EXPECT_EQ(Read("in/new/er/file"), "bytes");
  {
    auto half = Tree().CreateFile("new/er/file");
    ASSERT_TRUE(half.ok());
    ASSERT_TRUE(half->Write("ha").ok());
  }
  EXPECT_EQ(Read("in/new/er/file"), "bytes");
  ASSERT_TRUE(Create("new/er/file", "other").ok());
  EXPECT_EQ(Read("in/new/er/file"), "other");
  const std::string longest(255, 'n');
  EXPECT_TRUE(Create(longest, "x").ok());
}

TEST_F(LocalTreeTest, NoPathLeadsOut) {
  for (const std::string& path :
       {std::string("../out"), std::string("sub/../../out"), std::string(".."),
        std::string("/out"), std::string("a//b"), std::string("a/"),
        std::string(), std::string("."), std::string("a/./b"),
        std::string("a\0b", 3), std::string(256, 'n')}) {
    EXPECT_EQ(Create(path, "x").code(), absl::StatusCode::kFailedPrecondition)
        << path;
    EXPECT_EQ(Tree().OpenFile(path).status().code(),
              absl::StatusCode::kFailedPrecondition)
        << path;
  }
  EXPECT_FALSE(fs::exists(dir_ + "/out"));
  EXPECT_FALSE(fs::exists(dir_ + "/in/a"));
}

TEST_F(LocalTreeTest, NoLinkIsFollowed) {
  fs::create_directory(dir_ + "/outside");
  Write("outside/file", "before");
  fs::create_symlink("../outside", dir_ + "/in/link");
  fs::create_symlink("../outside/file", dir_ + "/in/file");
  for (const char* path : {"link/file", "link/new", "file", "link"}) {
    EXPECT_EQ(Create(path, "x").code(), absl::StatusCode::kFailedPrecondition)
        << path;
    EXPECT_EQ(Tree().OpenFile(path).status().code(),
              absl::StatusCode::kFailedPrecondition)
        << path;
  }
  EXPECT_EQ(Read("outside/file"), "before");
  EXPECT_FALSE(fs::exists(dir_ + "/outside/new"));
  // The directory itself may be a link.
  fs::create_symlink("outside", dir_ + "/root");
  EXPECT_TRUE(LocalTree::Open(dir_ + "/root").ok());
}

TEST_F(LocalTreeTest, WhatIsInTheWayStays) {
  Write("in/file", "before");
  ASSERT_EQ(mkfifo((dir_ + "/in/pipe").c_str(), 0600), 0);
  for (const char* path : {"file/below", "sub", "pipe"}) {
    const absl::Status status = Create(path, "x");
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << path;
    EXPECT_NE(status.message().find("it stays as it is"), std::string::npos);
  }
  EXPECT_EQ(Read("in/file"), "before");
  EXPECT_EQ(Tree().OpenFile("pipe").status().code(),
            absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Tree().OpenFile("none").status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(LocalTreeTest, AFileThatIsWrittenToWhileItIsReadIsNoticed) {
  Write("in/z", "123");
  auto file = Tree().OpenFile("z");
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE(file->CheckUnchanged().ok());
  std::ofstream(dir_ + "/in/z", std::ios::app) << "4";
  EXPECT_EQ(file->CheckUnchanged().code(), absl::StatusCode::kAborted);
}

TEST_F(LocalTreeTest, CreateMakesTheDirectoriesAbove) {
  ASSERT_TRUE(LocalTree::Create(dir_ + "/x/y/z").ok());
  EXPECT_TRUE(fs::is_directory(dir_ + "/x/y/z"));
  Write("plain", "");
  EXPECT_FALSE(LocalTree::Create(dir_ + "/plain").ok());
  EXPECT_FALSE(LocalTree::Create(dir_ + "/plain/below").ok());
}

}  // namespace
}  // namespace cairn::admin
