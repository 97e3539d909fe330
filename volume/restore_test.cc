// docs/restore.sh, the way out that needs no Cairn.

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "volume/blob_store.h"
#include "volume/blob_store_fixture.h"

namespace cairn::volume {
namespace {

using ::testing::UnorderedElementsAre;

class RestoreTest : public BlobStoreFixture {
 protected:
  void Commit(const v1::BlobId& blob, absl::string_view data) {
    ASSERT_TRUE(Put(blob, data).ok());
    ASSERT_TRUE(store_->Mark(blob).ok());
  }

  int Restore() {
    out_ = data_ + "/out dir";
    std::filesystem::create_directory(out_);
    const std::string command = "docs/restore.sh '" + out_ + "' '" + data_ +
                                "/subvolume-0' '" + data_ +
                                "/subvolume-1' 2>'" + data_ + "/errors'";
    return std::system(command.c_str());
  }
  std::multiset<std::string> Restored() {
    std::multiset<std::string> names;
    for (const auto& file : std::filesystem::directory_iterator(out_)) {
      names.insert(file.path().filename());
    }
    return names;
  }
  std::string Text(const std::string& name) {
    std::ifstream file(out_ + "/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }

  std::string out_;
};

TEST_F(RestoreTest, BringsTheNewestCommittedValueOfEachKey) {
  Commit(Blob("cat.jpg", 9), "old");
  Commit(Blob("cat.jpg", 10, /*subvolume=*/1), "new");
  ASSERT_TRUE(Put(Blob("cat.jpg", 11), "not committed").ok());
  Commit(Blob("a/b c", 1), "escaped");
  Commit(Blob("empty", 1), "");
  const std::string big(300000, 'x');
  Commit(Blob("big", 1), big);
  Commit(Blob("gone", 1), "deleted");
  v1::SmallPutOp tombstone = PutOp(Blob("gone", 2, 1), "");
  tombstone.mutable_blob()->set_tombstone(true);
  tombstone.set_committed(true);
  ASSERT_TRUE(store_->Put(tombstone).ok());
  Commit(Blob("back", 3), "written again");
  tombstone = PutOp(Blob("back", 2, 1), "");
  tombstone.mutable_blob()->set_tombstone(true);
  tombstone.set_committed(true);
  ASSERT_TRUE(store_->Put(tombstone).ok());

  ASSERT_EQ(Restore(), 0);
  EXPECT_THAT(Restored(), UnorderedElementsAre("cat.jpg", "a%2Fb%20c", "empty",
                                               "big", "back"));
  EXPECT_EQ(Text("cat.jpg"), "new");
  EXPECT_EQ(Text("a%2Fb%20c"), "escaped");
  EXPECT_EQ(Text("empty"), "");
  EXPECT_EQ(Text("big"), big);
  EXPECT_EQ(Text("back"), "written again");
}

TEST_F(RestoreTest, ATornReplicaIsPassedOver) {
  Commit(Blob("k", 1, 0), "whole");
  Commit(Blob("k", 1, 1), "whole");
  ASSERT_EQ(truncate(Path(Blob("k", 1, 0)).c_str(), 1), 0);
  ASSERT_EQ(Restore(), 0);
  EXPECT_EQ(Text("k"), "whole");
}

TEST_F(RestoreTest, AMissingDirectoryIsNamed) {
  EXPECT_NE(std::system("docs/restore.sh /nonexistent x 2>/dev/null"), 0);
}

}  // namespace
}  // namespace cairn::volume
