// What every gRPC server of Cairn has: limits, health, reflection, a clear
// error when its port is taken.

#ifndef CAIRN_RPC_SERVER_H_
#define CAIRN_RPC_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cairn::rpc {

// Sets the message limit, keepalive and no port sharing, switches on health
// and reflection. Call once on each builder before AddListeningPort().
void ConfigureServer(grpc::ServerBuilder* builder);

// Listens on `address` (host:port) without TLS and starts. kFailedPrecondition
// names the address when it cannot be had.
absl::StatusOr<std::unique_ptr<grpc::Server>> StartServer(
    grpc::ServerBuilder* builder, absl::string_view address);

// A channel for one of our servers: message limit, keepalive, quick reconnect.
// `name` keeps channels apart: those with different names never share a
// connection.
std::shared_ptr<grpc::Channel> NewChannel(const std::string& address,
                                          const std::string& name = "");

grpc::Status ToGrpc(const absl::Status& status);
absl::Status FromGrpc(const grpc::Status& status);

// The x-request-id of a call, or "".
std::string RequestId(const grpc::ServerContext& context);

}  // namespace cairn::rpc

#endif  // CAIRN_RPC_SERVER_H_
