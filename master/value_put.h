// One value on its way in through StoreService.Put.

#ifndef CAIRN_MASTER_VALUE_PUT_H_
#define CAIRN_MASTER_VALUE_PUT_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/hash.h"
#include "base/mutex.h"
#include "client/store_client.h"
#include "proto/cairn/v1/store.pb.h"

namespace cairn::master {

// Small values are collected and ride in a batch; when a value turns out to be
// large it streams to the agents, in bounded memory. For one thread, which its
// methods may hold up. Destroyed before Finish() it leaves nothing behind.
class ValuePut {
 public:
  // `store` outlives the put.
  ValuePut(client::StoreClient* store, const v1::PutRequest::Header& header,
           std::string request_id);

  // Not OK: the header breaks a limit, or the cluster takes no writes.
  absl::Status status() const { return status_; }
  // The next bytes. Waits while the agents are slower than the client.
  absl::Status Append(absl::string_view data);
  // Ends the value and waits until it is committed. `cancelled` tells whether
  // the stream broke rather than ended: gRPC's Read() does not say.
  absl::StatusOr<client::PutOutcome> Finish(
      const std::function<bool()>& cancelled);

 private:
  // The large writer says that it takes pieces again.
  struct Writable {
    base::Mutex mu;
    base::CondVar changed;
    bool now ABSL_GUARDED_BY(mu) = true;
  };

  // Turns to streaming, with what was collected so far.
  absl::Status StartLarge();
  absl::Status WritePieces(absl::string_view data);
  absl::Status WaitWritable();
  absl::Status CheckEnd(const std::function<bool()>& cancelled) const;

  client::StoreClient* const store_;
  const std::string key_;
  const int64_t size_bytes_expected_;
  const bool must_be_new_;
  client::PutOptions options_;
  absl::Status status_;
  int64_t size_bytes_ = 0;
  base::DigestHasher hasher_;
  std::string collected_;  // While the value is small.
  const std::shared_ptr<Writable> writable_ = std::make_shared<Writable>();
  std::unique_ptr<client::LargeWriter> large_;  // nullptr: small so far.
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_VALUE_PUT_H_
