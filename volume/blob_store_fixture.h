// A blob store on a volume of its own in a temporary directory, for tests.

#ifndef CAIRN_VOLUME_BLOB_STORE_FIXTURE_H_
#define CAIRN_VOLUME_BLOB_STORE_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/cairn/v1/volume.pb.h"
#include "volume/blob_store.h"
#include "volume/faulty_file_system.h"
#include "volume/volume_directory.h"

namespace cairn::volume {

// A new, empty directory below TEST_TMPDIR.
std::string NewTestDirectory();

class BlobStoreFixture : public ::testing::Test {
 protected:
  explicit BlobStoreFixture(int subvolumes = 2);
  ~BlobStoreFixture() override;

  // As if the process had been started again.
  void Reopen();

  // The version of `n`: higher for a higher n. Second n since 1970.
  static v1::Version Version(int n);
  static v1::BlobId Blob(absl::string_view key, int version = 1,
                         int subvolume = 0);
  static v1::SmallPutOp PutOp(const v1::BlobId& blob, absl::string_view data);
  static v1::PutBlobRequest::Header Header(const v1::BlobId& blob);
  static v1::PutBlobRequest::Trailer Trailer(const v1::BlobId& blob,
                                             absl::string_view data);

  // Puts and syncs.
  absl::Status Put(const v1::BlobId& blob, absl::string_view data);
  // "" if there is none.
  std::string ReadAll(const v1::BlobId& blob);
  // Of the file.
  std::string Path(const v1::BlobId& blob) const;
  bool Exists(const v1::BlobId& blob) const;
  // All regular files in all directories of blobs.
  int CountFiles() const;

  const std::string data_ = NewTestDirectory();
  const int subvolumes_;
  FaultyFileSystem file_system_;
  std::unique_ptr<VolumeDirectory> directory_;
  std::unique_ptr<BlobStore> store_;
};

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_BLOB_STORE_FIXTURE_H_
