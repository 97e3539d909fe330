#include "gateway/redirect.h"

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/signed_url.h"
#include "gateway/conditions.h"
#include "placement/placement.h"
#include "proto/convert.h"

namespace cairn::gateway {
namespace {

// The longest name that DNS has, and a port.
constexpr size_t kHostBytesMax = 253 + 6;

}  // namespace

absl::optional<std::string> RedirectUrl(const Call& call,
                                        const v1::ClusterMap& map,
                                        const v1::Record& record, int replica) {
  const v1::ValueMetadata& metadata = record.metadata();
  const v1::SubvolumeId& where = record.replicas(replica);
  const v1::Volume* volume = placement::FindVolume(map, where.volume_id());
  if (volume == nullptr || volume->signing_secret().empty() ||
      !base::CanRedirect(metadata.content_type(),
                         metadata.content_encoding())) {
    return absl::nullopt;
  }
  base::BlobUrl url;
  url.http_address = volume->http_address();
  url.subvolume = where.subvolume();
  url.key = call.target.key;
  url.version = FromProto(record.version());
  url.md5_hex = base::ToHex(record.digest().md5());
  url.content_type = metadata.content_type();
  url.content_encoding = metadata.content_encoding();
  url.gateway = ReturnAddress(call.head(), call.services->listen_address);
  url.expires_unix_seconds =
      absl::ToUnixSeconds(absl::Now() + base::kRedirectLifetime);
  return base::SignBlobUrl(url, volume->signing_secret());
}

bool NginxReadsAlike(const http::RequestHead& head) {
  int etags = 0;
  int dates = 0;
  int ranges = 0;
  for (const auto& [name, value] : head.headers) {
    if (name == "if-match" || name == "if-unmodified-since") return false;
    if (name == "if-none-match") {
      ++etags;
    } else if (name == "if-modified-since") {
      ++dates;
      if (!ParseHttpDate(value)) return false;
    } else if (name == "if-range") {
      ++ranges;
      if (!absl::EndsWith(value, "\"") && !ParseHttpDate(value)) return false;
    }
  }
  return etags <= 1 && dates <= 1 && ranges <= 1;
}

std::string ReturnAddress(const http::RequestHead& head,
                          absl::string_view fallback) {
  const absl::string_view host = head.Header("host");
  const bool plain = host.size() <= kHostBytesMax && base::IsPlainAddress(host);
  return std::string(plain ? host : fallback);
}

}  // namespace cairn::gateway
