// The gRPC health checking protocol (doc/health-checking.md of gRPC).

#ifndef CAIRN_RPC_HEALTH_SERVICE_H_
#define CAIRN_RPC_HEALTH_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include "third_party/health/health.grpc.pb.h"

namespace cairn::rpc {

// Says SERVING for the server as a whole (service ""): a process that answers
// serves, if only with the sentence why it is not ready. kNotFound for other
// names. Watch is not there, which the protocol allows: clients then take the
// server for healthy.
//
// In place of gRPC's own, which starts two threads that wait in the same epoll
// set as all others: most events were then taken by a thread that had to wake
// the one they were for.
class HealthService final : public grpc::health::v1::Health::Service {
 public:
  grpc::Status Check(grpc::ServerContext* context,
                     const grpc::health::v1::HealthCheckRequest* request,
                     grpc::health::v1::HealthCheckResponse* response) override;
};

}  // namespace cairn::rpc

#endif  // CAIRN_RPC_HEALTH_SERVICE_H_
