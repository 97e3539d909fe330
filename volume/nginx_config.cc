#include <pwd.h>
#include <unistd.h>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "base/signed_url.h"
#include "base/status.h"
#include "volume/nginx.h"

namespace cairn::volume {
namespace {

// $0 user line, $1 workers, $2 directory, $3 listen, $4 locations. nginx's own
// variables are written with $$.
constexpr char kConfig[] = R"(# Written by cairn-volume at each start.
$0worker_processes $1;
worker_rlimit_nofile 65536;
pcre_jit on;
daemon off;
master_process on;
pid "$2/nginx.pid";
error_log "$2/error.log" error;
worker_shutdown_timeout 20s;

events {
  worker_connections 8192;
}

http {
  access_log off;
  server_tokens off;
  log_not_found off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 100000;
  keepalive_timeout 75s;
  client_header_timeout 10s;
  send_timeout 30s;
  reset_timedout_connection on;
  large_client_header_buffers 4 16k;
  client_max_body_size 64k;
  client_body_temp_path "$2/tmp";
  proxy_temp_path "$2/tmp";
  fastcgi_temp_path "$2/tmp";
  uwsgi_temp_path "$2/tmp";
  scgi_temp_path "$2/tmp";

  # Names are never used for other bytes, but blobs do go away.
  open_file_cache off;
  gzip off;
  etag off;
  max_ranges 1;
  if_modified_since before;
  default_type "";
  types { }

  # A space in the type travels as '~'.
  map $$arg_ct $$cairn_type {
    default $$arg_ct;
    "~^(?<type_a>[^~]*)~(?<type_b>[^~]*)$$" "$$type_a $$type_b";
    "~^(?<type_c>[^~]*)~(?<type_d>[^~]*)~(?<type_e>[^~]*)$$"
        "$$type_c $$type_d $$type_e";
  }
  # nginx's own check runs before an ETag from add_header exists. Read as
  # ParseEntityTags() does: other tags, then "*" or ours; nothing behind it
  # matters.
  map "$$arg_et|$$http_if_none_match" $$cairn_not_modified {
    default "";
    "~(?x)^([0-9a-f]+)\|[ \t,]*+
        (?: (?! (?:W/)?\"\1\" ) (?:W/)?\"[^\"]*+\"[ \t,]*+ )*+
        (?: \* | (?:W/)?\"\1\" ) .*" 1;
  }

  server {
    listen $3 backlog=4096;
    location / {
      return 403;
    }
$4    location @gone {
      internal;
      if ($$arg_g = "") {
        add_header Cache-Control no-store always;
        add_header Retry-After 1 always;
        return 503;
      }
      add_header Cache-Control no-store always;
      return 307 http://$$arg_g/$$arg_k?cairn-retry=1;
    }
  }
}
)";

// $0 subvolume, $1 path, $2 what is signed. The order matters: nothing is said
// of a blob before the signature holds.
constexpr char kLocation[] = R"(    location /$0/ {
      if ($$request_method !~ ^(GET|HEAD)$$) {
        add_header Allow "GET, HEAD" always;
        return 405;
      }
      secure_link $$arg_m,$$arg_e;
      secure_link_md5 "$2";
      if ($$secure_link = "") {
        return 403;
      }
      if ($$secure_link = "0") {
        return 410;
      }
      add_header ETag "\"$$arg_et\"";
      if ($$cairn_not_modified) {
        return 304;
      }
      add_header Content-Type $$cairn_type;
      add_header Content-Encoding $$arg_ce;
      error_page 404 500 = @gone;
      alias "$1/";
    }
)";

// The account whose files these are; only root may set it.
std::string UserLine() {
  if (geteuid() != 0) return "";
  const passwd* const account = getpwuid(geteuid());
  return absl::StrCat("user ", account != nullptr ? account->pw_name : "root",
                      ";\n");
}

absl::Status CheckPath(const std::string& path) {
  for (const char c : path) {
    const bool bad = c == '"' || c == '\\' || c == '$' || c == '{' ||
                     c == '}' ||
                     absl::ascii_iscntrl(static_cast<unsigned char>(c));
    if (bad) {
      return absl::InvalidArgumentError(
          absl::StrCat("the path ", path,
                       " holds a character that nginx's configuration "
                       "cannot: use letters, digits, '.', '-', '_' and '/'"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> MakeNginxConfig(const NginxOptions& options) {
  RETURN_IF_ERROR(CheckPath(options.directory));
  std::string locations;
  for (size_t i = 0; i < options.subvolume_paths.size(); ++i) {
    RETURN_IF_ERROR(CheckPath(options.subvolume_paths[i]));
    absl::StrAppend(&locations,
                    absl::Substitute(kLocation, i, options.subvolume_paths[i],
                                     base::SignedTextForNginx(options.secret)));
  }
  return absl::Substitute(kConfig, UserLine(), options.workers,
                          options.directory, options.listen, locations);
}

}  // namespace cairn::volume
