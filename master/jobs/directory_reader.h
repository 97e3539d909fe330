// Reads the list of one subvolume, directory by directory, ahead of who asks.

#ifndef CAIRN_MASTER_JOBS_DIRECTORY_READER_H_
#define CAIRN_MASTER_JOBS_DIRECTORY_READER_H_

#include <google/protobuf/arena.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "proto/cairn/v1/volume.grpc.pb.h"

namespace cairn::master {

class DirectoryReader {
 public:
  struct Options {
    uint32_t volume_id = 0;
    int subvolume = 0;
    std::string grpc_address;
    int first_directory = 0;
    int64_t value_bytes_max = 0;
  };
  // Begins at once, on a thread of its own.
  explicit DirectoryReader(Options options);
  ~DirectoryReader();
  DirectoryReader(const DirectoryReader&) = delete;
  DirectoryReader& operator=(const DirectoryReader&) = delete;

  const Options& options() const { return options_; }

  struct Directory {
    // Holds what it points to. An allocation for each part of each blob, freed
    // by another thread, costs more than parsing them.
    std::unique_ptr<google::protobuf::Arena> arena;
    std::vector<v1::StatBlobResponse*> blobs;
  };
  // The blobs of the next directory; blocks until all have come. One thread.
  // Not OK: the list has ended early (kUnavailable: the agent or its disk is
  // away, kDeadlineExceeded: it stalls); so will all further calls.
  absl::StatusOr<Directory> Next();
  // Next() returns kCancelled, now and later. Any thread.
  void Cancel();

 private:
  void Run();
  // False: nobody reads any more.
  bool Deliver(Directory directory);

  const Options options_;
  grpc::ClientContext context_;
  base::Mutex mu_;
  base::CondVar changed_;
  std::deque<Directory> ready_ ABSL_GUARDED_BY(mu_);
  absl::Status ended_ ABSL_GUARDED_BY(mu_);
  bool done_ ABSL_GUARDED_BY(mu_) = false;  // No more will come.
  bool cancelled_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: it sees all of the above.
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_JOBS_DIRECTORY_READER_H_
