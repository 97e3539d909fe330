// Files of this machine to keys.

#include <utility>

#include "admin/copy_plan.h"
#include "admin/transfer.h"
#include "base/blob_name.h"
#include "base/status.h"

namespace cairn::admin {
namespace {

CopyItem ItemOf(LocalTree::Entry entry) {
  CopyItem item;
  item.path = std::move(entry.path);
  item.size_bytes = entry.size_bytes;
  if (entry.status.ok()) return item;
  item.kind = absl::IsFailedPrecondition(entry.status)
                  ? CopyItem::Kind::kSkipped
                  : CopyItem::Kind::kFailed;
  item.why = std::string(entry.status.message());
  return item;
}

class UploadPlan final : public CopyPlan {
 public:
  UploadPlan(BlockingStore* store, const LocalTree* tree, std::string prefix,
             bool always)
      : store_(store),
        tree_(tree),
        prefix_(std::move(prefix)),
        always_(always) {}

  absl::Status List(const Visit& visit) override {
    tree_->Walk([&](LocalTree::Entry entry) {
      CopyItem item = ItemOf(std::move(entry));
      const absl::Status key = base::CheckKey(prefix_ + item.path);
      if (item.kind == CopyItem::Kind::kFile && !key.ok()) {
        item.kind = CopyItem::Kind::kRefused;
        item.why = std::string(key.message());
      }
      return visit(std::move(item));
    });
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Copy(const CopyItem& item, const Moved& moved) override {
    ASSIGN_OR_RETURN(InputFile file, tree_->OpenFile(item.path));
    return Upload(store_, &file, prefix_ + item.path, always_, moved);
  }

 private:
  BlockingStore* const store_;
  const LocalTree* const tree_;
  const std::string prefix_;
  const bool always_;
};

class UploadOnePlan final : public CopyPlan {
 public:
  UploadOnePlan(BlockingStore* store, std::string file, std::string key,
                bool always)
      : store_(store),
        file_(std::move(file)),
        key_(std::move(key)),
        always_(always) {}

  absl::Status List(const Visit& visit) override {
    RETURN_IF_ERROR(base::CheckKey(key_));
    CopyItem item;
    item.path = file_;
    const auto file = InputFile::Open(file_);
    // A missing file here is no missing key.
    if (!file.ok()) return absl::InternalError(file.status().message());
    item.size_bytes = file->size_bytes();
    visit(std::move(item));
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Copy(const CopyItem& item, const Moved& moved) override {
    ASSIGN_OR_RETURN(InputFile file, InputFile::Open(file_));
    return Upload(store_, &file, key_, always_, moved);
  }

 private:
  BlockingStore* const store_;
  const std::string file_;
  const std::string key_;
  const bool always_;
};

}  // namespace

std::unique_ptr<CopyPlan> NewUploadPlan(BlockingStore* store,
                                        const LocalTree* tree,
                                        std::string prefix, bool always) {
  return std::make_unique<UploadPlan>(store, tree, std::move(prefix), always);
}

std::unique_ptr<CopyPlan> NewUploadOnePlan(BlockingStore* store,
                                           std::string file, std::string key,
                                           bool always) {
  return std::make_unique<UploadOnePlan>(store, std::move(file), std::move(key),
                                         always);
}

}  // namespace cairn::admin
