#include "master/jobs/restore_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "index/memory_index_store.h"
#include "master/test_cluster.h"

namespace cairn::master {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr int64_t kTime = 1'700'000'000'000;

class RestoreWriterTest : public testing::Test {
 protected:
  RestoreWriter::Options Options() {
    RestoreWriter::Options options;
    options.index = index_.get();
    options.save = [this](const v1::RebuildCursor& cursor) {
      if (!save_status_.ok()) return save_status_;
      // What a restart would go on with.
      saved_.push_back(absl::StrCat(cursor.next_directory(), ": ",
                                    index_->Stats().keys_count, " keys"));
      return absl::OkStatus();
    };
    return options;
  }

  // One key, and one blob of another that nobody wants.
  static MergeResult Merged(const std::string& key, int64_t time_ms = kTime) {
    MergeResult merged;
    merged.restores.push_back(TestPut(key, "value", time_ms, {1, 2}));
    merged.restores[0].kind = index::Mutation::Kind::kRestore;
    index::Removal removal;
    removal.volume_id = 1;
    removal.blob.set_key("old-" + key);
    removal.blob.mutable_version()->set_time_ms(time_ms);
    merged.removals.push_back(removal);
    merged.keys = 1;
    merged.removals_count = 1;
    merged.version_time_ms_max = time_ms;
    merged.writer_id_max = 9;
    return merged;
  }

  const std::unique_ptr<index::IndexStore> index_ =
      index::NewMemoryIndexStore({});
  absl::Status save_status_;
  std::vector<std::string> saved_;
  absl::Time now_ = absl::FromUnixMillis(kTime);
};

TEST_F(RestoreWriterTest, TheNoteComesOnceAnIntervalAndBehindWhatItNames) {
  RestoreWriter writer(Options(), {});
  ASSERT_TRUE(writer.Add(Merged("a"), 1, 3, now_).ok());
  now_ += base::kRebuildNoteInterval / 2;
  ASSERT_TRUE(writer.Add(Merged("b"), 2, 3, now_).ok());
  EXPECT_THAT(saved_, ElementsAre("1: 1 keys"));
  now_ += base::kRebuildNoteInterval / 2;
  ASSERT_TRUE(writer.Add(Merged("c"), 1, 3, now_).ok());
  EXPECT_THAT(saved_, ElementsAre("1: 1 keys", "4: 3 keys"));
  ASSERT_TRUE(writer.Add(Merged("d"), 1, 3, now_).ok());
  ASSERT_TRUE(writer.Save(now_).ok());
  EXPECT_THAT(saved_, ElementsAre("1: 1 keys", "4: 3 keys", "5: 4 keys"));
  EXPECT_EQ(index_->Stats().removals_count, 4);
}

TEST_F(RestoreWriterTest, ItCountsOnFromWhereAnEarlierRunWas) {
  v1::RebuildCursor before;
  before.set_next_directory(7);
  before.set_keys(5);
  before.set_blobs(10);
  before.set_version_time_ms_max(kTime + 1);
  RestoreWriter writer(Options(), before);
  ASSERT_TRUE(writer.Add(Merged("a"), 2, 3, now_).ok());
  EXPECT_EQ(writer.cursor().next_directory(), 9);
  EXPECT_EQ(writer.cursor().keys(), 6);
  EXPECT_EQ(writer.cursor().blobs(), 13);
  EXPECT_EQ(writer.cursor().removals(), 1);
  EXPECT_EQ(writer.cursor().version_time_ms_max(), kTime + 1);
  EXPECT_EQ(writer.cursor().writer_id_max(), 9u);
}

TEST_F(RestoreWriterTest, WhatTheIndexRefusesIsNeitherCountedNorNoted) {
  RestoreWriter writer(Options(), {});
  ASSERT_TRUE(writer.Add(Merged("a", kTime), 1, 3, now_).ok());
  now_ += base::kRebuildNoteInterval;
  EXPECT_FALSE(writer.Add(Merged("a", kTime - 1), 1, 3, now_).ok());
  EXPECT_EQ(writer.cursor().next_directory(), 1);
  EXPECT_THAT(saved_, ElementsAre("1: 1 keys"));
  // The same once more, as after a call whose outcome is unknown.
  EXPECT_TRUE(writer.Add(Merged("a", kTime), 1, 3, now_).ok());
  EXPECT_EQ(index_->Stats().keys_count, 1);
}

TEST_F(RestoreWriterTest, ANoteThatFailsIsToldAndTriedAgain) {
  RestoreWriter writer(Options(), {});
  save_status_ = absl::UnavailableError("away");
  EXPECT_TRUE(absl::IsUnavailable(writer.Add(Merged("a"), 1, 3, now_)));
  save_status_ = absl::OkStatus();
  ASSERT_TRUE(writer.Add(Merged("b"), 1, 3, now_).ok());
  EXPECT_THAT(saved_, ElementsAre("2: 2 keys"));
}

TEST_F(RestoreWriterTest, ADryRunOnlyCounts) {
  RestoreWriter::Options options = Options();
  options.index = nullptr;
  RestoreWriter writer(std::move(options), {});
  ASSERT_TRUE(writer.Add(Merged("a"), 256, 3, now_).ok());
  ASSERT_TRUE(writer.Save(now_).ok());
  EXPECT_EQ(writer.cursor().keys(), 1);
  EXPECT_THAT(saved_, IsEmpty());
  EXPECT_EQ(index_->Stats().keys_count, 0);
}

}  // namespace
}  // namespace cairn::master
