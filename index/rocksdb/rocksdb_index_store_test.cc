#include "index/rocksdb/rocksdb_index_store.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "index/index_store_contract.h"

namespace cairn::index {
namespace {

namespace fs = std::filesystem;
using Code = absl::StatusCode;

// A directory of its own for each test, removed with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory()
      : path_(absl::StrCat(testing::TempDir(), "index-", getpid(), "-",
                           ++last_)) {
    fs::remove_all(path_);
  }
  ~TemporaryDirectory() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  static std::atomic<int> last_;
  const std::string path_;
};
std::atomic<int> TemporaryDirectory::last_{0};

class RocksDbUnderTest final : public BackendUnderTest {
 public:
  absl::StatusOr<std::unique_ptr<IndexStore>> Open(
      const OpenOptions& options) override {
    return OpenRocksDbIndexStore(directory_.path(), options);
  }

 private:
  TemporaryDirectory directory_;
};

std::unique_ptr<BackendUnderTest> NewRocksDbUnderTest() {
  return std::make_unique<RocksDbUnderTest>();
}

INSTANTIATE_TEST_SUITE_P(RocksDb, IndexStoreContractTest,
                         testing::Values(&NewRocksDbUnderTest));
INSTANTIATE_TEST_SUITE_P(RocksDb, IndexStoreSnapshotContractTest,
                         testing::Values(&NewRocksDbUnderTest));
INSTANTIATE_TEST_SUITE_P(RocksDb, IndexStoreReopenContractTest,
                         testing::Values(&NewRocksDbUnderTest));

constexpr int64_t kNow = 1'700'000'000'000;

Mutation PutAt(const std::string& key, int64_t time_ms) {
  Mutation mutation;
  mutation.key = key;
  mutation.record.mutable_version()->set_time_ms(kNow + time_ms);
  mutation.record.set_size_bytes(1 << 20);
  mutation.record.add_replicas()->set_volume_id(1);
  return mutation;
}

TEST(RocksDbIndexStoreTest, ASecondOpenerIsToldThatTheIndexIsInUse) {
  const TemporaryDirectory directory;
  const auto first = OpenRocksDbIndexStore(directory.path(), {});
  ASSERT_TRUE(first.ok()) << first.status();
  const auto second = OpenRocksDbIndexStore(directory.path(), {});
  EXPECT_EQ(second.status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(second.status().message(), directory.path()));
  EXPECT_TRUE(absl::StrContains(second.status().message(), "in use"));
}

// Runs this program again as `role` on `directory`. Its own process image: a
// fork alone would lack RocksDB's threads.
pid_t StartChild(const char* role, const std::string& directory) {
  const pid_t child = fork();
  if (child == 0) {
    execl("/proc/self/exe", "child", role, directory.c_str(), nullptr);
    _exit(127);
  }
  return child;
}

// Commits 100 keys and one replacement, says so with a file, and is killed.
int RunChild(absl::string_view role, const std::string& directory) {
  const auto store = OpenRocksDbIndexStore(directory, {});
  if (!store.ok()) return 1;
  for (int i = 0; i < 100; ++i) {
    if (!(*store)->Commit({PutAt(absl::StrCat("k", i), 1)}, kNow).ok()) {
      return 1;
    }
  }
  if (!(*store)->Commit({PutAt("k0", 2)}, kNow).ok()) return 1;
  if (role == "dies") kill(getpid(), SIGKILL);
  std::ofstream(directory + ".held") << "held";
  for (;;) pause();
}

TEST(RocksDbIndexStoreTest, AnotherProcessIsToldThatTheIndexIsInUse) {
  const TemporaryDirectory directory;
  const pid_t holder = StartChild("holds", directory.path());
  const std::string held = directory.path() + ".held";
  while (!fs::exists(held) && waitpid(holder, nullptr, WNOHANG) == 0) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  const auto store = OpenRocksDbIndexStore(directory.path(), {});
  EXPECT_EQ(store.status().code(), Code::kFailedPrecondition) << store.status();
  kill(holder, SIGKILL);
  waitpid(holder, nullptr, 0);
  fs::remove(held);
  EXPECT_TRUE(OpenRocksDbIndexStore(directory.path(), {}).ok());
}

TEST(RocksDbIndexStoreTest, WhatWasCommittedSurvivesAKilledProcess) {
  const TemporaryDirectory directory;
  const pid_t writer = StartChild("dies", directory.path());
  int status = 0;
  waitpid(writer, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  const auto store = OpenRocksDbIndexStore(directory.path(), {});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->Stats().keys_count, 100);
  EXPECT_EQ((*store)->Stats().removals_count, 1);
  std::string cursor;
  EXPECT_EQ((*store)->Removals(1, 10, &cursor)->size(), 1u);
}

TEST(RocksDbIndexStoreTest, ADirectoryWithOtherFilesIsLeftAlone) {
  const TemporaryDirectory directory;
  fs::create_directories(directory.path());
  std::ofstream(directory.path() + "/letter.txt") << "dear reader";
  const auto store = OpenRocksDbIndexStore(directory.path(), {});
  EXPECT_EQ(store.status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(store.status().message(), "letter.txt"));
  EXPECT_EQ(std::distance(fs::directory_iterator(directory.path()),
                          fs::directory_iterator()),
            1);
}

TEST(RocksDbIndexStoreTest, AFileInPlaceOfTheDirectoryIsNamed) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path()) << "x";
  const auto store = OpenRocksDbIndexStore(directory.path(), {});
  EXPECT_EQ(store.status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(store.status().message(), "is a file"));
}

TEST(RocksDbIndexStoreTest, AnIndexThatLostItsCurrentFileIsNotBegunAnew) {
  const TemporaryDirectory directory;
  {
    const auto store = OpenRocksDbIndexStore(directory.path(), {});
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE((*store)->Commit({PutAt("foo", 1)}, kNow).ok());
  }
  fs::remove(directory.path() + "/CURRENT");
  EXPECT_FALSE(OpenRocksDbIndexStore(directory.path(), {}).ok());
}

TEST(RocksDbIndexStoreTest, ADamagedIndexIsToldAsSuch) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(OpenRocksDbIndexStore(directory.path(), {}).ok());
  for (const auto& entry : fs::directory_iterator(directory.path())) {
    if (absl::StartsWith(entry.path().filename().string(), "MANIFEST")) {
      fs::resize_file(entry.path(), 40);
    }
  }
  const auto store = OpenRocksDbIndexStore(directory.path(), {});
  ASSERT_FALSE(store.ok());
  EXPECT_TRUE(absl::StrContains(store.status().message(), directory.path()));
}

TEST(RocksDbIndexStoreTest, AnIndexOfAnotherFormatIsRefused) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(OpenRocksDbIndexStore(directory.path(), {}).ok());
  {
    std::vector<std::string> names;
    ASSERT_TRUE(rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(),
                                                directory.path(), &names)
                    .ok());
    std::vector<rocksdb::ColumnFamilyDescriptor> families;
    for (const auto& name : names) {
      families.emplace_back(name, rocksdb::ColumnFamilyOptions());
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* db = nullptr;
    ASSERT_TRUE(rocksdb::DB::Open(rocksdb::DBOptions(), directory.path(),
                                  families, &handles, &db)
                    .ok());
    for (auto* handle : handles) {
      if (handle->GetName() == "meta") {
        ASSERT_TRUE(
            db->Put(rocksdb::WriteOptions(), handle, "format", "2").ok());
      }
      db->DestroyColumnFamilyHandle(handle);
    }
    delete db;
  }
  const auto store = OpenRocksDbIndexStore(directory.path(), {});
  EXPECT_EQ(store.status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(absl::StrContains(store.status().message(), "format 2"));
}

TEST(RocksDbIndexStoreTest, CommitsListsAndLooksUpAtSpeed) {
  const TemporaryDirectory directory;
  OpenOptions options;
  options.durability = v1::DURABILITY_OS;
  const auto store = OpenRocksDbIndexStore(directory.path(), options);
  ASSERT_TRUE(store.ok());
  constexpr int kGroups = 200;
  constexpr int kGroup = 64;
  const auto rate = [](const char* what, int count, absl::Time start) {
    std::printf("%s: %.0f a second\n", what,
                count / absl::ToDoubleSeconds(absl::Now() - start));
  };
  absl::Time start = absl::Now();
  for (int g = 0; g < kGroups; ++g) {
    std::vector<Mutation> group;
    for (int i = 0; i < kGroup; ++i) {
      group.push_back(PutAt(absl::StrCat("key-", (g * kGroup + i) * 7919), 1));
      group.back().inline_value = std::string(1024, 'x');
    }
    ASSERT_TRUE((*store)->Commit(group, kNow).ok());
  }
  rate("commits with 1 KiB", kGroups * kGroup, start);
  start = absl::Now();
  for (int g = 0; g < kGroups; ++g) {
    std::vector<std::string> keys;
    for (int i = 0; i < kGroup; ++i) {
      keys.push_back(absl::StrCat("key-", (g * kGroup + i) * 7919));
    }
    ASSERT_TRUE((*store)->Lookup(keys, true).ok());
  }
  rate("lookups with 1 KiB", kGroups * kGroup, start);
  start = absl::Now();
  IndexStore::ScanOptions scan;
  int listed = 0;
  do {
    const auto page = (*store)->Scan(scan);
    ASSERT_TRUE(page.ok());
    listed += static_cast<int>(page->keys.size());
    scan.start = page->next;
  } while (!scan.start.empty());
  EXPECT_EQ(listed, kGroups * kGroup);
  rate("listed keys", listed, start);
}

}  // namespace
}  // namespace cairn::index

int main(int argc, char** argv) {
  if (argc == 3 && absl::string_view(argv[0]) == "child") {
    return cairn::index::RunChild(argv[1], argv[2]);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
