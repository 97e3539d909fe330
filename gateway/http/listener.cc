#include "gateway/http/listener.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace cairn::http {
namespace {

// As long as the kernel allows by default (net.core.somaxconn): a burst of
// clients waits here rather than being told to try again.
constexpr int kBacklog = 4096;

absl::Status CannotListen(absl::string_view address, int error) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen on ", address, ": ", strerror(error)));
}

absl::Status Open(int fd, const addrinfo& info, absl::string_view address) {
  const int one = 1;
  // After a restart, connections of the last run linger on the port.
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
      setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0 ||
      bind(fd, info.ai_addr, info.ai_addrlen) != 0 ||
      listen(fd, kBacklog) != 0) {
    return CannotListen(address, errno);
  }
  return absl::OkStatus();
}

}  // namespace

absl::string_view HostOf(absl::string_view address) {
  return address.substr(0, address.rfind(':'));
}

absl::StatusOr<int> Listen(absl::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos || colon + 1 == address.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", address, "\" is not host:port"));
  }
  absl::string_view host = HostOf(address);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(
      host.empty() ? nullptr : std::string(host).c_str(),
      std::string(address.substr(colon + 1)).c_str(), &hints, &found);
  if (error != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot listen on ", address, ": ", gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> info(found,
                                                            &freeaddrinfo);
  const int fd =
      socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return CannotListen(address, errno);
  const absl::Status status = Open(fd, *info, address);
  if (!status.ok()) {
    close(fd);
    return status;
  }
  return fd;
}

int LocalPort(int fd) {
  sockaddr_storage address = {};
  socklen_t size = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return 0;
  }
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
}

std::string FormatAddress(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
    return absl::StrCat("[", text, "]:", ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
  return absl::StrCat(text, ":", ntohs(v4.sin_port));
}

}  // namespace cairn::http
