// BlockingStore: put, get, list and delete for threads that do one thing at a
// time. Each call waits, and none waits for ever: pieces, lookups and
// commits have the deadlines of base/limits.h.

#ifndef CAIRN_ADMIN_BLOCKING_STORE_H_
#define CAIRN_ADMIN_BLOCKING_STORE_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/store_client.h"
#include "proto/cairn/v1/common.pb.h"
#include "proto/cairn/v1/metadata.pb.h"

namespace cairn::admin {

// Reads at most `size` bytes; 0 at the end.
using ByteSource =
    std::function<absl::StatusOr<size_t>(char* buffer, size_t size)>;
// Takes all the bytes it is given.
using ByteSink = std::function<absl::Status(absl::string_view bytes)>;

// Thread safety: any method from any thread. kUnavailable and
// kDeadlineExceeded say nothing about the key.
class BlockingStore {
 public:
  // `store` must outlive the object.
  explicit BlockingStore(client::StoreClient* store) : store_(store) {}

  // Writes what `source` gives. `size_bytes_expected`: 0 if not known. An error
  // of `source` is returned as it is; nothing was written then.
  // kFailedPrecondition: nothing was written.
  absl::StatusOr<client::PutOutcome> Put(const std::string& key,
                                         const ByteSource& source,
                                         int64_t size_bytes_expected,
                                         client::PutOptions options);

  // Reads the value into `sink`, from one replica and then another if one
  // fails, and checks it against its hash. kNotFound: no such key. After any
  // other error part of the bytes may have been given to `sink`.
  absl::Status Get(const std::string& key, const ByteSink& sink);

  // kNotFound: no such key.
  absl::StatusOr<v1::Record> Stat(const std::string& key);

  // OK: gone for good. kNotFound: no such key.
  absl::Status Delete(const std::string& key);

  // One page from `start`, inclusive, with the keys' records if asked for.
  absl::StatusOr<v1::ListKeysResponse> List(const std::string& prefix,
                                            const std::string& start,
                                            bool with_records);

 private:
  absl::StatusOr<client::GetOutcome> Lookup(const std::string& key,
                                            bool with_value);
  absl::StatusOr<client::PutOutcome> PutLarge(const std::string& key,
                                              std::string head,
                                              const ByteSource& source,
                                              int64_t size_bytes_expected,
                                              client::PutOptions options);

  client::StoreClient* const store_;
};

}  // namespace cairn::admin

#endif  // CAIRN_ADMIN_BLOCKING_STORE_H_
