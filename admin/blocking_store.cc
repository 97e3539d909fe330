#include "admin/blocking_store.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/status.h"
#include "client/piece.h"

namespace cairn::admin {
namespace {

// The last resort above the deadlines within client/: a commit after a sync.
const absl::Duration kAnswerDeadline =
    2 * base::kBlobPieceDeadline + base::kMetadataDeadline;

// Lets one thread wait for what others do. Shared with callbacks, which may
// come after nobody waits any more.
class Event {
 public:
  void Set() {
    base::MutexLock lock(&mu_);
    set_ = true;
    changed_.SignalAll();
  }
  // False: `timeout` passed. Clears the event.
  bool Wait(absl::Duration timeout) {
    const absl::Time deadline = absl::Now() + timeout;
    base::MutexLock lock(&mu_);
    while (!set_) {
      const absl::Duration left = deadline - absl::Now();
      if (left <= absl::ZeroDuration()) return false;
      changed_.WaitFor(&mu_, left);
    }
    set_ = false;
    return true;
  }

 private:
  base::Mutex mu_;
  base::CondVar changed_;
  bool set_ ABSL_GUARDED_BY(mu_) = false;
};

// Calls `start` with a callback and returns what the callback is given.
template <typename Answer, typename Start>
Answer Await(const Start& start) {
  struct Shared {
    Event event;
    std::optional<Answer> answer;  // Written before the event is set.
  };
  const auto shared = std::make_shared<Shared>();
  start([shared](Answer answer) {
    shared->answer.emplace(std::move(answer));
    shared->event.Set();
  });
  if (!shared->event.Wait(kAnswerDeadline)) {
    return absl::DeadlineExceededError("no answer in time");
  }
  return *std::move(shared->answer);
}

// Reads until `size` bytes are there or the source ends.
absl::StatusOr<size_t> ReadFull(const ByteSource& source, char* buffer,
                                size_t size) {
  size_t filled = 0;
  while (filled < size) {
    ASSIGN_OR_RETURN(const size_t got, source(buffer + filled, size - filled));
    if (got == 0) break;
    filled += got;
  }
  return filled;
}

// Writes a piece and waits until the next one is wanted.
absl::Status WritePiece(const client::Piece& piece, client::LargeWriter* writer,
                        Event* writable) {
  if (writer->Write(piece)) return absl::OkStatus();
  RETURN_IF_ERROR(writer->status());
  if (!writable->Wait(kAnswerDeadline)) {
    return absl::DeadlineExceededError("the volumes take no bytes");
  }
  return writer->status();
}

// What has been read of a value, over all replicas that were tried.
struct Progress {
  int64_t bytes = 0;
  base::DigestHasher digest;
  // The sink's; not OK: another replica would not help.
  absl::Status sink;
};

absl::Status ReadReplica(client::BlobReader* reader, const ByteSink& sink,
                         Progress* progress) {
  for (;;) {
    auto piece = Await<absl::StatusOr<std::string>>(
        [&](client::BlobReader::PieceDone done) {
          reader->Read(std::move(done));
        });
    if (!piece.ok()) return piece.status();
    if (piece->empty()) return absl::OkStatus();
    progress->bytes += static_cast<int64_t>(piece->size());
    progress->digest.Update(*piece);
    progress->sink = sink(*piece);
    RETURN_IF_ERROR(progress->sink);
  }
}

}  // namespace

absl::StatusOr<client::PutOutcome> BlockingStore::Put(
    const std::string& key, const ByteSource& source,
    int64_t size_bytes_expected, client::PutOptions options) {
  // One byte more than a small value: tells whether it is one.
  std::string head(base::kSmallBlobBytesMax + 1, '\0');
  ASSIGN_OR_RETURN(const size_t got,
                   ReadFull(source, head.data(), head.size()));
  head.resize(got);
  if (static_cast<int64_t>(got) > base::kSmallBlobBytesMax) {
    return PutLarge(key, std::move(head), source, size_bytes_expected,
                    std::move(options));
  }
  const base::Digest digest = base::DigestOf(head);
  return Await<absl::StatusOr<client::PutOutcome>>([&](client::PutDone done) {
    store_->PutSmall(key, std::move(head), digest, std::move(options),
                     std::move(done));
  });
}

absl::StatusOr<client::PutOutcome> BlockingStore::PutLarge(
    const std::string& key, std::string head, const ByteSource& source,
    int64_t size_bytes_expected, client::PutOptions options) {
  const auto writable = std::make_shared<Event>();
  ASSIGN_OR_RETURN(
      const std::unique_ptr<client::LargeWriter> writer,
      store_->NewLargeWriter(key, std::move(options), size_bytes_expected,
                             [writable] { writable->Set(); }));
  base::DigestHasher digest;
  int64_t written = 0;
  for (;;) {
    client::Piece piece = client::Piece::Allocate(base::kPieceBytes);
    piece.size = head.size();
    std::memcpy(piece.data.get(), head.data(), head.size());
    head.clear();
    ASSIGN_OR_RETURN(const size_t got,
                     ReadFull(source, piece.data.get() + piece.size,
                              base::kPieceBytes - piece.size));
    piece.size += got;
    if (piece.size == 0) break;
    written += static_cast<int64_t>(piece.size);
    if (written > base::kValueBytesMax) {
      return absl::InvalidArgumentError(
          absl::StrCat("the value has more than ", base::kValueBytesMax,
                       " bytes, the most allowed"));
    }
    digest.Update(piece.view());
    RETURN_IF_ERROR(WritePiece(piece, writer.get(), writable.get()));
  }
  return Await<absl::StatusOr<client::PutOutcome>>([&](client::PutDone done) {
    writer->Finish(digest.Finish(), std::move(done));
  });
}

absl::StatusOr<client::GetOutcome> BlockingStore::Lookup(const std::string& key,
                                                         bool with_value) {
  return Await<absl::StatusOr<client::GetOutcome>>([&](client::GetDone done) {
    store_->Get(key, with_value, /*request_id=*/"", std::move(done));
  });
}

absl::Status BlockingStore::Get(const std::string& key, const ByteSink& sink) {
  absl::Status last;
  // A blob that is gone was most likely just replaced: look again.
  for (int lookup = 0; lookup < base::kReadLookupsMax; ++lookup) {
    ASSIGN_OR_RETURN(const client::GetOutcome found, Lookup(key, true));
    if (found.has_value) return sink(found.value);
    const v1::Record& record = found.record;
    Progress progress;
    for (const int replica : store_->ReadOrder(record, base::Xxh3(key))) {
      if (progress.bytes == record.size_bytes()) break;
      const auto reader = store_->NewBlobReader(key, record, replica,
                                                progress.bytes, /*length=*/0);
      last = ReadReplica(reader.get(), sink, &progress);
      RETURN_IF_ERROR(progress.sink);
    }
    if (progress.bytes == record.size_bytes()) {
      if (progress.digest.Finish().xxh3 == record.digest().xxh3()) {
        return absl::OkStatus();
      }
      return absl::DataLossError(
          "the bytes that were read do not match the value's hash");
    }
    // What was given to the sink cannot be taken back.
    if (progress.bytes > 0) break;
  }
  if (last.ok()) last = absl::UnavailableError("no replica gave all bytes");
  // Of a blob, not of the key: that is known to exist.
  if (absl::IsNotFound(last)) return absl::UnavailableError(last.message());
  return last;
}

absl::StatusOr<v1::Record> BlockingStore::Stat(const std::string& key) {
  ASSIGN_OR_RETURN(client::GetOutcome found, Lookup(key, false));
  return std::move(found.record);
}

absl::Status BlockingStore::Delete(const std::string& key) {
  return Await<absl::Status>([&](client::StoreClient::DeleteDone done) {
    store_->Delete(key, v1::Precondition(), /*request_id=*/"", std::move(done));
  });
}

absl::StatusOr<v1::ListKeysResponse> BlockingStore::List(
    const std::string& prefix, const std::string& start, bool with_records) {
  v1::ListKeysRequest request;
  request.set_prefix(prefix);
  request.set_start(start);
  request.set_with_records(with_records);
  // 10,000 keys of 1,024 bytes are 10 MB, below the 16 MB of a message.
  request.set_page_size(with_records ? base::kListPageRecordsMax
                                     : base::kListPageKeysMax);
  return Await<absl::StatusOr<v1::ListKeysResponse>>(
      [&](client::MetadataClient::ListDone done) {
        store_->ListKeys(std::move(request), std::move(done));
      });
}

}  // namespace cairn::admin
