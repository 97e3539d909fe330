#include "tests/population.h"

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/http.h"

namespace cairn::tests {
namespace {

constexpr size_t kFindingsShown = 10;
// A declared 503 is asked again for so long.
constexpr absl::Duration kLostMax = absl::Minutes(3);

// Of 200 keys: 100 of 20 bytes, 60 of 1,000, 30 of 5,000 (not kept in the
// index), 9 of 70,000 (streamed), 1 of 300,000.
size_t SizeOf(int key) {
  const int place = key % 200;
  if (place < 100) return 20;
  if (place < 160) return 1000;
  if (place < 190) return 5000;
  return place < 199 ? 70000 : 300000;
}

}  // namespace

Population::Population(int gateway_port, int keys, int workers)
    : port_(gateway_port), workers_(workers), keys_(keys) {}

Population::~Population() { Stop(); }

std::string Population::NameOf(int key) const {
  return absl::StrCat("/population/", key);
}

// Begins with key and number, and ends with them.
std::string Population::ValueOf(int key, uint64_t number) {
  const std::string mark = absl::StrCat(key, ":", number, ".");
  std::string value = mark;
  value.resize(std::max(SizeOf(key), mark.size()), 'x');
  return value + mark;
}

void Population::ForAll(void (Population::*visit)(int worker)) {
  std::vector<std::thread> threads;
  for (int worker = 0; worker < workers_; ++worker) {
    threads.emplace_back([this, visit, worker] { (this->*visit)(worker); });
  }
  for (std::thread& thread : threads) thread.join();
}

void Population::Fill() { ForAll(&Population::FillSome); }

void Population::FillSome(int worker) {
  for (size_t key = worker; key < keys_.size(); key += workers_) {
    Write(static_cast<int>(key), 1);
  }
}

void Population::Start() {
  stopping_ = false;
  for (int worker = 0; worker < workers_; ++worker) {
    threads_.emplace_back([this, worker] { Work(worker); });
  }
}

void Population::Stop() {
  stopping_ = true;
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void Population::Work(int worker) {
  std::mt19937 random(worker);
  const int mine =
      (static_cast<int>(keys_.size()) - worker + workers_ - 1) / workers_;
  while (!stopping_) {
    const int key = static_cast<int>(random() % mine) * workers_ + worker;
    const int what = static_cast<int>(random() % 20);
    if (what < 15) {
      Read(key);
    } else {
      const Key& now = keys_[key];
      const uint64_t next = std::max(now.number, now.before) + 1;
      Write(key, what < 18 || now.number == 0 ? next : 0);
    }
    ++operations_;
  }
}

void Population::Write(int key, uint64_t number) {
  Key& now = keys_[key];
  const absl::Time deadline = absl::Now() + kLostMax;
  while (true) {
    const Reply reply =
        number == 0
            ? Http(port_, absl::StrCat("DELETE ", NameOf(key), " HTTP/1.1\r\n"))
            : HttpPut(port_, NameOf(key), ValueOf(key, number));
    const bool done =
        reply.status == 201 || reply.status == 204 ||
        (number == 0 && reply.status == 404 && (now.unsure || !now.number));
    if (done) {
      // The highest number ever is kept, so that none is used twice.
      now.before = std::max(now.before, std::max(now.number, number));
      now.number = number;
      now.unsure = false;
      return;
    }
    if (!lost_ || reply.status != 503 || absl::Now() > deadline) {
      AddFinding(key, absl::StrCat(number == 0 ? "DELETE" : "PUT", " answers ",
                                   reply.status, ": ", reply.body));
      now.unsure = true;
      return;
    }
    now.unsure = true;  // Until the same write has been acknowledged.
    absl::SleepFor(absl::Milliseconds(100));
    if (stopping_) return;
  }
}

void Population::Read(int key) {
  const Key& now = keys_[key];
  if (now.unsure) return;
  const absl::Time deadline = absl::Now() + kLostMax;
  bool cut = false;
  while (true) {
    const Reply reply = HttpRead(port_, NameOf(key));
    const bool right =
        now.number == 0
            ? reply.status == 404
            : reply.status == 200 && reply.body == ValueOf(key, now.number);
    if (right) return;
    if (reply.status == 0 && dying_ && !cut) {
      cut = true;
      continue;
    }
    const bool declared = lost_ && (reply.status == 503 || reply.status == 504);
    if (!declared || absl::Now() > deadline) {
      return AddFinding(
          key,
          absl::StrCat(
              "GET answers ", reply.status, " and \"", reply.body.substr(0, 40),
              "\" instead of ",
              now.number == 0 ? "404" : absl::StrCat("value ", now.number)));
    }
    absl::SleepFor(absl::Milliseconds(100));
    if (stopping_) return;
  }
}

void Population::AddFinding(int key, const std::string& what) {
  ++wrong_;
  base::MutexLock lock(&mu_);
  if (findings_.size() >= kFindingsShown) return;
  findings_.push_back(absl::StrCat(NameOf(key), ": ", what));
}

std::vector<std::string> Population::findings() {
  base::MutexLock lock(&mu_);
  return findings_;
}

void Population::CheckSome(int worker) {
  for (size_t key = worker; key < keys_.size(); key += workers_) {
    Read(static_cast<int>(key));
  }
}

void Population::Check() {
  stopping_ = false;
  ForAll(&Population::CheckSome);
  int64_t there = 0;
  int64_t unsure = 0;
  for (const Key& key : keys_) {
    there += !key.unsure && key.number != 0 ? 1 : 0;
    unsure += key.unsure ? 1 : 0;
  }
  const Reply list = HttpGet(port_, "/population/?list&limit=0");
  int64_t listed = 0;
  const std::string mark = "\"/population/";
  for (size_t at = list.body.find(mark); at != std::string::npos;
       at = list.body.find(mark, at + 1)) {
    ++listed;
  }
  if (listed < there || listed > there + unsure) {
    AddFinding(0, absl::StrCat("the listing has ", listed, " keys, there are ",
                               there, " and perhaps ", unsure, " more"));
  }
}

}  // namespace cairn::tests
