#include "services/open_files.hpp"

#include <sys/resource.h>

#include <algorithm>

#include "base/log.hpp"

namespace aorta::services {

std::uint32_t allow_connections(std::uint32_t wanted) {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  ::getrlimit(RLIMIT_NOFILE, &files);
  // Half of them are for ZeroMQ clients, the other services and files.
  const auto most = std::min<rlim_t>(wanted, files.rlim_cur / 2);
  if (most < wanted) {
    log::warning("fewer HTTP connections than configured, for want of open files",
                 {{"connections", most}, {"open_files", files.rlim_cur}, {"see", "ulimit -Hn"}});
  }
  return static_cast<std::uint32_t>(most);
}

}  // namespace aorta::services
