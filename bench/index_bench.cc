// Measures an index alone, without master and gateway: commits and lookups in
// batches of 64, and listings. One line a figure: "name value unit".

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/hash.h"
#include "base/program.h"
#include "base/status.h"
#include "index/index_store.h"

ABSL_FLAG(std::string, index, "", "the index to measure; it should be empty");
ABSL_FLAG(int64_t, keys, 1000000, "keys to commit, with names of 32 bytes");
ABSL_FLAG(int64_t, lookups, 300000, "keys to look up");
ABSL_FLAG(int64_t, value_bytes, 0, "bytes of each value that are inlined");
ABSL_FLAG(bool, fill_only, false, "commit the keys, measure nothing else");

namespace cairn {
namespace {

constexpr int kBatch = 64;
constexpr int kPage = 1000;
constexpr int kPages = 20;

// In no order, as users' names come; always the same.
std::string KeyAt(int64_t number) {
  return absl::StrFormat("photos/%016x/%08d", base::Xxh3(absl::StrCat(number)),
                         number % 100000000)
      .substr(0, 32);
}

index::Mutation PutAt(int64_t number, int64_t now_ms, int64_t value_bytes) {
  index::Mutation mutation;
  mutation.key = KeyAt(number);
  v1::Record& record = mutation.record;
  record.mutable_version()->set_time_ms(now_ms);
  record.mutable_version()->set_writer_id(1);
  record.set_size_bytes(value_bytes > 0 ? value_bytes : 100000);
  const base::Digest digest = base::DigestOf(mutation.key);
  record.mutable_digest()->set_md5(digest.md5.data(), digest.md5.size());
  record.mutable_digest()->set_xxh3(digest.xxh3);
  record.mutable_metadata()->set_content_type("image/jpeg");
  for (const uint32_t volume : {0x9d3c1a05u, 0x4e7700f2u}) {
    record.add_replicas()->set_volume_id(volume);
  }
  mutation.inline_value.assign(value_bytes, 'x');
  return mutation;
}

double Seconds(absl::Time since) {
  return absl::ToDoubleSeconds(absl::Now() - since);
}

absl::Status MeasureCommits(index::IndexStore* store) {
  const int64_t keys = absl::GetFlag(FLAGS_keys);
  const int64_t value_bytes = absl::GetFlag(FLAGS_value_bytes);
  double inside = 0;  // Making the mutations is not the index's work.
  for (int64_t first = 0; first < keys; first += kBatch) {
    const int64_t now_ms = absl::ToUnixMillis(absl::Now());
    std::vector<index::Mutation> group;
    for (int64_t i = first; i < std::min(keys, first + kBatch); ++i) {
      group.push_back(PutAt(i, now_ms, value_bytes));
    }
    const absl::Time start = absl::Now();
    ASSIGN_OR_RETURN(const auto results, store->Commit(group, now_ms));
    inside += Seconds(start);
    for (const auto& result : results) RETURN_IF_ERROR(result.status);
  }
  std::printf("commits %.0f keys/s\n", keys / inside);
  return absl::OkStatus();
}

absl::Status MeasureLookups(index::IndexStore* store, bool with_values) {
  const int64_t keys = absl::GetFlag(FLAGS_keys);
  const int64_t lookups = absl::GetFlag(FLAGS_lookups);
  double inside = 0;
  for (int64_t first = 0; first < lookups; first += kBatch) {
    std::vector<std::string> names;
    for (int64_t i = first; i < first + kBatch; ++i) {
      names.push_back(KeyAt(i * 7919 % keys));
    }
    const absl::Time start = absl::Now();
    ASSIGN_OR_RETURN(const auto found, store->Lookup(names, with_values));
    inside += Seconds(start);
    for (const auto& one : found) RETURN_IF_ERROR(one.status());
  }
  std::printf("lookups%s %.0f keys/s\n", with_values ? "-with-values" : "",
              lookups / inside);
  return absl::OkStatus();
}

absl::Status MeasurePages(index::IndexStore* store) {
  std::vector<double> first_page;
  index::IndexStore::ScanOptions options;
  options.limit = kPage;
  for (int i = 0; i < kPages; ++i) {
    const absl::Time start = absl::Now();
    RETURN_IF_ERROR(store->Scan(options).status());
    first_page.push_back(1000 * Seconds(start));
  }
  std::sort(first_page.begin(), first_page.end());
  std::printf("first-page-median %.2f ms\n", first_page[kPages / 2]);
  std::printf("first-page-worst %.2f ms\n", first_page.back());
  int64_t listed = 0;
  const absl::Time start = absl::Now();
  do {
    ASSIGN_OR_RETURN(auto page, store->Scan(options));
    listed += static_cast<int64_t>(page.keys.size());
    options.start = std::move(page.next);
  } while (!options.start.empty());
  std::printf("listing %.0f keys/s\n", listed / Seconds(start));
  return absl::OkStatus();
}

absl::Status Run() {
  ASSIGN_OR_RETURN(const auto store,
                   index::OpenIndexStore(absl::GetFlag(FLAGS_index), {}));
  RETURN_IF_ERROR(MeasureCommits(store.get()));
  if (absl::GetFlag(FLAGS_fill_only)) return absl::OkStatus();
  RETURN_IF_ERROR(MeasureLookups(store.get(), /*with_values=*/false));
  RETURN_IF_ERROR(MeasureLookups(store.get(), /*with_values=*/true));
  return MeasurePages(store.get());
}

}  // namespace
}  // namespace cairn

int main(int argc, char** argv) {
  cairn::base::StartProgram(argc, argv, "index_bench",
                            "index_bench measures an index alone.\n\n"
                            "  index_bench --index=rocksdb:/tmp/index");
  const absl::Status ran = cairn::Run();
  if (!ran.ok()) cairn::base::RefuseToStart(ran);
  return 0;
}
