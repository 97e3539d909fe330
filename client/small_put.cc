#include "client/small_put.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "client/ops.h"
#include "proto/convert.h"

namespace cairn::client {
namespace {

class SmallPut : public std::enable_shared_from_this<SmallPut> {
 public:
  SmallPut(MetadataClient* metadata, AgentPool* agents,
           std::shared_ptr<const ClusterView> view, std::string value,
           PutDone done)
      : metadata_(metadata),
        agents_(agents),
        view_(std::move(view)),
        value_(std::move(value)),
        done_(std::move(done)) {}

  void Start(std::string key, const base::Digest& digest, PutOptions options) {
    write_.key = std::move(key);
    write_.options = std::move(options);
    write_.durability = view_->map.durability();
    write_.deadline = absl::Now() + base::kMetadataDeadline;
    v1::Record& record = write_.record;
    *record.mutable_version() = ToProto(metadata_->clock().Next());
    record.set_size_bytes(value_.size());
    SetDigest(digest, record.mutable_digest());
    *record.mutable_metadata() = write_.options.metadata;
    const int replicas = view_->map.replicas();
    std::vector<int> places;
    {
      base::MutexLock lock(&mu_);
      order_ = placement::WritableOrder(view_->map, write_.key);
      slots_.resize(replicas);
      unanswered_ = replicas;
    }
    for (int place = 0; place < replicas; ++place) SendNext(place);
  }

 private:
  // Sends to the best volume that was not tried yet.
  void SendNext(int place) {
    Replica replica;
    {
      base::MutexLock lock(&mu_);
      while (replica.agent == nullptr && next_target_ < order_.size()) {
        const placement::Target& target = order_[next_target_++];
        replica.agent = agents_->Get(view_->map, target.volume_id);
        replica.where.set_volume_id(target.volume_id);
        replica.where.set_subvolume(target.subvolume);
      }
      slots_[place] = replica;
    }
    if (replica.agent == nullptr) return OnSettled(/*ok=*/false);
    v1::SmallPutOp op;
    *op.mutable_blob() =
        MakeBlobId(write_.key, replica.where, write_.record.version(), false);
    op.set_data(value_);
    *op.mutable_digest() = write_.record.digest();
    *op.mutable_metadata() = write_.record.metadata();
    op.set_replicas(view_->map.replicas());
    op.set_durability(write_.durability);
    op.set_request_id(write_.options.request_id);
    replica.agent->Put(
        std::move(op), absl::Now() + base::kBlobOpDeadline,
        [self = shared_from_this(), place](const absl::Status& status) {
          self->OnPut(place, status);
        });
  }

  void OnPut(int place, const absl::Status& status) {
    if (status.ok()) return OnSettled(/*ok=*/true);
    {
      base::MutexLock lock(&mu_);
      last_failure_ = status;
      // It may have the blob all the same.
      abandoned_.push_back(slots_[place]);
      slots_[place].agent = nullptr;
    }
    SendNext(place);
  }

  void OnSettled(bool ok) {
    absl::Status failure;
    std::vector<Replica> remove;
    {
      base::MutexLock lock(&mu_);
      all_ok_ = all_ok_ && ok;
      if (--unanswered_ > 0) return;
      remove = abandoned_;
      for (const Replica& replica : slots_) {
        if (all_ok_) {
          write_.replicas.push_back(replica);
        } else if (replica.agent != nullptr) {
          remove.push_back(replica);
        }
      }
      if (!all_ok_) {
        const auto code =
            last_failure_.code() == absl::StatusCode::kResourceExhausted
                ? absl::StatusCode::kResourceExhausted
                : absl::StatusCode::kUnavailable;
        failure = absl::Status(code, absl::StrCat("fewer than ", slots_.size(),
                                                  " volumes took the value: ",
                                                  last_failure_.message()));
      }
    }
    RemoveUncommitted(write_.key, write_.record.version(), remove);
    if (!failure.ok()) return done_(failure);
    if (write_.record.size_bytes() <= view_->map.inline_bytes_max()) {
      write_.inline_value = std::move(value_);
    }
    FinishWrite(metadata_, std::move(write_), done_);
  }

  MetadataClient* const metadata_;
  AgentPool* const agents_;
  const std::shared_ptr<const ClusterView> view_;
  std::string value_;
  const PutDone done_;
  // Set by Start(); replicas by the last OnSettled().
  DurableWrite write_;

  base::Mutex mu_;
  std::vector<placement::Target> order_ ABSL_GUARDED_BY(mu_);
  size_t next_target_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<Replica> slots_ ABSL_GUARDED_BY(mu_);
  std::vector<Replica> abandoned_ ABSL_GUARDED_BY(mu_);
  int unanswered_ ABSL_GUARDED_BY(mu_) = 0;
  bool all_ok_ ABSL_GUARDED_BY(mu_) = true;
  absl::Status last_failure_ ABSL_GUARDED_BY(mu_) =
      absl::UnavailableError("no other volume is up");
};

}  // namespace

void StartSmallPut(MetadataClient* metadata, AgentPool* agents,
                   std::shared_ptr<const ClusterView> view, std::string key,
                   std::string value, const base::Digest& digest,
                   PutOptions options, PutDone done) {
  std::make_shared<SmallPut>(metadata, agents, std::move(view),
                             std::move(value), std::move(done))
      ->Start(std::move(key), digest, std::move(options));
}

}  // namespace cairn::client
