// The newest releases, as far as somebody is asked for them.
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "net/http_client.h"

#include <boost/asio/awaitable.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

namespace nb::management::rest {

struct ReleaseSources {
  std::string management_url;  // empty: nobody is asked
  std::string dashboard_url;
};

struct NewestReleases {
  std::string management;  // empty: not known
  std::string dashboard;
};

/// Callers never wait for the answer of somebody else's server: what was heard last is told at
/// once. Threads  newest(): any; run(): one loop. Source   contract/rest-api.md §7.1, dashboard.md
/// §5
class Releases {
 public:
  Releases(std::shared_ptr<net::HttpClient> client, Clock& clock, ReleaseSources sources,
           Logger log);
  /// Asks now and every hour, after a failure every five minutes; until it is cancelled.
  boost::asio::awaitable<void> run();
  [[nodiscard]] NewestReleases newest() const;

 private:
  /// False: no answer, or none that names a release; what was known stays.
  boost::asio::awaitable<bool> ask(std::string url, std::string NewestReleases::*known);

  const std::shared_ptr<net::HttpClient> client_;
  Clock& clock_;
  const ReleaseSources sources_;
  const Logger log_;
  mutable std::mutex mutex_;
  NewestReleases newest_;  // guarded by mutex_
};

/// A version as plain text, or the "tag_name" of a JSON object (a release of GitHub), without a
/// leading "v". Empty: neither.
[[nodiscard]] std::string release_in(std::string_view body);
/// Whether `newest` is a later version than `ours`; false for versions that cannot be compared.
[[nodiscard]] bool is_update(std::string_view newest, std::string_view ours);

}  // namespace nb::management::rest
