// A volume agent's gRPC side with blobs in memory, for tests of the master
// over real streams.

#ifndef CAIRN_MASTER_FAKE_VOLUME_H_
#define CAIRN_MASTER_FAKE_VOLUME_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/blob_name.h"
#include "base/mutex.h"
#include "proto/cairn/v1/volume.grpc.pb.h"
#include "proto/convert.h"

namespace cairn::master {

// Listens on a port of its own while it lives. Thread safety: any method from
// any thread.
class FakeVolume final : public v1::VolumeService::Service {
 public:
  explicit FakeVolume(uint32_t volume_id) : volume_id_(volume_id) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                             &port);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    address_ = absl::StrCat("127.0.0.1:", port);
  }
  ~FakeVolume() override {
    server_->Shutdown(std::chrono::system_clock::now());
  }

  uint32_t volume_id() const { return volume_id_; }
  const std::string& address() const { return address_; }
  size_t blobs_count() {
    base::MutexLock lock(&mu_);
    return blobs_.size();
  }
  // Turns the last byte of each blob round.
  void Corrupt() {
    base::MutexLock lock(&mu_);
    for (auto& [name, bytes] : blobs_) bytes.back() ^= 1;
  }

  grpc::Status Batch(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::BlobBatchResponse, v1::BlobBatchRequest>*
          stream) override {
    v1::BlobBatchRequest request;
    while (stream->Read(&request)) {
      v1::BlobBatchResponse response;
      base::MutexLock lock(&mu_);
      for (const v1::SmallPutOp& op : request.puts()) {
        blobs_[Name(op.blob())] = op.data();
        response.add_results()->set_op_id(op.op_id());
      }
      for (const v1::RenameOp& op : request.renames()) {
        v1::BlobId renamed = op.blob();
        *renamed.mutable_version() = op.new_version();
        blobs_[Name(renamed)] = blobs_[Name(op.blob())];
        blobs_.erase(Name(op.blob()));
        response.add_results()->set_op_id(op.op_id());
      }
      for (const v1::UnlinkOp& op : request.unlinks()) {
        blobs_.erase(Name(op.blob()));
        response.add_results()->set_op_id(op.op_id());
      }
      if (response.results_size() > 0) stream->Write(response);
    }
    return grpc::Status::OK;
  }

  grpc::Status Put(grpc::ServerContext* context,
                   grpc::ServerReader<v1::PutBlobRequest>* reader,
                   v1::PutBlobResponse* response) override {
    v1::BlobId blob;
    std::string bytes;
    v1::PutBlobRequest request;
    while (reader->Read(&request)) {
      if (request.has_header()) {
        blob.set_subvolume(request.header().subvolume());
        blob.set_key(request.header().key());
        reader->SendInitialMetadata();  // Accepted, as volume.proto has it.
      } else if (request.has_trailer()) {
        *blob.mutable_version() = request.trailer().version();
        base::MutexLock lock(&mu_);
        blobs_[Name(blob)] = bytes;
        return grpc::Status::OK;
      } else {
        bytes += request.data();
      }
    }
    return grpc::Status(grpc::StatusCode::CANCELLED, "no trailer");
  }

  grpc::Status Get(grpc::ServerContext* context,
                   const v1::GetBlobRequest* request,
                   grpc::ServerWriter<v1::GetBlobResponse>* writer) override {
    std::string bytes;
    {
      base::MutexLock lock(&mu_);
      const auto it = blobs_.find(Name(request->blob()));
      if (it == blobs_.end()) {
        return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such blob");
      }
      bytes = it->second.substr(request->offset());
    }
    if (request->length() > 0) bytes.resize(request->length());
    for (size_t at = 0; at < bytes.size(); at += 100000) {
      v1::GetBlobResponse response;
      response.set_data(bytes.substr(at, 100000));
      writer->Write(response);
    }
    return grpc::Status::OK;
  }

 private:
  static std::string Name(const v1::BlobId& blob) {
    return absl::StrCat(blob.subvolume(), "/",
                        base::BlobPath(blob.key(), FromProto(blob.version()),
                                       blob.tombstone()));
  }

  const uint32_t volume_id_;
  base::Mutex mu_;
  std::map<std::string, std::string> blobs_ ABSL_GUARDED_BY(mu_);
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace cairn::master

#endif  // CAIRN_MASTER_FAKE_VOLUME_H_
