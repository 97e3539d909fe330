#include "admin/files.h"

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
}

}  // namespace
}  // namespace cairn::admin
