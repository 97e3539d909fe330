#include "gateway/http/mailbox.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <ctime>
#include <iterator>
#include <utility>

#include "base/check.h"

namespace cairn::http {
namespace {

// The mailbox of the reactor whose thread this is.
thread_local Mailbox* bound_mailbox = nullptr;

int64_t NowUs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000 + now.tv_nsec / 1000;
}

}  // namespace

Mailbox::Mailbox() : event_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  // Only at start: without descriptors there is nothing to serve.
  CHECK(event_fd_ >= 0);
}

Mailbox::~Mailbox() { close(event_fd_); }

bool Mailbox::Post(Command command) {
  if (bound_mailbox == this) {
    own_.push_back(std::move(command));
    return true;
  }
  bool wake = false;
  {
    base::MutexLock lock(&mu_);
    if (closed_) return false;
    posted_.push_back(std::move(command));
    wake = asleep_;
    asleep_ = false;
  }
  if (!wake) return true;
  const uint64_t one = 1;
  // It can only fail when the counter is full: then the reactor is awake.
  [[maybe_unused]] const ssize_t ignored = write(event_fd_, &one, sizeof(one));
  return true;
}

void Mailbox::Bind() { bound_mailbox = this; }

bool Mailbox::Take(std::vector<Command>* commands) {
  const size_t before = commands->size();
  std::move(own_.begin(), own_.end(), std::back_inserter(*commands));
  own_.clear();
  base::MutexLock lock(&mu_);
  std::move(posted_.begin(), posted_.end(), std::back_inserter(*commands));
  posted_.clear();
  return commands->size() > before;
}

bool Mailbox::PrepareToSleep() {
  if (!own_.empty()) return false;
  base::MutexLock lock(&mu_);
  asleep_ = posted_.empty();
  return asleep_;
}

void Mailbox::Awake() {
  base::MutexLock lock(&mu_);
  asleep_ = false;
}

void Mailbox::Close() {
  std::vector<Command> dropped = std::move(own_);
  {
    base::MutexLock lock(&mu_);
    closed_ = true;
    std::move(posted_.begin(), posted_.end(), std::back_inserter(dropped));
    posted_.clear();
  }
  bound_mailbox = nullptr;
  for (const Command& command : dropped) {
    if (command.kind == CommandKind::kAdopt) close(command.fd);
    if (command.exchange != nullptr) command.exchange->Drop(command.kind);
  }
}

EdgeExchange::EdgeExchange(RequestHead head, std::shared_ptr<Mailbox> mailbox,
                           Connection* connection)
    : connection(connection),
      head_(std::move(head)),
      mailbox_(std::move(mailbox)),
      start_us_(NowUs()) {}

void EdgeExchange::Post(CommandKind kind) {
  if (!mailbox_->Post({kind, shared_from_this()})) Drop(kind);
}

void EdgeExchange::Drop(CommandKind kind) {
  if (kind == CommandKind::kReadBody) body_done = nullptr;
  if (kind == CommandKind::kStreamBody) sink = nullptr;
  if (kind == CommandKind::kRespond) response = Response();
  if (kind == CommandKind::kSourcePiece) piece = std::string();
}

void EdgeExchange::ReadBody(int64_t bytes_max,
                            std::function<void(std::string body)> done) {
  if (body_taken_.exchange(true)) return;
  body_bytes_max = bytes_max;
  body_done = std::move(done);
  Post(CommandKind::kReadBody);
}

void EdgeExchange::StreamBody(std::shared_ptr<BodySink> body_sink) {
  if (body_taken_.exchange(true)) return;
  sink = std::move(body_sink);
  Post(CommandKind::kStreamBody);
}

void EdgeExchange::ResumeBody() { Post(CommandKind::kResumeBody); }

void EdgeExchange::Respond(Response answer) {
  if (responded_.exchange(true)) return;
  response = std::move(answer);
  Post(CommandKind::kRespond);
}

void EdgeExchange::OnSourcePiece(absl::StatusOr<std::string> next) {
  piece = std::move(next);
  Post(CommandKind::kSourcePiece);
}

}  // namespace cairn::http
