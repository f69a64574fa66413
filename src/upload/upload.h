// upload: where agents put their debug bundles.
//
// Purpose      the two requests of upstream's upload server: a URL to upload to, and the upload,
//              kept as a file in a directory of this machine.
// Not here     S3 and other object stores; reading bundles, which is done on the machine itself.
// Start with   Service below; links.h for the signed URLs, store.h for the files.
// Threads      requests on their connections' loops; links and store any thread. Files are written
//              on the loop, so this belongs into a process of its own (netbird-upload).
// Limits       Options; a URL is good for 15 minutes and for one file.
// Failure      a bundle is there whole or not at all; what was broken off leaves nothing.
// Decisions    docs/decisions/0115-bundles-in-files.md
// Source       contract/signal-relay-ops.md §9.2
#pragma once

#include "base/clock.h"
#include "base/log.h"
#include "base/rate_limit.h"
#include "base/secret.h"
#include "crypto/random.h"
#include "net/http.h"
#include "upload/links.h"
#include "upload/store.h"

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace nb::upload {

struct Metrics {
  explicit Metrics(prometheus::Registry& registry);
  prometheus::Counter& urls_total;        // nb_upload_urls_total              given out
  prometheus::Counter& stored_total;      // nb_upload_bundles_total{result="stored"}
  prometheus::Counter& refused_total;     //   {result="refused"}              no good URL, a limit
  prometheus::Counter& broken_off_total;  //   {result="broken_off"}           by the client
  prometheus::Counter& failed_total;      //   {result="failed"}               by the disk
  prometheus::Counter& stored_bytes_total;  // nb_upload_stored_bytes_total
};

struct Options {
  std::string public_url;  // of this server as agents reach it, without a slash at the end
  Secret signing_key;
  std::uint64_t bundle_bytes_max = 150ULL << 20U;
  std::uint32_t uploads_max = 32;  // at one time
  RateLimit urls_per_address{.per_second = 0.2, .burst = 20};
};

/// Lives as long as the server that has its routes.
class Service {
 public:
  Service(Options options, BundleStore& store, Metrics& metrics, crypto::RandomSource& random,
          const Clock& clock, Logger log);
  void add_to(net::HttpRouter& router);
  [[nodiscard]] std::uint32_t running() const { return running_.load(std::memory_order_relaxed); }

 private:
  class Sink;
  net::HttpResponse give_url(const net::HttpRequest& request);
  net::UploadStart begin(const net::HttpRequest& head);
  net::HttpResponse refused(int status, std::string text);
  [[nodiscard]] bool may_ask(const std::string& address);

  const Options options_;
  const Links links_;
  BundleStore& store_;
  Metrics& metrics_;
  crypto::RandomSource& random_;
  const Clock& clock_;
  const Logger log_;
  std::atomic<std::uint32_t> running_{0};
  std::mutex mutex_;
  KeyedRateLimit addresses_;
};

}  // namespace nb::upload
