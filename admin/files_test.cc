#include "admin/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace cairn::admin {
namespace {

namespace fs = std::filesystem;

class FilesTest : public testing::Test {
 protected:
  FilesTest() : dir_(absl::StrCat(testing::TempDir(), "files-", getpid())) {
    fs::remove_all(dir_);
    fs::create_directory(dir_);
  }
  ~FilesTest() override { fs::remove_all(dir_); }

  std::string Contents(const std::string& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  int FilesCount() {
    return static_cast<int>(
        std::distance(fs::directory_iterator(dir_), fs::directory_iterator()));
  }

  const std::string dir_;
};

TEST_F(FilesTest, AnOutputGetsItsNameOnlyWhenItIsWhole) {
  const std::string path = dir_ + "/out";
  std::ofstream(path) << "before";
  {
    auto file = OutputFile::Open(path);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE(file->Write("half").ok());
    EXPECT_EQ(Contents(path), "before");
  }
  EXPECT_EQ(Contents(path), "before");
  EXPECT_EQ(FilesCount(), 1) << "the half file is gone";
  auto file = OutputFile::Open(path);
  ASSERT_TRUE(file->Write("the ").ok());
  ASSERT_TRUE(file->Write("whole").ok());
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(Contents(path), "the whole");
  EXPECT_EQ(FilesCount(), 1);
}

TEST_F(FilesTest, APipeAndALinkStayWhatTheyAre) {
  const std::string pipe = dir_ + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  // Open for reading too: neither open() nor write() waits for a reader.
  const int reader = open(pipe.c_str(), O_RDWR | O_NONBLOCK);
  auto file = OutputFile::Open(pipe);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Write("bytes").ok());
  char bytes[8];
  EXPECT_EQ(read(reader, bytes, sizeof(bytes)), 5) << "at once";
  close(reader);
  EXPECT_TRUE(file->Commit().ok());
  EXPECT_TRUE(fs::is_fifo(pipe));

  std::ofstream(dir_ + "/target") << "before";
  fs::create_symlink("target", dir_ + "/link");
  auto link = OutputFile::Open(dir_ + "/link");
  ASSERT_TRUE(link.ok()) << link.status();
  ASSERT_TRUE(link->Write("after").ok());
  ASSERT_TRUE(link->Commit().ok());
  EXPECT_TRUE(fs::is_symlink(dir_ + "/link"));
  EXPECT_EQ(Contents(dir_ + "/target"), "after");
}

TEST_F(FilesTest, AnInputTellsItsSizeAndEnds) {
  const std::string path = dir_ + "/in";
  std::ofstream(path) << "0123456789";
  auto file = InputFile::Open(path);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ(file->size_bytes(), 10);
  char buffer[8];
  EXPECT_EQ(*file->Read(buffer, 8), 8u);
  EXPECT_EQ(*file->Read(buffer, 8), 2u);
  EXPECT_EQ(*file->Read(buffer, 8), 0u);
}

TEST_F(FilesTest, WhatCannotBeOpenedIsNamed) {
  const auto missing = InputFile::Open(dir_ + "/none");
  EXPECT_NE(missing.status().message().find(dir_ + "/none"),
            absl::string_view::npos);
  EXPECT_EQ(InputFile::Open(dir_).status().message(), dir_ + " is a directory");
  EXPECT_FALSE(OutputFile::Open(dir_ + "/none/out").ok());
  EXPECT_EQ(OutputFile::Open(dir_).status().message(),
            dir_ + " is a directory");
}

}  // namespace
}  // namespace cairn::admin
