#include "rpc/event_loop.h"

#include <utility>

#include "absl/time/clock.h"

namespace cairn::rpc {

EventLoop::EventLoop()
    : server_cq_(nullptr),
      cq_(std::make_unique<grpc::CompletionQueue>()),
      thread_([this] { Run(); }) {}

EventLoop::EventLoop(grpc::ServerBuilder* builder)
    : EventLoop(builder->AddCompletionQueue()) {}

EventLoop::EventLoop(std::unique_ptr<grpc::ServerCompletionQueue> cq)
    : server_cq_(cq.get()), cq_(std::move(cq)), thread_([this] { Run(); }) {}

EventLoop::~EventLoop() {
  {
    base::MutexLock lock(&mu_);
    while (uses_ > 0) unused_.Wait(&mu_);
  }
  stopping_ = true;
  cq_->Shutdown();
  thread_.join();
}

EventLoop::Use::Use(EventLoop* loop) : loop_(loop) {
  base::MutexLock lock(&loop_->mu_);
  ++loop_->uses_;
}

EventLoop::Use::~Use() {
  base::MutexLock lock(&loop_->mu_);
  if (--loop_->uses_ == 0) loop_->unused_.SignalAll();
}

void EventLoop::AddTicker(std::function<bool()> ticker) {
  base::MutexLock lock(&mu_);
  tickers_.push_back(std::move(ticker));
}

void EventLoop::Run() {
  absl::Time next_tick = absl::Now() + kTick;
  while (true) {
    void* tag = nullptr;
    bool ok = false;
    const auto status =
        cq_->AsyncNext(&tag, &ok, absl::ToChronoTime(next_tick));
    if (status == grpc::CompletionQueue::SHUTDOWN) return;
    if (status == grpc::CompletionQueue::GOT_EVENT) {
      static_cast<Event*>(tag)->OnEvent(ok);
    }
    if (absl::Now() < next_tick) continue;
    next_tick = absl::Now() + kTick;
    if (!stopping_) RunTickers();
  }
}

void EventLoop::RunTickers() {
  std::vector<std::function<bool()>> current;
  {
    base::MutexLock lock(&mu_);
    current.swap(tickers_);
  }
  std::vector<std::function<bool()>> kept;
  for (auto& ticker : current) {
    if (ticker()) kept.push_back(std::move(ticker));
  }
  base::MutexLock lock(&mu_);
  for (auto& ticker : kept) tickers_.push_back(std::move(ticker));
}

}  // namespace cairn::rpc
