#include "index/redis/redis_load.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "index/redis/shard_encoding.h"

namespace cairn::index {
namespace {

constexpr int64_t kNow = 1'700'000'000'000;
constexpr int kGroup = 16;

Mutation PutAt(const std::string& key, int64_t version) {
  Mutation mutation;
  mutation.key = key;
  mutation.record.mutable_version()->set_time_ms(kNow);
  mutation.record.mutable_version()->set_counter(version % 65536);
  mutation.record.mutable_version()->set_writer_id(
      static_cast<uint32_t>(version / 65536));
  mutation.record.set_size_bytes(5);
  mutation.record.add_replicas()->set_volume_id(1);
  mutation.inline_value = "value";
  return mutation;
}

int64_t VersionOf(const v1::Record& record) {
  return record.version().counter() +
         int64_t{65536} * record.version().writer_id();
}

}  // namespace

absl::Status CommitPut(IndexStore* store, const std::string& key,
                       int64_t version) {
  const auto results = store->Commit({PutAt(key, version)}, kNow);
  return results.ok() ? (*results)[0].status : results.status();
}

absl::StatusOr<int64_t> LookupOf(IndexStore* store, const std::string& key) {
  const std::vector<std::string> keys = {key};
  const auto found = store->Lookup(keys, /*with_values=*/false);
  if (!found.ok()) return found.status();
  if (!(*found)[0].ok()) return (*found)[0].status();
  return VersionOf((*found)[0]->record);
}

std::string RecordsNameOf(const std::string& key) {
  return NamesOf(ShardOf(key)).records;
}

RedisLoad::RedisLoad(IndexStore* store) : store_(store) {
  for (int i = 0; i < kWriters; ++i) {
    threads_.emplace_back([this, i] { Write(i); });
    threads_.emplace_back([this, i] { Read(i); });
  }
}

void RedisLoad::AwaitProgress() {
  const int64_t written = written_ + 50;
  const int64_t read = read_ + 50;
  const absl::Time deadline = absl::Now() + absl::Seconds(60);
  while (written_ < written || read_ < read) {
    if (absl::Now() > deadline) {
      std::fprintf(stderr, "redis load: it does not go on\n");
      std::abort();
    }
    absl::SleepFor(absl::Milliseconds(10));
  }
}

std::vector<std::string> RedisLoad::Stop() {
  stop_ = true;
  for (std::thread& thread : threads_) thread.join();
  if (!std::exchange(threads_, {}).empty()) {
    for (int writer = 0; writer < kWriters; ++writer) {
      for (int i = 0; i < kKeys; ++i) {
        Check({KeyAt(writer, i)}, {acknowledged_[writer][i]});
      }
    }
  }
  base::MutexLock lock(&mu_);
  return complaints_;
}

std::string RedisLoad::KeyAt(int writer, int number) {
  return absl::StrCat("load/", writer, "/", number);
}

void RedisLoad::Write(int writer) {
  int next = 0;
  for (int64_t version = 1; !stop_; ++version) {
    std::vector<Mutation> group;
    std::vector<int> numbers;
    for (int i = 0; i < kGroup; ++i) {
      next = (next + 7) % kKeys;
      numbers.push_back(next);
      group.push_back(PutAt(KeyAt(writer, next), version));
    }
    const auto results = store_->Commit(group, kNow);
    if (!results.ok()) {
      // Its outcome is unknown; the next is higher than that in any case.
      ++unavailable_;
      if (!absl::IsUnavailable(results.status())) {
        Complain(absl::StrCat("commit: ", results.status().ToString()));
      }
      continue;
    }
    for (int i = 0; i < kGroup; ++i) {
      const absl::Status& status = (*results)[i].status;
      if (status.ok()) {
        acknowledged_[writer][numbers[i]] = version;
      } else {
        Complain(absl::StrCat("refused: ", status.ToString()));
      }
    }
    ++written_;
  }
}

void RedisLoad::Read(int writer) {
  int next = 0;
  while (!stop_) {
    std::vector<std::string> keys;
    std::vector<int64_t> least;
    for (int i = 0; i < kGroup; ++i) {
      next = (next + 11) % kKeys;
      keys.push_back(KeyAt(writer, next));
      least.push_back(acknowledged_[writer][next]);
    }
    Check(keys, least);
    ++read_;
  }
}

void RedisLoad::Check(const std::vector<std::string>& keys,
                      const std::vector<int64_t>& least) {
  const auto found = store_->Lookup(keys, /*with_values=*/true);
  if (!found.ok()) {
    ++unavailable_;
    if (!absl::IsUnavailable(found.status())) {
      Complain(absl::StrCat("lookup: ", found.status().ToString()));
    }
    return;
  }
  for (size_t i = 0; i < keys.size(); ++i) {
    const auto& one = (*found)[i];
    if (!one.ok()) {
      if (!absl::IsNotFound(one.status()) || least[i] > 0) {
        Complain(absl::StrCat(keys[i], ": ", one.status().ToString()));
      }
    } else if (VersionOf(one->record) < least[i] || one->value != "value") {
      Complain(absl::StrCat(keys[i], " is at ", VersionOf(one->record),
                            " with \"", one->value, "\", acknowledged was ",
                            least[i]));
    }
  }
}

void RedisLoad::Complain(std::string what) {
  base::MutexLock lock(&mu_);
  if (complaints_.size() < 20) complaints_.push_back(std::move(what));
}

}  // namespace cairn::index
