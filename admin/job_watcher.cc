#include "admin/job_watcher.h"

#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "admin/interrupt.h"
#include "admin/session.h"
#include "base/mutex.h"
#include "base/status.h"

namespace cairn::admin {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);

// Reads the call in a thread of its own and keeps what has come.
class Reader {
 public:
  explicit Reader(JobCall* call)
      : call_(call), thread_([this] { ReadAll(); }) {}
  ~Reader() { thread_.join(); }

  // What has come since the last call; waits a tick for it. False: the call
  // has ended and all was taken.
  bool Take(std::vector<JobUpdate>* updates) {
    base::MutexLock lock(&mu_);
    if (waiting_.empty() && !ended_) changed_.WaitFor(&mu_, kTick);
    *updates = std::exchange(waiting_, {});
    return !updates->empty() || !ended_;
  }
  bool ended() {
    base::MutexLock lock(&mu_);
    return ended_;
  }

 private:
  void ReadAll() {
    for (JobUpdate update; call_->Next(&update); update = JobUpdate()) {
      base::MutexLock lock(&mu_);
      waiting_.push_back(std::move(update));
      changed_.SignalAll();
    }
    base::MutexLock lock(&mu_);
    ended_ = true;
    changed_.SignalAll();
  }

  JobCall* const call_;
  base::Mutex mu_;
  base::CondVar changed_;
  // A job tells its progress a few times a second: never many.
  std::vector<JobUpdate> waiting_ ABSL_GUARDED_BY(mu_);
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: it uses all of the above.
};

enum class Answer { kStop, kLeave, kGoOn };

// The line that is typed; nothing: the job has ended before.
std::optional<std::string> ReadLine(Reader* reader) {
  std::string line;
  for (;;) {
    if (reader->ended()) return std::nullopt;
    pollfd input = {STDIN_FILENO, POLLIN, 0};
    if (poll(&input, 1, 200) <= 0) continue;
    char byte = 0;
    if (read(STDIN_FILENO, &byte, 1) <= 0) return "l";  // Nobody is there.
    if (byte == '\n') return line;
    line.push_back(byte);
  }
}

Answer Ask(const std::string& name, ProgressBar* bar, Reader* reader) {
  bar->Print(absl::StrCat(
      "The ", name, " is under way. s: stop it; l: leave it running; ",
      "Enter: go on watching. (Ctrl-C leaves it running too.)"));
  const std::optional<std::string> line = ReadLine(reader);
  if (!line.has_value()) return Answer::kGoOn;
  const std::string word =
      absl::AsciiStrToLower(absl::StripAsciiWhitespace(*line));
  if (word == "s" || word == "stop") return Answer::kStop;
  if (word == "l" || word == "leave") return Answer::kLeave;
  return Answer::kGoOn;
}

std::string GoesOn(const std::string& name) {
  return absl::StrCat("cairn: the ", name,
                      " goes on: `cairn jobs` shows it, `cairn jobs cancel` "
                      "stops it");
}

// What a signal means. True: the job is left alone.
bool HandleSignal(JobCall* call, const std::string& name, ProgressBar* bar,
                  Reader* reader, Interrupt* interrupt) {
  const bool person = isatty(STDIN_FILENO) != 0 && bar->visible();
  if (!person || Interrupt::signal() != SIGINT) {
    bar->Print(GoesOn(name));
    interrupt->EndBySignal();
  }
  const Answer answer = Ask(name, bar, reader);
  interrupt->Rearm();
  switch (answer) {
    case Answer::kGoOn:
      return false;
    case Answer::kLeave:
      bar->Print(GoesOn(name));
      call->Detach();
      return true;
    case Answer::kStop:
      break;
  }
  bar->Print(absl::StrCat("cairn: stopping the ", name));
  const absl::Status stopped = call->Stop();
  if (!stopped.ok()) bar->Print(absl::StrCat("cairn: ", stopped.message()));
  return false;
}

absl::Status Show(const std::vector<JobUpdate>& updates, bool json,
                  ProgressBar* bar) {
  std::string text;
  for (const JobUpdate& update : updates) {
    if (!json && !bar->visible()) text += update.phase_text;
    text += json ? update.json : update.text;
  }
  if (!text.empty()) {
    bar->Clear();
    RETURN_IF_ERROR(Print(text));
  }
  if (!updates.empty()) bar->Update(updates.back().bar);
  return absl::OkStatus();
}

}  // namespace

absl::Status WatchJob(JobCall* call, const std::string& name, bool json,
                      bool* left) {
  *left = false;
  ProgressBar bar;
  Interrupt interrupt;
  absl::Status shown;
  {
    Reader reader(call);
    std::vector<JobUpdate> updates;
    while (reader.Take(&updates)) {
      if (*left) continue;
      shown = Show(updates, json, &bar);
      if (!shown.ok()) {
        call->Detach();
        *left = true;
      } else if (Interrupt::signal() != 0) {
        *left = HandleSignal(call, name, &bar, &reader, &interrupt);
      }
    }
  }
  bar.Clear();
  RETURN_IF_ERROR(shown);
  return *left ? absl::OkStatus() : call->Finish();
}

}  // namespace cairn::admin
