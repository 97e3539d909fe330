// The headers that say what a value is.

#ifndef CAIRN_GATEWAY_VALUE_HEADERS_H_
#define CAIRN_GATEWAY_VALUE_HEADERS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::gateway {

using Headers = std::vector<std::pair<std::string, std::string>>;

// ETag, Last-Modified, Cairn-Version: on a 304 too.
void AddValidators(const v1::Record& record, Headers* headers);

// Content-Type, Content-Encoding: where the bytes are, or on a HEAD for them.
void AddRepresentation(const v1::Record& record, Headers* headers);

// Content-Md5, Key-Volumes, Key-Balance, x-cairn-meta-*: on 200, 206 and 302.
void AddCairnHeaders(const v1::ClusterMap& map, absl::string_view key,
                     const v1::Record& record, Headers* headers);

// True: the replicas lie where placement wants them now, in any order.
bool IsBalanced(const v1::ClusterMap& map, absl::string_view key,
                const v1::Record& record);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_VALUE_HEADERS_H_
