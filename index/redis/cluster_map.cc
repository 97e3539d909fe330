#include "index/redis/cluster_map.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace cairn::index {
namespace {

// CRC-16/XMODEM, which Redis Cluster uses.
uint16_t Crc16(absl::string_view bytes) {
  uint16_t crc = 0;
  for (const char c : bytes) {
    crc ^= static_cast<uint16_t>(static_cast<unsigned char>(c) << 8);
    for (int bit = 0; bit < 8; ++bit) {
      crc = static_cast<uint16_t>((crc & 0x8000) != 0 ? (crc << 1) ^ 0x1021
                                                      : crc << 1);
    }
  }
  return crc;
}

// "5" or "0-5460". False: it is no such thing ("[93->-ID]": slots that move).
bool ParseSlots(absl::string_view text, int* first, int* last) {
  const std::pair<absl::string_view, absl::string_view> ends =
      absl::StrSplit(text, absl::MaxSplits('-', 1));
  if (!absl::SimpleAtoi(ends.first, first)) return false;
  *last = *first;
  if (!ends.second.empty() && !absl::SimpleAtoi(ends.second, last)) {
    return false;
  }
  return *first >= 0 && *first <= *last && *last < kSlots;
}

}  // namespace

int SlotOf(absl::string_view name) {
  const size_t open = name.find('{');
  if (open != absl::string_view::npos) {
    const size_t close = name.find('}', open + 1);
    if (close != absl::string_view::npos && close > open + 1) {
      name = name.substr(open + 1, close - open - 1);
    }
  }
  return Crc16(name) % kSlots;
}

absl::StatusOr<RedisAddress> ParseNodeAddress(absl::string_view text,
                                              const RedisAddress& asked) {
  RedisAddress address = asked;
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos ||
      !absl::SimpleAtoi(text.substr(colon + 1), &address.port)) {
    return absl::UnavailableError(
        absl::StrCat("\"", text, "\" is no address of a node"));
  }
  absl::string_view host = text.substr(0, colon);
  absl::ConsumePrefix(&host, "[");
  absl::ConsumeSuffix(&host, "]");
  // A node that has not met another does not know its own.
  if (!host.empty() && host != "?") address.host = std::string(host);
  return address;
}

absl::StatusOr<ClusterMap> ClusterMap::Parse(absl::string_view text,
                                             const RedisAddress& asked) {
  ClusterMap map;
  for (const absl::string_view line :
       absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    // id ip:port@cport[,name] flags master ping pong epoch link slot slot ...
    const std::vector<absl::string_view> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    int64_t epoch = 0;
    if (words.size() < 8 || !absl::SimpleAtoi(words[6], &epoch)) {
      return absl::UnavailableError(
          absl::StrCat("Redis at ", asked.Text(),
                       " does not say what its cluster is: ", line));
    }
    if (absl::StrContains(words[2], "noaddr") ||
        absl::StrContains(words[2], "handshake")) {
      continue;
    }
    ASSIGN_OR_RETURN(
        const RedisAddress address,
        ParseNodeAddress(words[1].substr(0, words[1].find_first_of("@,")),
                         asked));
    const int place = map.Place(address);
    for (size_t i = 8; i < words.size(); ++i) {
      int first = 0;
      int last = 0;
      if (!ParseSlots(words[i], &first, &last)) continue;
      std::fill(map.owners_.begin() + first, map.owners_.begin() + last + 1,
                place);
      std::fill(map.epochs_.begin() + first, map.epochs_.begin() + last + 1,
                epoch);
    }
  }
  if (map.nodes_.empty()) {
    return absl::UnavailableError(
        absl::StrCat("Redis at ", asked.Text(), " knows no node"));
  }
  return map;
}

void ClusterMap::Adopt(const ClusterMap& newer) {
  const ClusterMap old = std::exchange(*this, newer);
  for (int slot = 0; slot < kSlots; ++slot) {
    const RedisAddress* const owner = old.OwnerOf(slot);
    if (owner == nullptr || old.epochs_[slot] <= epochs_[slot]) continue;
    owners_[slot] = Place(*owner);
    epochs_[slot] = old.epochs_[slot];
  }
}

const RedisAddress* ClusterMap::OwnerOf(int slot) const {
  return owners_[slot] < 0 ? nullptr : &nodes_[owners_[slot]];
}

bool ClusterMap::HasSlots(const RedisAddress& node) const {
  for (const int owner : owners_) {
    if (owner >= 0 && nodes_[owner] == node) return true;
  }
  return false;
}

std::vector<RedisAddress> ClusterMap::Owners() const {
  std::vector<bool> owns(nodes_.size());
  for (const int owner : owners_) {
    if (owner >= 0) owns[owner] = true;
  }
  std::vector<RedisAddress> owners;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (owns[i]) owners.push_back(nodes_[i]);
  }
  std::sort(owners.begin(), owners.end());
  return owners;
}

bool ClusterMap::complete() const {
  return std::find(owners_.begin(), owners_.end(), -1) == owners_.end();
}

int ClusterMap::Place(const RedisAddress& node) {
  const auto found = std::find(nodes_.begin(), nodes_.end(), node);
  if (found != nodes_.end()) return static_cast<int>(found - nodes_.begin());
  nodes_.push_back(node);
  return static_cast<int>(nodes_.size()) - 1;
}

}  // namespace cairn::index
