// What the head of a PUT or POST says, checked.

#ifndef CAIRN_GATEWAY_PUT_REQUEST_H_
#define CAIRN_GATEWAY_PUT_REQUEST_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/hash.h"
#include "gateway/http/exchange.h"
#include "proto/cairn/v1/common.pb.h"

namespace cairn::gateway {

struct PutRequest {
  v1::ValueMetadata metadata;
  // The media type is application/json: the body must be JSON.
  bool json = false;
  // Content-MD5: 16 bytes, or empty.
  std::string md5;
};

// kInvalidArgument, with a sentence for the client.
absl::StatusOr<PutRequest> ParsePutRequest(const http::RequestHead& head);

// kInvalidArgument unless `digest` is the one that Content-MD5 announced.
absl::Status CheckContentMd5(const PutRequest& request,
                             const base::Digest& digest);

}  // namespace cairn::gateway

#endif  // CAIRN_GATEWAY_PUT_REQUEST_H_
