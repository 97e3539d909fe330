// One small value on its way to R agents and into the index. Internal to
// client/.

#ifndef CAIRN_CLIENT_SMALL_PUT_H_
#define CAIRN_CLIENT_SMALL_PUT_H_

#include <memory>
#include <string>

#include "client/agent_client.h"
#include "client/metadata_client.h"
#include "client/store_client.h"

namespace cairn::client {

// See StoreClient::PutSmall().
void StartSmallPut(MetadataClient* metadata, AgentPool* agents,
                   std::shared_ptr<const ClusterView> view, std::string key,
                   std::string value, const base::Digest& digest,
                   PutOptions options, PutDone done);

}  // namespace cairn::client

#endif  // CAIRN_CLIENT_SMALL_PUT_H_
