// Keys to files of this machine.

#include <sys/stat.h>

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "admin/copy_plan.h"
#include "admin/transfer.h"
#include "base/blob_name.h"
#include "base/mutex.h"
#include "base/status.h"

namespace cairn::admin {
namespace {

// Knows, of paths that come in byte order, which ones lie below an earlier one
// that is a file. All that stands between "a" and "a/b" begins with "a", so it
// is enough to remember the paths that the newest one begins with.
class Ancestors {
 public:
  // The earlier path that is in the way of `path`; empty: none. `path` itself
  // is remembered unless one is.
  std::string Add(const std::string& path) {
    while (!prefixes_.empty() && !absl::StartsWith(path, prefixes_.back())) {
      prefixes_.pop_back();
    }
    for (const std::string& prefix : prefixes_) {
      if (path.size() > prefix.size() && path[prefix.size()] == '/') {
        return prefix;
      }
    }
    prefixes_.push_back(path);
    return "";
  }

 private:
  std::vector<std::string> prefixes_;  // Each begins with the one before.
};

CopyItem ItemOf(std::string path, v1::Record record, Ancestors* ancestors) {
  CopyItem item;
  item.path = std::move(path);
  item.size_bytes = record.size_bytes();
  item.record = std::move(record);
  const absl::Status name = CheckLocalPath(item.path);
  const std::string above = name.ok() ? ancestors->Add(item.path) : "";
  if (!name.ok()) {
    item.why = std::string(name.message());
  } else if (!above.empty()) {
    item.why = absl::StrCat("it would lie below the file of another key, ",
                            base::EscapeKeyForUrl(above));
  }
  if (!item.why.empty()) item.kind = CopyItem::Kind::kRefused;
  return item;
}

class DownloadPlan final : public CopyPlan {
 public:
  DownloadPlan(BlockingStore* store, std::string prefix, std::string target,
               bool always)
      : store_(store),
        prefix_(std::move(prefix)),
        target_(std::move(target)),
        always_(always) {}

  absl::Status List(const Visit& visit) override {
    Ancestors ancestors;
    std::string start;
    bool any = false;
    do {
      ASSIGN_OR_RETURN(v1::ListKeysResponse page,
                       store_->List(prefix_, start, /*with_records=*/true));
      if (page.keys_size() > 0) RETURN_IF_ERROR(MakeTarget());
      for (int i = 0; i < page.keys_size(); ++i) {
        any = true;
        if (!visit(ItemOf(page.keys(i).substr(prefix_.size()),
                          std::move(*page.mutable_records(i)), &ancestors))) {
          return absl::OkStatus();
        }
      }
      start = page.next();
    } while (!start.empty());
    if (any) return absl::OkStatus();
    return absl::NotFoundError(
        prefix_.empty() ? "there is no key at all"
                        : absl::StrCat("no key begins with ",
                                       base::EscapeKeyForUrl(prefix_)));
  }

  absl::StatusOr<bool> Copy(const CopyItem& item, const Moved& moved) override {
    if (!always_) {
      ASSIGN_OR_RETURN(const bool equal, HasIt(item, moved));
      if (equal) return true;
    }
    ASSIGN_OR_RETURN(OutputFile file, tree_->CreateFile(item.path));
    RETURN_IF_ERROR(Download(store_, prefix_ + item.path, &file, moved));
    return false;
  }

 private:
  absl::StatusOr<bool> HasIt(const CopyItem& item, const Moved& moved) {
    auto file = tree_->OpenFile(item.path);
    if (absl::IsNotFound(file.status())) return false;
    RETURN_IF_ERROR(file.status());
    return FileEquals(&*file, item.record, moved);
  }

  absl::Status MakeTarget() {
    base::MutexLock lock(&mu_);
    if (tree_.has_value()) return absl::OkStatus();
    auto tree = LocalTree::Create(target_);
    // Nothing to do with any key.
    if (!tree.ok()) return absl::InternalError(tree.status().message());
    tree_.emplace(*std::move(tree));
    return absl::OkStatus();
  }

  BlockingStore* const store_;
  const std::string prefix_;
  const std::string target_;
  const bool always_;

  // Set before the first item is given out, never changed then: Copy() reads
  // it without the lock, which is for those who list.
  std::optional<LocalTree> tree_;
  base::Mutex mu_;
};

class DownloadOnePlan final : public CopyPlan {
 public:
  DownloadOnePlan(BlockingStore* store, std::string key, std::string file,
                  bool always)
      : store_(store),
        key_(std::move(key)),
        file_(std::move(file)),
        always_(always) {}

  absl::Status List(const Visit& visit) override {
    CopyItem item;
    item.path = key_;
    const auto record = store_->Stat(key_);
    RETURN_IF_ERROR(
        base::Annotate(record.status(), base::EscapeKeyForUrl(key_)));
    item.record = *record;
    item.size_bytes = item.record.size_bytes();
    visit(std::move(item));
    return absl::OkStatus();
  }

  absl::StatusOr<bool> Copy(const CopyItem& item, const Moved& moved) override {
    struct stat found;
    if (!always_ && stat(file_.c_str(), &found) == 0 &&
        S_ISREG(found.st_mode)) {
      ASSIGN_OR_RETURN(InputFile file, InputFile::Open(file_));
      ASSIGN_OR_RETURN(const bool equal, FileEquals(&file, item.record, moved));
      if (equal) return true;
    }
    auto file = OutputFile::Open(file_);
    // A missing directory here is no missing key.
    if (!file.ok()) return absl::InternalError(file.status().message());
    RETURN_IF_ERROR(Download(store_, key_, &*file, moved));
    return false;
  }

 private:
  BlockingStore* const store_;
  const std::string key_;
  const std::string file_;
  const bool always_;
};

}  // namespace

std::unique_ptr<CopyPlan> NewDownloadPlan(BlockingStore* store,
                                          std::string prefix,
                                          std::string target, bool always) {
  return std::make_unique<DownloadPlan>(store, std::move(prefix),
                                        std::move(target), always);
}

std::unique_ptr<CopyPlan> NewDownloadOnePlan(BlockingStore* store,
                                             std::string key, std::string file,
                                             bool always) {
  return std::make_unique<DownloadOnePlan>(store, std::move(key),
                                           std::move(file), always);
}

}  // namespace cairn::admin
