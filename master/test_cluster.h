// A small cluster map and records for it, for tests.

#ifndef CAIRN_MASTER_TEST_CLUSTER_H_
#define CAIRN_MASTER_TEST_CLUSTER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/hash.h"
#include "client/metadata_client.h"
#include "index/index_store.h"
#include "proto/cairn/v1/common.pb.h"
#include "proto/cairn/v1/metadata.pb.h"
#include "proto/convert.h"

namespace cairn::master {

// R = 2; volumes 1 to `volumes`, up, with 4 subvolumes each.
inline v1::ClusterMap TestMap(int volumes) {
  v1::ClusterMap map;
  map.set_cluster_id("test");
  map.set_epoch(1);
  map.set_replicas(2);
  map.set_subvolumes_per_volume(4);
  map.set_durability(v1::DURABILITY_FSYNC);
  map.set_inline_bytes_max(4096);
  for (int id = 1; id <= volumes; ++id) {
    v1::Volume* volume = map.add_volumes();
    volume->set_volume_id(id);
    volume->set_state(v1::VOLUME_STATE_UP);
    volume->set_grpc_address(absl::StrCat("127.0.0.1:", 3200 + id));
    volume->set_weight(1);
    for (int i = 0; i < 4; ++i) volume->add_subvolumes();
  }
  return map;
}

// What the agent of such a volume says when it joins.
inline v1::JoinRequest TestJoin(uint32_t volume_id) {
  v1::JoinRequest request;
  request.set_volume_id(volume_id);
  request.set_session_id(volume_id);
  request.set_grpc_address(absl::StrCat("h:", volume_id));
  request.set_http_address(absl::StrCat("w:", volume_id));
  for (int i = 0; i < 4; ++i) request.add_subvolumes();
  return request;
}

inline std::shared_ptr<const client::ClusterView> TestView(v1::ClusterMap map) {
  auto view = std::make_shared<client::ClusterView>();
  view->map = std::move(map);
  return view;
}

// The put of `value` under `key` at `time_ms`, on subvolume 0 of `volumes`.
inline index::Mutation TestPut(const std::string& key, const std::string& value,
                               int64_t time_ms,
                               const std::vector<uint32_t>& volumes) {
  index::Mutation mutation;
  mutation.key = key;
  mutation.inline_value = value;
  v1::Record& record = mutation.record;
  record.mutable_version()->set_time_ms(time_ms);
  record.mutable_version()->set_writer_id(9);
  record.set_size_bytes(value.size());
  SetDigest(base::DigestOf(value), record.mutable_digest());
  for (const uint32_t volume : volumes) {
    record.add_replicas()->set_volume_id(volume);
  }
  return mutation;
}

}  // namespace cairn::master

#endif  // CAIRN_MASTER_TEST_CLUSTER_H_
