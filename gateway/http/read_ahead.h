// Asks a source for its next piece while the last one is being sent, so that
// reading and sending overlap.

#ifndef CAIRN_GATEWAY_HTTP_READ_AHEAD_H_
#define CAIRN_GATEWAY_HTTP_READ_AHEAD_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "gateway/http/exchange.h"

namespace cairn::http {

// Holds at most one piece that nobody has asked for yet. Begins with the first
// Next(). Thread safety: as BodySource; a read under way keeps it.
class ReadAhead final : public BodySource,
                        public std::enable_shared_from_this<ReadAhead> {
 public:
  explicit ReadAhead(std::shared_ptr<BodySource> source);

  void Next(std::function<void(absl::StatusOr<std::string>)> done) override;

 private:
  using Done = std::function<void(absl::StatusOr<std::string>)>;
  // At most one at a time.
  void Ask();
  void OnPiece(absl::StatusOr<std::string> piece);

  const std::shared_ptr<BodySource> source_;
  base::Mutex mu_;
  bool asking_ ABSL_GUARDED_BY(mu_) = false;
  std::optional<absl::StatusOr<std::string>> piece_ ABSL_GUARDED_BY(mu_);
  Done waiting_ ABSL_GUARDED_BY(mu_);  // For the piece that is asked for.
};

}  // namespace cairn::http

#endif  // CAIRN_GATEWAY_HTTP_READ_AHEAD_H_
