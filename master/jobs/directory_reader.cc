#include "master/jobs/directory_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/limits.h"
#include "base/status.h"
#include "proto/convert.h"
#include "rpc/server.h"

namespace cairn::master {
namespace {

// Whole directories kept for who asks; a directory of a disk with a million
// blobs has 4,000.
constexpr size_t kDirectoriesAhead = 2;
// What 100 blobs take, without their values.
constexpr size_t kArenaBlockBytes = 64 << 10;

DirectoryReader::Directory NewDirectory() {
  google::protobuf::ArenaOptions options;
  options.start_block_size = kArenaBlockBytes;
  options.max_block_size = kArenaBlockBytes;
  DirectoryReader::Directory directory;
  directory.arena = std::make_unique<google::protobuf::Arena>(options);
  return directory;
}

}  // namespace

DirectoryReader::DirectoryReader(Options options)
    : options_(std::move(options)), thread_([this] { Run(); }) {}

DirectoryReader::~DirectoryReader() {
  Cancel();
  thread_.join();
}

void DirectoryReader::Cancel() {
  context_.TryCancel();
  base::MutexLock lock(&mu_);
  cancelled_ = true;
  changed_.SignalAll();
}

absl::StatusOr<DirectoryReader::Directory> DirectoryReader::Next() {
  base::MutexLock lock(&mu_);
  while (ready_.empty() && !done_ && !cancelled_) changed_.Wait(&mu_);
  if (cancelled_) return absl::CancelledError("the list was cancelled");
  if (ready_.empty()) return ended_;
  Directory directory = std::move(ready_.front());
  ready_.pop_front();
  changed_.SignalAll();
  return directory;
}

bool DirectoryReader::Deliver(Directory directory) {
  base::MutexLock lock(&mu_);
  while (ready_.size() >= kDirectoriesAhead && !cancelled_) {
    changed_.Wait(&mu_);
  }
  ready_.push_back(std::move(directory));
  changed_.SignalAll();
  return !cancelled_;
}

void DirectoryReader::Run() {
  const std::string name =
      absl::StrCat("list ", PlaceText(options_.volume_id, options_.subvolume));
  const auto stub =
      v1::VolumeService::NewStub(rpc::NewChannel(options_.grpc_address, name));
  v1::ListBlobsRequest request;
  request.set_volume_id(options_.volume_id);
  request.set_subvolume(options_.subvolume);
  request.set_first_directory(options_.first_directory);
  request.set_value_bytes_max(options_.value_bytes_max);
  const auto reader = stub->List(&context_, request);
  int next = options_.first_directory;
  Directory directory = NewDirectory();
  bool wanted = true;
  while (wanted) {
    auto* const page =
        google::protobuf::Arena::CreateMessage<v1::ListBlobsResponse>(
            directory.arena.get());
    if (!reader->Read(page)) break;
    for (v1::StatBlobResponse& blob : *page->mutable_blobs()) {
      directory.blobs.push_back(&blob);
    }
    if (page->directories_done() > next) {
      wanted = Deliver(std::move(directory));
      directory = NewDirectory();
      ++next;
    }
  }
  if (!wanted) context_.TryCancel();
  absl::Status status = rpc::FromGrpc(reader->Finish());
  if (status.ok() && next < base::kDirectoriesPerSubvolume) {
    status = absl::UnavailableError("the list ended early");
  }
  if (status.ok()) status = absl::OutOfRangeError("all has been read");
  base::MutexLock lock(&mu_);
  ended_ = base::Annotate(status, name);
  done_ = true;
  changed_.SignalAll();
}

}  // namespace cairn::master
