// The way into a reactor from other threads, and the exchanges that use it.

#ifndef CAIRN_GATEWAY_HTTP_MAILBOX_H_
#define CAIRN_GATEWAY_HTTP_MAILBOX_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "gateway/http/exchange.h"

namespace cairn::http {

class Connection;
class EdgeExchange;

enum class CommandKind {
  // Of an exchange; what belongs to them lies in it.
  kRespond,
  kReadBody,
  kStreamBody,
  kResumeBody,
  kSourcePiece,
  // Of the reactor.
  kAdopt,  // A connection that another reactor has accepted.
  kDrain,
  kStop,
};

struct Command {
  CommandKind kind;
  std::shared_ptr<EdgeExchange> exchange;
  // Of kAdopt.
  int fd = -1;
  std::string peer;
};

// A queue of commands that wakes its reactor, with one write to an eventfd for
// as many commands as come while it is awake.
//
// Thread safety: Post() from any thread, at any time; all else from the
// reactor's thread only.
class Mailbox {
 public:
  Mailbox();
  ~Mailbox();
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // From the reactor's own thread it takes no lock, and the command waits for
  // the handler to return. False: closed; the command was dropped.
  bool Post(Command command);

  // To be watched, edge-triggered: it need never be read.
  int event_fd() const { return event_fd_; }
  // From here on this is the reactor's thread.
  void Bind();
  // Appends what is there to `commands`; false if there is nothing.
  bool Take(std::vector<Command>* commands);
  // From now on a Post() writes to the eventfd. False: something came already,
  // so do not sleep.
  bool PrepareToSleep();
  // From now on it need not.
  void Awake();
  // Drops what is there and what will come.
  void Close();

 private:
  const int event_fd_;
  // Commands posted by the reactor's own thread.
  std::vector<Command> own_;

  base::Mutex mu_;
  std::vector<Command> posted_ ABSL_GUARDED_BY(mu_);
  bool asleep_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

// The edge's Exchange. The handler's threads write an argument here and post
// a command; the reactor reads it when it takes the command. Each argument has
// at most one command under way, so the mailbox's lock is enough.
class EdgeExchange : public Exchange,
                     public std::enable_shared_from_this<EdgeExchange> {
 public:
  EdgeExchange(RequestHead head, std::shared_ptr<Mailbox> mailbox,
               Connection* connection);

  const RequestHead& head() const override { return head_; }
  void ReadBody(int64_t bytes_max,
                std::function<void(std::string body)> done) override;
  void StreamBody(std::shared_ptr<BodySink> sink) override;
  void ResumeBody() override;
  void Respond(Response response) override;
  int64_t start_us() const override { return start_us_; }

  // Lets go of the argument of a command that cannot be carried out: it may
  // hold this exchange in turn.
  void Drop(CommandKind kind);
  // What BodySource::Next() gave.
  void OnSourcePiece(absl::StatusOr<std::string> piece);

  // --- For the reactor's thread only ---

  // nullptr: the connection is gone, or at another request.
  Connection* connection;
  // Arguments of the commands of these names.
  Response response;
  int64_t body_bytes_max = 0;
  std::function<void(std::string body)> body_done;
  std::shared_ptr<BodySink> sink;
  absl::StatusOr<std::string> piece;

 private:
  void Post(CommandKind kind);

  const RequestHead head_;
  const std::shared_ptr<Mailbox> mailbox_;
  const int64_t start_us_;
  // Only the first Respond() and the first taking of the body count. Relaxed
  // would do: the mailbox orders everything else.
  std::atomic<bool> responded_{false};
  std::atomic<bool> body_taken_{false};
};

}  // namespace cairn::http

#endif  // CAIRN_GATEWAY_HTTP_MAILBOX_H_
