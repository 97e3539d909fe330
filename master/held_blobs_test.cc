#include "master/held_blobs.h"

#include <gtest/gtest.h>

namespace cairn::master {
namespace {

index::Removal Blob(uint32_t volume_id, const std::string& key,
                    int64_t time_ms = 1, bool tombstone = false) {
  index::Removal blob;
  blob.volume_id = volume_id;
  blob.blob.set_key(key);
  blob.blob.mutable_version()->set_time_ms(time_ms);
  blob.blob.set_tombstone(tombstone);
  return blob;
}

TEST(HeldBlobsTest, ABlobIsHeldByOne) {
  HeldBlobs held;
  EXPECT_TRUE(held.TryHold(Blob(1, "a")));
  EXPECT_TRUE(held.IsHeld(Blob(1, "a")));
  EXPECT_FALSE(held.TryHold(Blob(1, "a")));
  EXPECT_TRUE(held.TryHold(Blob(2, "a")));
  EXPECT_TRUE(held.TryHold(Blob(1, "a", 2)));
  EXPECT_TRUE(held.TryHold(Blob(1, "a", 1, /*tombstone=*/true)));
  held.Release(Blob(1, "a"));
  EXPECT_FALSE(held.IsHeld(Blob(1, "a")));
  EXPECT_TRUE(held.TryHold(Blob(1, "a")));
}

TEST(HeldBlobsTest, WhatIsHeldIsNotRemoved) {
  HeldBlobs held;
  ASSERT_TRUE(held.TryHold(Blob(1, "a")));
  const auto free = held.BeginRemoval({Blob(1, "a"), Blob(1, "b")});
  ASSERT_EQ(free.size(), 1u);
  EXPECT_EQ(free[0].blob.key(), "b");
}

TEST(HeldBlobsTest, WhatIsBeingRemovedCannotBeHeld) {
  HeldBlobs held;
  const auto going = held.BeginRemoval({Blob(1, "a"), Blob(1, "a")});
  ASSERT_EQ(going.size(), 1u);
  EXPECT_TRUE(held.BeginRemoval({Blob(1, "a")}).empty());
  EXPECT_FALSE(held.TryHold(Blob(1, "a")));
  held.EndRemoval(going);
  EXPECT_TRUE(held.TryHold(Blob(1, "a")));
}

}  // namespace
}  // namespace cairn::master
