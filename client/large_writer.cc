#include "client/large_writer.h"

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

// Pieces kept, and the caller held up with more, until each agent has accepted
// its upload: one that is refused starts again on the next volume.
// 8 x 256 KiB a write.
constexpr size_t kReplayPiecesMax = 8;

class WriterState : public std::enable_shared_from_this<WriterState> {
 public:
  WriterState(MetadataClient* metadata, AgentPool* agents,
              std::shared_ptr<const ClusterView> view, std::string key,
              PutOptions options, int64_t size_bytes_expected,
              std::function<void()> writable)
      : metadata_(metadata),
        agents_(agents),
        view_(std::move(view)),
        size_bytes_expected_(size_bytes_expected),
        writable_(std::move(writable)) {
    write_.key = std::move(key);
    write_.options = std::move(options);
    write_.durability = view_->map.durability();
  }

  void Start() {
    const int replicas = view_->map.replicas();
    {
      base::MutexLock lock(&mu_);
      order_ = placement::WritableOrder(view_->map, write_.key);
      slots_.resize(replicas);
    }
    for (int place = 0; place < replicas; ++place) Open(place);
  }

  bool Write(const Piece& piece) {
    std::vector<std::shared_ptr<BlobUpload>> uploads;
    {
      base::MutexLock lock(&mu_);
      size_bytes_ += piece.size;
      if (!status_.ok()) return false;
      if (replaying_) replay_.push_back(piece);
      if (replay_.size() > kReplayPiecesMax && AllAcceptedLocked()) {
        replaying_ = false;
        replay_.clear();
      }
      for (Slot& slot : slots_) uploads.push_back(slot.upload);
      full_ = false;
    }
    for (const auto& upload : uploads) {
      if (upload != nullptr) upload->Write(piece);
    }
    base::MutexLock lock(&mu_);
    full_ = FullLocked();
    return status_.ok() && !full_;
  }

  void Finish(const base::Digest& digest, PutDone done) {
    std::vector<std::shared_ptr<BlobUpload>> uploads;
    v1::PutBlobRequest::Trailer trailer;
    absl::Status status;
    {
      base::MutexLock lock(&mu_);
      v1::Record& record = write_.record;
      *record.mutable_version() = ToProto(metadata_->clock().Next());
      record.set_size_bytes(size_bytes_);
      SetDigest(digest, record.mutable_digest());
      *record.mutable_metadata() = write_.options.metadata;
      *trailer.mutable_version() = record.version();
      trailer.set_size_bytes(size_bytes_);
      *trailer.mutable_digest() = record.digest();
      status = status_;
      if (status.ok()) {
        finished_ = true;
        trailer_ = trailer;
        done_ = std::move(done);
        for (Slot& slot : slots_) uploads.push_back(slot.upload);
      }
    }
    if (!status.ok()) {
      Cancel();
      return done(status);
    }
    for (const auto& upload : uploads) {
      if (upload != nullptr) upload->Finish(trailer);
    }
  }

  absl::Status status() {
    base::MutexLock lock(&mu_);
    return status_;
  }

  // The caller is gone: no more calls to `writable`, nothing stays on disk.
  void Abandon() {
    {
      base::MutexLock lock(&mu_);
      writable_ = nullptr;
      if (finished_) return;  // Finish() sees to the rest.
    }
    Cancel();
  }

 private:
  struct Slot {
    Replica replica;
    std::shared_ptr<BlobUpload> upload;
    bool done = false;
    // Counts the uploads of this place: an upload may fail, and the next one
    // begin on another thread, before the first was put here.
    int attempt = 0;
  };

  // Starts an upload to the best volume that was not tried yet, with the
  // pieces so far.
  void Open(int place) {
    Replica replica;
    v1::PutBlobRequest::Trailer trailer;
    bool finished = false;
    int attempt = 0;
    {
      base::MutexLock lock(&mu_);
      attempt = ++slots_[place].attempt;
      while (replica.agent == nullptr && next_target_ < order_.size()) {
        const placement::Target& target = order_[next_target_++];
        replica.agent = agents_->Get(view_->map, target.volume_id);
        replica.where.set_volume_id(target.volume_id);
        replica.where.set_subvolume(target.subvolume);
      }
    }
    if (replica.agent == nullptr) {
      return Fail(absl::UnavailableError("no other volume is up"));
    }
    v1::PutBlobRequest::Header header;
    header.set_volume_id(replica.where.volume_id());
    header.set_subvolume(replica.where.subvolume());
    header.set_key(write_.key);
    *header.mutable_metadata() = write_.options.metadata;
    header.set_replicas(view_->map.replicas());
    header.set_durability(write_.durability);
    header.set_size_bytes_expected(size_bytes_expected_);
    header.set_request_id(write_.options.request_id);
    auto upload = replica.agent->Upload(
        header, [self = shared_from_this()] { self->OnProgress(); },
        [self = shared_from_this(), place,
         attempt](const absl::Status& status) {
          self->OnUploadDone(place, attempt, status);
        });
    {
      base::MutexLock lock(&mu_);
      if (slots_[place].attempt != attempt) return;  // It has failed already.
      for (const Piece& piece : replay_) upload->Write(piece);
      slots_[place].replica = replica;
      slots_[place].upload = upload;
      finished = finished_;
      trailer = trailer_;
    }
    if (finished) upload->Finish(trailer);
  }

  void OnProgress() {
    std::function<void()> writable;
    {
      base::MutexLock lock(&mu_);
      if (!full_ || FullLocked()) return;
      full_ = false;
      writable = writable_;
    }
    if (writable) writable();
  }

  bool AllAcceptedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (Slot& slot : slots_) {
      if (slot.upload == nullptr || !slot.upload->accepted()) return false;
    }
    return true;
  }

  bool FullLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (replay_.size() >= kReplayPiecesMax && !AllAcceptedLocked()) return true;
    for (Slot& slot : slots_) {
      if (slot.upload != nullptr &&
          slot.upload->pieces_waiting() >= base::kPiecesInFlightMax) {
        return true;
      }
    }
    return false;
  }

  void OnUploadDone(int place, int attempt, const absl::Status& status) {
    if (!status.ok()) {
      bool retry = false;
      {
        base::MutexLock lock(&mu_);
        if (slots_[place].attempt != attempt) return;
        ++slots_[place].attempt;
        retry = status_.ok() && replaying_ && next_target_ < order_.size();
        slots_[place].upload = nullptr;
      }
      if (retry) {
        Open(place);
        return OnProgress();
      }
      return Fail(status);
    }
    PutDone done;
    {
      base::MutexLock lock(&mu_);
      slots_[place].done = true;
      for (const Slot& slot : slots_) {
        if (!slot.done) return;
      }
      for (const Slot& slot : slots_) {
        write_.replicas.push_back(slot.replica);
      }
      done = std::move(done_);
      done_ = nullptr;
    }
    if (!done) return;
    write_.deadline = absl::Now() + base::kMetadataDeadline;
    FinishWrite(metadata_, std::move(write_), std::move(done));
  }

  void Fail(const absl::Status& cause) {
    std::function<void()> writable;
    PutDone done;
    absl::Status status;
    {
      base::MutexLock lock(&mu_);
      if (status_.ok()) {
        const auto code = cause.code() == absl::StatusCode::kResourceExhausted
                              ? absl::StatusCode::kResourceExhausted
                              : absl::StatusCode::kUnavailable;
        status_ = absl::Status(
            code, absl::StrCat("a volume failed during the write: ",
                               cause.message(), "; try again"));
      }
      status = status_;
      writable = writable_;
      done = std::move(done_);
      done_ = nullptr;
    }
    Cancel();
    if (done) {
      done(status);
    } else if (writable) {
      writable();
    }
  }

  // Ends all uploads, and removes the blobs of those that were complete.
  void Cancel() {
    std::vector<std::shared_ptr<BlobUpload>> uploads;
    std::vector<Replica> complete;
    {
      base::MutexLock lock(&mu_);
      for (Slot& slot : slots_) {
        if (slot.done) complete.push_back(slot.replica);
        uploads.push_back(std::move(slot.upload));
        slot.upload = nullptr;
      }
    }
    for (const auto& upload : uploads) {
      if (upload != nullptr) upload->Cancel();
    }
    RemoveUncommitted(write_.key, write_.record.version(), complete);
  }

  MetadataClient* const metadata_;
  AgentPool* const agents_;
  const std::shared_ptr<const ClusterView> view_;
  const int64_t size_bytes_expected_;
  // Key, options, durability set at the start; the rest by Finish().
  DurableWrite write_;

  base::Mutex mu_;
  std::function<void()> writable_ ABSL_GUARDED_BY(mu_);
  PutDone done_ ABSL_GUARDED_BY(mu_);
  v1::PutBlobRequest::Trailer trailer_ ABSL_GUARDED_BY(mu_);
  std::vector<placement::Target> order_ ABSL_GUARDED_BY(mu_);
  size_t next_target_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<Slot> slots_ ABSL_GUARDED_BY(mu_);
  // All pieces so far, while replaying_.
  std::vector<Piece> replay_ ABSL_GUARDED_BY(mu_);
  bool replaying_ ABSL_GUARDED_BY(mu_) = true;
  int64_t size_bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool full_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

class LargeWriterImpl final : public LargeWriter {
 public:
  explicit LargeWriterImpl(std::shared_ptr<WriterState> state)
      : state_(std::move(state)) {}
  ~LargeWriterImpl() override { state_->Abandon(); }
  bool Write(const Piece& piece) override { return state_->Write(piece); }
  void Finish(const base::Digest& digest, PutDone done) override {
    state_->Finish(digest, std::move(done));
  }
  absl::Status status() override { return state_->status(); }

 private:
  const std::shared_ptr<WriterState> state_;
};

}  // namespace

std::unique_ptr<LargeWriter> StartLargeWriter(
    MetadataClient* metadata, AgentPool* agents,
    std::shared_ptr<const ClusterView> view, std::string key,
    PutOptions options, int64_t size_bytes_expected,
    std::function<void()> writable) {
  auto state = std::make_shared<WriterState>(
      metadata, agents, std::move(view), std::move(key), std::move(options),
      size_bytes_expected, std::move(writable));
  state->Start();
  return std::make_unique<LargeWriterImpl>(std::move(state));
}

}  // namespace cairn::client
