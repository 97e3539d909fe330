// The tests that every IndexStore passes. A backend's own test file names its
// factory:
//
//   INSTANTIATE_TEST_SUITE_P(RocksDb, IndexStoreContractTest,
//                            testing::Values(&NewRocksDbUnderTest));
//
// and, if what it holds outlives the object, or a walk of it shows one moment,
// the suites for that as well.

#ifndef CAIRN_INDEX_INDEX_STORE_CONTRACT_H_
#define CAIRN_INDEX_INDEX_STORE_CONTRACT_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "index/index_store.h"

namespace cairn::index {

// One backend with a place of its own, empty at first, gone with the object.
class BackendUnderTest {
 public:
  virtual ~BackendUnderTest() = default;
  // At most one store is open at a time.
  virtual absl::StatusOr<std::unique_ptr<IndexStore>> Open(
      const OpenOptions& options) = 0;
};
using MakeBackendUnderTest = std::unique_ptr<BackendUnderTest> (*)();

// Verbs for the tests. Versions are milliseconds around kNow.
class IndexStoreFixture : public testing::TestWithParam<MakeBackendUnderTest> {
 protected:
  static constexpr int64_t kNow = 1'700'000'000'000;

  void SetUp() override;
  void Open(const OpenOptions& options = OpenOptions());
  void Reopen(const OpenOptions& options = OpenOptions());

  // A value on subvolume 0 of volume 1 and subvolume 1 of volume 2.
  static v1::Record RecordAt(int64_t time_ms, int64_t size_bytes = 100);
  static Mutation Put(absl::string_view key, int64_t time_ms,
                      absl::string_view inline_value = "");
  static Mutation Del(absl::string_view key, int64_t time_ms);
  static Mutation TombstoneReplicas(absl::string_view key, int64_t time_ms,
                                    const std::vector<uint32_t>& volume_ids);
  // What a rebuild found: a value, or a tombstone, of volume 1 alone.
  static Mutation Restore(absl::string_view key, int64_t time_ms,
                          absl::string_view inline_value = "");
  static Mutation RestoreTombstone(absl::string_view key, int64_t time_ms);
  static Removal Queued(uint32_t volume_id, absl::string_view key,
                        int64_t time_ms, bool tombstone = false);

  std::vector<MutationResult> CommitAll(const std::vector<Mutation>& group);
  MutationResult CommitOne(const Mutation& mutation);
  void MustCommit(const Mutation& mutation);
  absl::StatusOr<Found> LookupOne(absl::string_view key,
                                  bool with_value = false);
  // The version's milliseconds after kNow; negative for a tombstone; "none".
  std::string Newest(absl::string_view key);
  std::string Value(absl::string_view key);
  // "key key ... | next".
  std::string List(const IndexStore::ScanOptions& options);
  // The whole queue of a volume, read in pieces of `limit`.
  std::vector<std::string> Queue(uint32_t volume_id, int64_t limit = 1000);
  static std::string Text(const Removal& removal);
  static std::vector<std::string> Texts(const std::vector<Removal>& removals);
  // "keys tombstones removals".
  std::string Counts();

  std::unique_ptr<BackendUnderTest> backend_;
  std::unique_ptr<IndexStore> store_;
};

class IndexStoreContractTest : public IndexStoreFixture {};
// Of a store whose Walk() shows one moment.
class IndexStoreSnapshotContractTest : public IndexStoreFixture {};
// Of what must be there when the store is opened again.
class IndexStoreReopenContractTest : public IndexStoreFixture {};

}  // namespace cairn::index

#endif  // CAIRN_INDEX_INDEX_STORE_CONTRACT_H_
