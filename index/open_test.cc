#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "index/index_store.h"

namespace cairn::index {
namespace {

TEST(OpenIndexStoreTest, AnUnknownKindIsRefusedNamingTheKnownOnes) {
  const auto store = OpenIndexStore("mysql://me:secret@host/db", {});
  EXPECT_EQ(store.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StrContains(store.status().message(), "rocksdb:PATH"));
  EXPECT_FALSE(absl::StrContains(store.status().message(), "secret"));
}

TEST(OpenIndexStoreTest, AnEmptyPathIsRefused) {
  EXPECT_EQ(OpenIndexStore("rocksdb:", {}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(OpenIndexStore("", {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(OpenIndexStoreTest, TheUriNamesTheDirectory) {
  const std::string uri = "rocksdb:" + testing::TempDir() + "open_test/a/b";
  const auto store = OpenIndexStore(uri, {});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->uri(), uri);
}

}  // namespace
}  // namespace cairn::index
