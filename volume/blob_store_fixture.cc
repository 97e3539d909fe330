#include "volume/blob_store_fixture.h"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/blob_name.h"
#include "base/hash.h"
#include "proto/convert.h"

namespace cairn::volume {

std::string NewTestDirectory() {
  const char* const root = getenv("TEST_TMPDIR");
  std::string path =
      absl::StrCat(root != nullptr ? root : "/tmp", "/volume-XXXXXX");
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  return path;
}

BlobStoreFixture::BlobStoreFixture(int subvolumes) : subvolumes_(subvolumes) {
  Reopen();
}

BlobStoreFixture::~BlobStoreFixture() {
  store_ = nullptr;
  directory_ = nullptr;
  std::filesystem::remove_all(data_);
}

void BlobStoreFixture::Reopen() {
  store_ = nullptr;
  directory_ = nullptr;
  auto directory = VolumeDirectory::Open(data_, subvolumes_, {});
  ASSERT_TRUE(directory.ok()) << directory.status();
  directory_ = *std::move(directory);
  store_ = std::make_unique<BlobStore>(&file_system_, directory_->subvolumes());
}

v1::Version BlobStoreFixture::Version(int n) {
  v1::Version version;
  version.set_time_ms(int64_t{n} * 1000 + 7);
  version.set_counter(1);
  version.set_writer_id(9);
  return version;
}

v1::BlobId BlobStoreFixture::Blob(absl::string_view key, int version,
                                  int subvolume) {
  v1::BlobId blob;
  blob.set_key(std::string(key));
  *blob.mutable_version() = Version(version);
  blob.set_subvolume(subvolume);
  return blob;
}

v1::SmallPutOp BlobStoreFixture::PutOp(const v1::BlobId& blob,
                                       absl::string_view data) {
  v1::SmallPutOp op;
  op.set_op_id(1);
  *op.mutable_blob() = blob;
  op.set_data(std::string(data));
  SetDigest(base::DigestOf(data), op.mutable_digest());
  op.set_replicas(2);
  op.set_durability(v1::DURABILITY_FSYNC);
  return op;
}

v1::PutBlobRequest::Header BlobStoreFixture::Header(const v1::BlobId& blob) {
  v1::PutBlobRequest::Header header;
  header.set_subvolume(blob.subvolume());
  header.set_key(blob.key());
  header.set_replicas(2);
  header.set_durability(v1::DURABILITY_FSYNC);
  return header;
}

v1::PutBlobRequest::Trailer BlobStoreFixture::Trailer(const v1::BlobId& blob,
                                                      absl::string_view data) {
  v1::PutBlobRequest::Trailer trailer;
  *trailer.mutable_version() = blob.version();
  trailer.set_size_bytes(static_cast<int64_t>(data.size()));
  SetDigest(base::DigestOf(data), trailer.mutable_digest());
  return trailer;
}

absl::Status BlobStoreFixture::Put(const v1::BlobId& blob,
                                   absl::string_view data) {
  auto change = store_->Put(PutOp(blob, data));
  if (!change.ok()) return change.status();
  return store_->Sync({&*change})[0];
}

std::string BlobStoreFixture::ReadAll(const v1::BlobId& blob) {
  const auto open = store_->Open(blob);
  if (!open.ok()) return "";
  std::string bytes;
  EXPECT_TRUE(store_->Read(*open, 0, open->size_bytes, &bytes).ok());
  return bytes;
}

std::string BlobStoreFixture::Path(const v1::BlobId& blob) const {
  return absl::StrCat(
      data_, "/subvolume-", blob.subvolume(), "/",
      base::BlobPath(blob.key(), FromProto(blob.version()), blob.tombstone()));
}

bool BlobStoreFixture::Exists(const v1::BlobId& blob) const {
  struct stat info;
  return lstat(Path(blob).c_str(), &info) == 0;
}

int BlobStoreFixture::CountFiles() const {
  int count = 0;
  for (int i = 0; i < subvolumes_; ++i) {
    const std::string path = absl::StrCat(data_, "/subvolume-", i);
    for (const auto& part : std::filesystem::directory_iterator(path)) {
      if (!part.is_directory()) continue;
      for (const auto& file : std::filesystem::directory_iterator(part)) {
        count += file.is_regular_file() ? 1 : 0;
      }
    }
  }
  return count;
}

}  // namespace cairn::volume
