#include "base/key_block.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace cairn::base {
namespace {

using ::testing::ElementsAreArray;
using ::testing::IsEmpty;

std::vector<std::string> KeysOf(absl::string_view block, bool* damaged) {
  KeyBlockReader reader(block);
  std::vector<std::string> keys;
  absl::string_view key;
  while (reader.Next(&key)) keys.emplace_back(key);
  *damaged = reader.damaged();
  return keys;
}

TEST(KeyBlockTest, KeysComeBackAsTheyWentIn) {
  const std::vector<std::string> keys = {"a",
                                         "",
                                         std::string("\0\xff/", 3),
                                         std::string(127, 'x'),
                                         std::string(128, 'y'),
                                         std::string(1024, 'z'),
                                         std::string(16383, 'w')};
  std::string block;
  for (const std::string& key : keys) AppendToKeyBlock(key, &block);
  bool damaged = true;
  EXPECT_THAT(KeysOf(block, &damaged), ElementsAreArray(keys));
  EXPECT_FALSE(damaged);
}

TEST(KeyBlockTest, AnEmptyBlockHasNoKeys) {
  bool damaged = true;
  EXPECT_THAT(KeysOf("", &damaged), IsEmpty());
  EXPECT_FALSE(damaged);
}

TEST(KeyBlockTest, ACutBlockIsToldFromItsEnd) {
  std::string block;
  AppendToKeyBlock("foo", &block);
  AppendToKeyBlock(std::string(300, 'x'), &block);
  for (size_t size = 1; size < block.size(); ++size) {
    if (size == 4) continue;  // The end of the first key.
    bool damaged = false;
    KeysOf(absl::string_view(block).substr(0, size), &damaged);
    EXPECT_TRUE(damaged) << size;
  }
}

}  // namespace
}  // namespace cairn::base
