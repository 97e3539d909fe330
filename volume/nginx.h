// Nginx configures, starts, watches and stops the nginx of a volume, which
// serves GET and HEAD of blobs by signed URLs (base/signed_url.h) and nothing
// else.

#ifndef CAIRN_VOLUME_NGINX_H_
#define CAIRN_VOLUME_NGINX_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/mutex.h"

namespace cairn::volume {

struct NginxOptions {
  // A program's name, looked for in PATH, /usr/sbin and /usr/local/sbin, or a
  // path.
  std::string program = "nginx";
  // Absolute; made when missing. Holds nginx.conf (mode 0600), the error log,
  // the pid file and temporary files.
  std::string directory;
  // host:port.
  std::string listen;
  // Place i is served as /<i>/. Absolute.
  std::vector<std::string> subvolume_paths;
  // Of Volume.signing_secret.
  std::string secret;
  int workers = 2;
};

// The whole configuration file. kInvalidArgument: a path holds a byte that
// cannot stand in one.
absl::StatusOr<std::string> MakeNginxConfig(const NginxOptions& options);

// Thread safety: Stop() from any thread; the rest belongs to the owner.
class Nginx {
 public:
  // Writes the configuration, ends what an earlier agent left running there
  // (workers outlive a killed nginx master and keep its port), starts nginx
  // and waits until it listens. From then on it is started again whenever it
  // dies, in a process group of its own, with back-off.
  // kFailedPrecondition, one sentence: there is no nginx; it refused to start
  // (with nginx's own words: the port is in use).
  static absl::StatusOr<std::unique_ptr<Nginx>> Start(NginxOptions options);

  // Stops nginx: transfers under way may end within `grace`.
  void Stop(absl::Duration grace);
  // Stop(0).
  ~Nginx();

  // The master process now, 0 while there is none.
  pid_t pid() const;

 private:
  explicit Nginx(NginxOptions options, std::string program)
      : options_(std::move(options)), program_(std::move(program)) {}

  absl::StatusOr<pid_t> Spawn();
  absl::Status WaitUntilListening(pid_t pid);
  void WaitForEnd(pid_t pid);
  void Watch();
  bool WaitBeforeRestart(absl::Duration pause);

  const NginxOptions options_;
  const std::string program_;
  std::thread watcher_;

  mutable base::Mutex mu_;
  base::CondVar changed_;
  pid_t pid_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  // Of the first start; then none.
  bool started_ ABSL_GUARDED_BY(mu_) = false;
  absl::Status first_start_ ABSL_GUARDED_BY(mu_);
};

// Ends every nginx process that has `directory`/error.log open, by process id.
// Returns how many there were.
int EndLeftOverNginx(const std::string& directory);

}  // namespace cairn::volume

#endif  // CAIRN_VOLUME_NGINX_H_
