// One large value on its way to R agents. Internal to client/.

#ifndef CAIRN_CLIENT_LARGE_WRITER_H_
#define CAIRN_CLIENT_LARGE_WRITER_H_

#include <functional>
#include <memory>
#include <string>

#include "client/agent_client.h"
#include "client/metadata_client.h"
#include "client/store_client.h"

namespace cairn::client {

// See StoreClient::NewLargeWriter().
std::unique_ptr<LargeWriter> StartLargeWriter(
    MetadataClient* metadata, AgentPool* agents,
    std::shared_ptr<const ClusterView> view, std::string key,
    PutOptions options, int64_t size_bytes_expected,
    std::function<void()> writable);

}  // namespace cairn::client

#endif  // CAIRN_CLIENT_LARGE_WRITER_H_
