#include "gateway/http/reactor.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/check.h"
#include "base/limits.h"
#include "base/logging.h"
#include "gateway/http/listener.h"

namespace cairn::http {
namespace {

constexpr int kEventsPerRound = 512;
// Answers from memory can bring new requests and pieces for as long as their
// client reads; after this many passes the other connections get their turn.
constexpr int kPassesPerRound = 16;

int64_t NowMs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

// Deadlines are kept to a quarter.
int64_t TickMs(const EdgeOptions& options) {
  const int64_t shortest =
      std::min({options.head_deadline_ms, options.idle_deadline_ms,
                options.rate_window_ms});
  return std::clamp<int64_t>(shortest / 4, 10, 250);
}

int OpenSpare() { return open("/dev/null", O_RDONLY | O_CLOEXEC); }

}  // namespace

Reactor::Reactor(EdgeShared* shared)
    : shared_(shared),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)),
      tick_ms_(TickMs(shared->options)),
      spare_fd_(OpenSpare()) {
  CHECK(epoll_fd_ >= 0);
  context_.options = &shared->options;
  context_.handler = shared->handler;
  context_.draining = &shared->draining;
  context_.mailbox = std::make_shared<Mailbox>();
  context_.scratch = std::make_unique<char[]>(base::kSocketReadBytes);
}

Reactor::~Reactor() {
  if (spare_fd_ >= 0) close(spare_fd_);
  close(epoll_fd_);
}

void Reactor::Start(int number) {
  thread_ = std::thread([this, number] {
    pthread_setname_np(pthread_self(), absl::StrCat("http-", number).c_str());
    Run();
  });
}

void Reactor::Join() { thread_.join(); }

void Reactor::Run() {
  context_.mailbox->Bind();
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = context_.mailbox.get();
  CHECK(epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, context_.mailbox->event_fd(),
                  &event) == 0);
  WatchListener();
  context_.now_ms = NowMs();
  next_tick_ms_ = context_.now_ms + tick_ms_;
  while (!stopping_) {
    HandleEvents();
    Settle();
    if (context_.now_ms >= next_tick_ms_) {
      Tick();
      Settle();
    }
    DeleteClosed();
  }
  CloseAll();
}

void Reactor::HandleEvents() {
  epoll_event events[kEventsPerRound];
  int64_t timeout_ms = std::max<int64_t>(0, next_tick_ms_ - context_.now_ms);
  if (!context_.ready.empty() || !context_.mailbox->PrepareToSleep()) {
    timeout_ms = 0;
  }
  const int count = epoll_wait(epoll_fd_, events, kEventsPerRound,
                               static_cast<int>(timeout_ms));
  context_.mailbox->Awake();
  context_.now_ms = NowMs();
  const std::vector<Connection*> ready = std::exchange(context_.ready, {});
  for (int i = 0; i < count; ++i) {
    void* const who = events[i].data.ptr;
    if (who == this) {
      AcceptSome();
    } else if (who != context_.mailbox.get()) {
      static_cast<Connection*>(who)->OnEvents(events[i].events);
    }
  }
  for (Connection* connection : ready) connection->OnReady();
}

void Reactor::Settle() {
  for (int pass = 0; pass < kPassesPerRound; ++pass) {
    if (context_.mailbox->Take(&commands_)) {
      for (const Command& command : commands_) Handle(command);
      commands_.clear();
    } else if (context_.handler_called) {
      context_.handler_called = false;
      context_.handler->OnRoundEnd();
    } else {
      return;
    }
  }
  if (!std::exchange(context_.handler_called, false)) return;
  context_.handler->OnRoundEnd();
}

void Reactor::Handle(const Command& command) {
  switch (command.kind) {
    case CommandKind::kAdopt:
      Adopt(command.fd, command.peer, Admission::kServe);
      return;
    case CommandKind::kDrain:
      Drain();
      return;
    case CommandKind::kStop:
      stopping_ = true;
      return;
    default:
      break;
  }
  Connection* const connection = command.exchange->connection;
  if (connection == nullptr) {
    command.exchange->Drop(command.kind);
  } else {
    connection->OnCommand(command.kind);
  }
}

void Reactor::Drain() {
  // Clients that are through the handshake are served once more.
  while (AcceptSome()) {
  }
  accept_paused_ = false;
  UnwatchListener();
  if (shared_->accepting.fetch_sub(1) == 1) {
    shutdown(shared_->listen_fd, SHUT_RDWR);
  }
  for (auto& entry : connections_) entry.first->OnDrain();
}

void Reactor::Tick() {
  next_tick_ms_ = context_.now_ms + tick_ms_;
  if (std::exchange(accept_paused_, false)) WatchListener();
  for (auto& entry : connections_) entry.first->OnTick();
}

void Reactor::DeleteClosed() {
  if (context_.closed.empty()) return;
  // One that waited for its turn may have been closed meanwhile.
  context_.ready.erase(
      std::remove_if(
          context_.ready.begin(), context_.ready.end(),
          [](Connection* connection) { return connection->closed(); }),
      context_.ready.end());
  for (Connection* connection : std::exchange(context_.closed, {})) {
    const auto it = connections_.find(connection);
    const Entry entry = std::move(it->second);
    connections_.erase(it);
    load_.fetch_sub(1, std::memory_order_relaxed);
    shared_->limits.Release(entry.ip, entry.admission);
  }
}

void Reactor::CloseAll() {
  for (auto& entry : connections_) entry.first->Close();
  if (std::exchange(context_.handler_called, false)) {
    context_.handler->OnRoundEnd();
  }
  DeleteClosed();
  context_.mailbox->Close();
}

void Reactor::WatchListener() {
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLEXCLUSIVE;
  event.data.ptr = this;
  listener_watched_ =
      epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, shared_->listen_fd, &event) == 0;
}

void Reactor::UnwatchListener() {
  if (!std::exchange(listener_watched_, false)) return;
  epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, shared_->listen_fd, nullptr);
}

bool Reactor::AcceptSome() {
  for (int i = 0; i < base::kAcceptsPerTurn; ++i) {
    sockaddr_storage address = {};
    socklen_t size = sizeof(address);
    const int fd =
        accept4(shared_->listen_fd, reinterpret_cast<sockaddr*>(&address),
                &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      Place(fd, FormatAddress(address));
    } else if (!OnAcceptError(errno)) {
      return false;
    }
  }
  return true;
}

// Whether to go on. accept(2): errors of the new connection come this way too.
bool Reactor::OnAcceptError(int error) {
  switch (error) {
    case EAGAIN:
    case EINVAL:  // Shut down: drained.
      return false;
    case EMFILE:
    case ENFILE:
      base::LogWarning("http: out of file descriptors; a client is dropped");
      // Drops one, so that it does not wait in vain, then lets some close.
      if (spare_fd_ >= 0) close(spare_fd_);
      {
        const int fd = accept4(shared_->listen_fd, nullptr, nullptr, 0);
        if (fd >= 0) close(fd);
      }
      spare_fd_ = OpenSpare();
      break;
    case ENOBUFS:
    case ENOMEM:
      break;
    default:
      return true;
  }
  UnwatchListener();
  accept_paused_ = true;
  return false;
}

void Reactor::Place(int fd, const std::string& peer) {
  const Admission admission = shared_->limits.Admit(HostOf(peer));
  if (admission == Admission::kDrop) {
    close(fd);
    return;
  }
  Reactor* best = this;
  if (admission == Admission::kServe) {
    for (const auto& other : shared_->reactors) {
      if (other->load_.load(std::memory_order_relaxed) <
          best->load_.load(std::memory_order_relaxed)) {
        best = other.get();
      }
    }
  }
  best->load_.fetch_add(1, std::memory_order_relaxed);
  if (best == this) {
    Adopt(fd, peer, admission);
  } else {
    best->Post({CommandKind::kAdopt, nullptr, fd, peer});
  }
}

void Reactor::Adopt(int fd, const std::string& peer, Admission admission) {
  auto owned = std::make_unique<Connection>(&context_, fd, peer);
  Connection* const connection = owned.get();
  connections_[connection] = {std::move(owned), std::string(HostOf(peer)),
                              admission};
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = connection;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
    connection->Close();  // ENOSPC: the user's limit of watches.
    return;
  }
  if (admission == Admission::kRefuse) {
    connection->RefuseAll("There are too many connections; try again soon.");
  } else if (shared_->draining.load(std::memory_order_relaxed)) {
    connection->OnDrain();
  }
}

}  // namespace cairn::http
