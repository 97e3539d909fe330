#include "admin/copier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "admin/blocking_store.h"
#include "admin/copy_plan.h"
#include "admin/fake_store.h"
#include "admin/local_tree.h"
#include "base/limits.h"

namespace cairn::admin {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

namespace fs = std::filesystem;

class CopierTest : public testing::Test {
 protected:
  CopierTest() : dir_(absl::StrCat(testing::TempDir(), "copy-", getpid())) {
    fs::remove_all(dir_);
    fs::create_directories(dir_ + "/in");
  }
  ~CopierTest() override { fs::remove_all(dir_); }

  void Write(const std::string& path, const std::string& bytes) {
    fs::create_directories(fs::path(dir_ + "/" + path).parent_path());
    std::ofstream(dir_ + "/" + path, std::ios::binary) << bytes;
  }
  std::string Read(const std::string& path) {
    std::ifstream in(dir_ + "/" + path, std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  // All below, relative, files only.
  std::vector<std::string> FilesBelow(const std::string& path) {
    std::vector<std::string> files;
    for (const auto& entry :
         fs::recursive_directory_iterator(dir_ + "/" + path)) {
      if (!entry.is_directory()) {
        files.push_back(fs::relative(entry.path(), dir_ + "/" + path));
      }
    }
    return files;
  }
  absl::Status Run(CopyPlan* plan) {
    CopyOptions options;
    options.count = true;
    options.note = [&](absl::string_view sentence) {
      base::MutexLock lock(&mu_);
      notes_.emplace_back(sentence);
    };
    notes_.clear();
    Copier copier(plan, options);
    const absl::Status status = copier.Run();
    counts_ = copier.counts();
    return status;
  }
  absl::Status Upload(const std::string& prefix, bool always = false) {
    const auto tree = LocalTree::Open(dir_ + "/in");
    EXPECT_TRUE(tree.ok());
    return Run(NewUploadPlan(&store_, &*tree, prefix, always).get());
  }
  absl::Status Download(const std::string& prefix, bool always = false) {
    return Run(NewDownloadPlan(&store_, prefix, dir_ + "/out", always).get());
  }

  const std::string dir_;
  FakeStore fake_;
  BlockingStore store_{&fake_};
  base::Mutex mu_;
  std::vector<std::string> notes_;
  CopyCounts counts_;
};

TEST_F(CopierTest, ATreeGoesOutAndComesBack) {
  const std::string large(3 * base::kPieceBytes + 7, 'l');
  const std::vector<std::string> names = {"plain", "sub/deep/er", "empty",
                                          "a b%41\n", "sub/\xff\x01"};
  for (const std::string& name : names) Write("in/" + name, name + "!");
  Write("in/empty", "");
  Write("in/sub/large", large);
  ASSERT_TRUE(Upload("p/").ok());
  EXPECT_EQ(fake_.values.size(), 6u);
  EXPECT_EQ(fake_.values["p/sub/\xff\x01"].bytes, "sub/\xff\x01!");
  EXPECT_EQ(fake_.values["p/sub/large"].bytes, large);
  EXPECT_EQ(counts_.copied_count, 6);
  EXPECT_EQ(counts_.done_bytes, counts_.total_bytes);
  EXPECT_EQ(counts_.moved_bytes, counts_.total_bytes);
  EXPECT_TRUE(counts_.totals_known);
  EXPECT_EQ(counts_.total_count, 6);

  fake_.values["other"] = fake_.values["p/plain"];
  fake_.page_keys_max = 2;
  ASSERT_TRUE(Download("p/").ok());
  EXPECT_THAT(notes_, IsEmpty());
  EXPECT_EQ(FilesBelow("out").size(), 6u);
  for (const std::string& name : FilesBelow("in")) {
    EXPECT_EQ(Read("out/" + name), Read("in/" + name)) << name;
  }
}

TEST_F(CopierTest, WhatIsEqualIsNotCopiedAgain) {
  Write("in/a", "same");
  Write("in/b", "before");
  ASSERT_TRUE(Upload("").ok());
  Write("in/b", "after!");  // As long as before.
  Write("in/c", "new");
  const int64_t puts = fake_.puts_count;
  ASSERT_TRUE(Upload("").ok());
  EXPECT_EQ(fake_.puts_count, puts + 2);
  EXPECT_EQ(counts_.equal_count, 1);
  EXPECT_EQ(counts_.copied_count, 2);
  EXPECT_EQ(fake_.values["b"].bytes, "after!");
  ASSERT_TRUE(Upload("", /*always=*/true).ok());
  EXPECT_EQ(counts_.copied_count, 3);

  ASSERT_TRUE(Download("").ok());
  EXPECT_EQ(counts_.copied_count, 3);
  fake_.Store("b", "third!");
  ASSERT_TRUE(Download("").ok());
  EXPECT_EQ(counts_.equal_count, 2);
  EXPECT_EQ(counts_.copied_count, 1);
  EXPECT_EQ(Read("out/b"), "third!");
}

TEST_F(CopierTest, LinksAndPipesAreSkippedWithAWord) {
  Write("in/file", "x");
  Write("secret", "secret");
  fs::create_symlink("../secret", dir_ + "/in/link");
  ASSERT_EQ(mkfifo((dir_ + "/in/pipe").c_str(), 0600), 0);
  ASSERT_TRUE(Upload("").ok());
  EXPECT_EQ(counts_.skipped_count, 2);
  EXPECT_EQ(fake_.values.size(), 1u);
  EXPECT_THAT(notes_, UnorderedElementsAre(
                          "link: a symbolic link: not copied",
                          "pipe: a pipe, device or socket: not copied"));
}

TEST_F(CopierTest, APathThatIsTooLongForAKeyIsRefused) {
  Write("in/" + std::string(200, 'd') + "/file", "x");
  Write("in/short", "x");
  ASSERT_TRUE(Upload(std::string(900, 'p') + "/").ok());
  EXPECT_EQ(counts_.refused_count, 1);
  EXPECT_EQ(counts_.copied_count, 1);
  EXPECT_THAT(notes_, ElementsAre(HasSubstr("at most 1024")));
}

TEST_F(CopierTest, KeysWithoutAPlaceInADirectoryAreRefused) {
  for (const char* key :
       {"p/../../out-of-it", "p//slash", "p/", "p/..", "p/ok", "p/dir/"}) {
    fake_.Store(key, key);
  }
  fake_.Store(std::string("p/nul\0", 6), "x");
  ASSERT_TRUE(Download("p/").ok());
  EXPECT_THAT(FilesBelow("out"), ElementsAre("ok"));
  EXPECT_EQ(counts_.refused_count, 6);
  EXPECT_EQ(notes_.size(), 6u);
  EXPECT_FALSE(fs::exists(dir_ + "/out-of-it"));
}

TEST_F(CopierTest, AKeyThatIsADirectoryOfOthersWins) {
  for (const char* key : {"a", "a!", "a-b/c", "a/b", "a/b/c", "b/c/d", "b/c",
                          "b/ca", "b/c/e/f", "c/d"}) {
    fake_.Store(key, key);
  }
  ASSERT_TRUE(Download("").ok());
  EXPECT_THAT(FilesBelow("out"),
              UnorderedElementsAre("a", "a!", "a-b/c", "b/c", "b/ca", "c/d"));
  EXPECT_EQ(counts_.refused_count, 4);
  EXPECT_THAT(notes_, testing::Contains(
                          "b/c/e/f: it would lie below the file of another "
                          "key, b/c"));
}

TEST_F(CopierTest, WhatIsInTheWayHereStays) {
  Write("out/a", "a file");
  Write("out/dir/file", "a directory");
  fs::create_directory(dir_ + "/outside");
  fs::create_symlink("../outside", dir_ + "/out/link");
  for (const char* key : {"a/b", "dir", "link/x", "link", "fine"}) {
    fake_.Store(key, key);
  }
  ASSERT_TRUE(Download("").ok());
  EXPECT_EQ(counts_.copied_count, 1);
  EXPECT_EQ(counts_.refused_count, 4);
  EXPECT_EQ(Read("out/a"), "a file");
  EXPECT_TRUE(fs::is_empty(dir_ + "/outside"));
  EXPECT_TRUE(fs::is_symlink(dir_ + "/out/link"));
}

TEST_F(CopierTest, NothingToCopyIsADefiniteNo) {
  fake_.Store("q", "x");
  const absl::Status status = Download("p/");
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(status.message(), "no key begins with p/");
  EXPECT_FALSE(fs::exists(dir_ + "/out"));
  EXPECT_TRUE(Upload("").ok()) << "an empty directory is copied at once";
}

TEST_F(CopierTest, AStoreThatStumblesIsAskedAgain) {
  Write("in/a", "1");
  fake_.fails = absl::UnavailableError("restarting");
  fake_.fails_to = 2;
  ASSERT_TRUE(Upload("").ok());
  EXPECT_EQ(counts_.copied_count, 1);
  EXPECT_EQ(counts_.failed_count, 0);
  EXPECT_EQ(counts_.done_bytes, 1);
}

TEST_F(CopierTest, AStoreThatIsGoneEndsTheCopy) {
  for (int i = 0; i < 100; ++i) Write(absl::StrCat("in/", i), "x");
  fake_.fails = absl::UnavailableError("gone");
  const absl::Status status = Upload("");
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr("run it again"));
  EXPECT_LT(counts_.failed_count, 30) << "not all hundred";
  EXPECT_THAT(notes_, testing::Contains(HasSubstr(": gone")));
}

TEST_F(CopierTest, BytesThatDoNotMatchLeaveNoFile) {
  fake_.Store("a", std::string(5000, 'a'));
  fake_.Store("b", "b");
  fake_.values["a"].bytes[4000] ^= 1;
  ASSERT_TRUE(Download("").ok());
  EXPECT_EQ(counts_.failed_count, 1);
  EXPECT_THAT(FilesBelow("out"), ElementsAre("b"));
}

TEST_F(CopierTest, OneFileAndOneKey) {
  Write("in/a", "value");
  ASSERT_TRUE(
      Run(NewUploadOnePlan(&store_, dir_ + "/in/a", "k", false).get()).ok());
  EXPECT_EQ(fake_.values["k"].bytes, "value");
  ASSERT_TRUE(
      Run(NewDownloadOnePlan(&store_, "k", dir_ + "/file", false).get()).ok());
  EXPECT_EQ(Read("file"), "value");
  ASSERT_TRUE(
      Run(NewDownloadOnePlan(&store_, "k", dir_ + "/file", false).get()).ok());
  EXPECT_EQ(counts_.equal_count, 1);
  EXPECT_EQ(
      Run(NewDownloadOnePlan(&store_, "no", dir_ + "/f", false).get()).code(),
      absl::StatusCode::kNotFound);
  // Of this machine: not a missing key.
  EXPECT_EQ(
      Run(NewUploadOnePlan(&store_, dir_ + "/none", "k", false).get()).code(),
      absl::StatusCode::kInternal);
  ASSERT_TRUE(
      Run(NewDownloadOnePlan(&store_, "k", dir_ + "/no/f", false).get()).ok());
  EXPECT_EQ(counts_.failed_count, 1);
}

// Gives files until it is told to end; each waits until the copy is stopped.
class EndlessPlan final : public CopyPlan {
 public:
  absl::Status List(const Visit& visit) override {
    CopyItem item;
    item.path = "x";
    while (visit(item)) {
    }
    return absl::OkStatus();
  }
  absl::StatusOr<bool> Copy(const CopyItem&, const Moved& moved) override {
    for (;;) {
      const absl::Status status = moved(1);
      if (!status.ok()) return status;
      absl::SleepFor(absl::Milliseconds(1));
    }
  }
};

TEST_F(CopierTest, StopEndsWhatIsUnderWay) {
  EndlessPlan plan;
  CopyOptions options;
  options.note = [](absl::string_view sentence) { ADD_FAILURE() << sentence; };
  Copier copier(&plan, options);
  absl::Status status;
  std::thread runner([&] { status = copier.Run(); });
  while (copier.counts().moved_bytes < 10)
    absl::SleepFor(absl::Milliseconds(1));
  copier.Stop();
  runner.join();
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(copier.counts().failed_count, 0);
  EXPECT_EQ(copier.counts().done_bytes, 0);
}

}  // namespace
}  // namespace cairn::admin
