// The part of the contract that is about listing.

#include <string>

#include "index/index_store_contract.h"

namespace cairn::index {
namespace {

using Code = absl::StatusCode;

}  // namespace

TEST_P(IndexStoreContractTest, ListsInByteOrderFromStartWithinThePrefix) {
  for (const char* key : {"b", "a", "a/2", "a/1", "B", "a/3", "\xc3\xa9"}) {
    MustCommit(Put(key, 1));
  }
  EXPECT_EQ(List({}), "B a a/1 a/2 a/3 b \\xc3\\xa9 | ");
  EXPECT_EQ(List({"a"}), "a a/1 a/2 a/3 | ");
  EXPECT_EQ(List({"a/"}), "a/1 a/2 a/3 | ");
  EXPECT_EQ(List({"a/", "a/2"}), "a/2 a/3 | ");
  EXPECT_EQ(List({"a/", "a/25"}), "a/3 | ");
  EXPECT_EQ(List({"a/", "A"}), "a/1 a/2 a/3 | ");
  EXPECT_EQ(List({"a/", "b"}), " | ");
  EXPECT_EQ(List({"x"}), " | ");
}

TEST_P(IndexStoreContractTest, PagesFollowEachOther) {
  for (int i = 0; i < 10; ++i) MustCommit(Put(absl::StrCat("k", i), 1));
  EXPECT_EQ(List({"", "", "", 4}), "k0 k1 k2 k3 | k4");
  EXPECT_EQ(List({"", "k4", "", 4}), "k4 k5 k6 k7 | k8");
  EXPECT_EQ(List({"", "k8", "", 4}), "k8 k9 | ");
  EXPECT_EQ(List({"", "", "", 10}), "k0 k1 k2 k3 k4 k5 k6 k7 k8 k9 | ");
  EXPECT_EQ(store_->Scan({"", "", "", 0}).status().code(),
            Code::kInvalidArgument);
}

TEST_P(IndexStoreContractTest, AKeyBlockHoldsTheKeysOfThePage) {
  for (int i = 0; i < 10; ++i) MustCommit(Put(absl::StrCat("k", i), 1));
  IndexStore::ScanOptions options;
  options.start = "k3";
  options.limit = 4;
  options.with_key_block = true;
  const auto page = store_->Scan(options);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_TRUE(page->keys.empty());
  EXPECT_EQ(page->keys_count, 4);
  EXPECT_EQ(page->next, "k7");
  EXPECT_EQ(page->key_block, "\2k3\2k4\2k5\2k6");
}

TEST_P(IndexStoreContractTest, PrefixesAndKeysOfAnyBytesAreListed) {
  const std::string nul("\0", 1);
  for (const std::string& key :
       {nul, nul + nul, std::string("a\xff"), std::string("a\xff\xff"),
        std::string("a\xff\xffz"), std::string("b"), std::string("\xff"),
        std::string("\xff\xff")}) {
    MustCommit(Put(key, 1));
  }
  EXPECT_EQ(List({nul}), "\\x00 \\x00\\x00 | ");
  EXPECT_EQ(List({"a\xff"}), "a\\xff a\\xff\\xff a\\xff\\xffz | ");
  EXPECT_EQ(List({"a\xff\xff"}), "a\\xff\\xff a\\xff\\xffz | ");
  EXPECT_EQ(List({"\xff"}), "\\xff \\xff\\xff | ");
  EXPECT_EQ(List({"\xff\xff\xff"}), " | ");
}

TEST_P(IndexStoreContractTest, DeletedKeysAreNotListedAndNeverNext) {
  for (int i = 0; i < 6; ++i) MustCommit(Put(absl::StrCat("k", i), 1));
  for (const int i : {0, 2, 3, 5}) {
    MustCommit(Del(absl::StrCat("k", i), 2));
  }
  EXPECT_EQ(List({"", "", "", 1}), "k1 | k4");
  EXPECT_EQ(List({"", "k4", "", 1}), "k4 | ");
}

TEST_P(IndexStoreContractTest, ADelimiterCutsKeysToWhatTheyShare) {
  for (const char* key : {"a", "d/1", "d/2", "d/e/3", "d0", "x/1", "y"}) {
    MustCommit(Put(key, 1));
  }
  EXPECT_EQ(List({"", "", "/"}), "a d/ d0 x/ y | ");
  EXPECT_EQ(List({"d/", "", "/"}), "d/1 d/2 d/e/ | ");
  EXPECT_EQ(List({"d", "", "/"}), "d/ d0 | ");
  EXPECT_EQ(List({"", "", "/", 2}), "a d/ | d0");
  EXPECT_EQ(List({"", "d0", "/", 2}), "d0 x/ | y");
  EXPECT_EQ(List({"", "", "/", 1}), "a | d/");
  EXPECT_EQ(List({"", "d/", "/", 1}), "d/ | d0");
}

TEST_P(IndexStoreContractTest, DelimitersOfAnyBytesEnd) {
  for (const char* key : {"\xff\xff", "\xff\xff\x01", "a\xff\x01", "b"}) {
    MustCommit(Put(key, 1));
  }
  EXPECT_EQ(List({"", "", "\xff"}), "a\\xff b \\xff | ");
  EXPECT_EQ(List({"\xff", "", "\xff"}), "\\xff\\xff | ");
}

TEST_P(IndexStoreContractTest, ACutKeyNeedsAKeyThatIsNotDeleted) {
  MustCommit(Put("d/1", 1));
  MustCommit(Del("d/1", 2));
  MustCommit(Put("e/1", 1));
  EXPECT_EQ(List({"", "", "/"}), "e/ | ");
}

TEST_P(IndexStoreContractTest, RecordsComeWithTheirKeysWhenAskedFor) {
  MustCommit(Put("a", 1));
  MustCommit(Put("d/1", 2));
  MustCommit(Put("e", 3));
  IndexStore::ScanOptions options;
  options.delimiter = "/";
  options.with_records = true;
  const auto page = store_->Scan(options);
  ASSERT_TRUE(page.ok());
  ASSERT_EQ(page->records.size(), 3u);
  EXPECT_EQ(page->records[0].version().time_ms(), kNow + 1);
  EXPECT_EQ(page->records[1].ByteSizeLong(), 0u);
  EXPECT_EQ(page->records[2].version().time_ms(), kNow + 3);
  options.with_records = false;
  EXPECT_TRUE(store_->Scan(options)->records.empty());
}

TEST_P(IndexStoreContractTest, TombstonesAreListedIfTheyAreAskedFor) {
  MustCommit(Put("a", 1));
  MustCommit(Put("b", 1));
  MustCommit(Del("b", 2));
  IndexStore::ScanOptions options;
  EXPECT_EQ(List(options), "a | ");
  options.with_tombstones = true;
  options.with_records = true;
  EXPECT_EQ(List(options), "a b | ");
  EXPECT_TRUE(store_->Scan(options)->records[1].tombstone());
}

}  // namespace cairn::index
