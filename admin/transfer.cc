#include "admin/transfer.h"

#include <vector>

#include "base/hash.h"
#include "base/limits.h"
#include "base/status.h"
#include "proto/convert.h"

namespace cairn::admin {

absl::StatusOr<bool> FileEquals(InputFile* file, const v1::Record& record,
                                const CopyPlan::Moved& moved) {
  if (file->size_bytes() != record.size_bytes()) return false;
  base::DigestHasher hasher;
  std::vector<char> buffer(base::kPieceBytes);
  for (;;) {
    RETURN_IF_ERROR(moved(0));
    ASSIGN_OR_RETURN(const size_t got,
                     file->Read(buffer.data(), buffer.size()));
    if (got == 0) break;
    hasher.Update({buffer.data(), got});
  }
  RETURN_IF_ERROR(file->CheckUnchanged());
  const base::Digest here = hasher.Finish(), there = FromProto(record.digest());
  return here.md5 == there.md5 && here.xxh3 == there.xxh3;
}

absl::StatusOr<bool> Upload(BlockingStore* store, InputFile* file,
                            const std::string& key, bool always,
                            const CopyPlan::Moved& moved) {
  if (!always) {
    const auto record = store->Stat(key);
    if (record.ok()) {
      ASSIGN_OR_RETURN(const bool equal, FileEquals(file, *record, moved));
      if (equal) return true;
      RETURN_IF_ERROR(file->Rewind());
    } else if (!absl::IsNotFound(record.status())) {
      return record.status();
    }
  }
  const auto source = [&](char* buffer, size_t size) -> absl::StatusOr<size_t> {
    ASSIGN_OR_RETURN(const size_t got, file->Read(buffer, size));
    // Before the end is known to the store: a mixture is never committed.
    if (got == 0) RETURN_IF_ERROR(file->CheckUnchanged());
    RETURN_IF_ERROR(moved(static_cast<int64_t>(got)));
    return got;
  };
  RETURN_IF_ERROR(
      store->Put(key, source, file->size_bytes(), client::PutOptions())
          .status());
  return false;
}

absl::Status Download(BlockingStore* store, const std::string& key,
                      OutputFile* file, const CopyPlan::Moved& moved) {
  RETURN_IF_ERROR(store->Get(key, [&](absl::string_view bytes) {
    RETURN_IF_ERROR(moved(static_cast<int64_t>(bytes.size())));
    return file->Write(bytes);
  }));
  return file->Commit();
}

}  // namespace cairn::admin
