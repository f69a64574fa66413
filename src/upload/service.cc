#include "base/log_keys.h"
#include "base/text.h"
#include "net/address.h"
#include "upload/upload.h"

#include <fmt/format.h>
#include <prometheus/counter.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace nb::upload {
namespace {

constexpr std::string_view kUpload = "/upload/";
constexpr std::size_t kAddressesMax = 10'000;

std::uint64_t announced(const net::HttpRequest& head) {
  const std::string_view text = head.header("content-length");
  std::uint64_t bytes = 0;
  std::from_chars(text.data(), text.data() + text.size(), bytes);
  return bytes;
}

int status_of(const Error& error) {
  switch (error.code) {
    case Code::kAlreadyExists:
      return 409;
    case Code::kResourceExhausted:
      return 507;
    default:
      return 503;
  }
}

/// The value of "id"; other fields are nobody's.
std::string id_in(std::string_view query) {
  for (std::size_t at = 0; at <= query.size();) {
    const std::size_t end = std::min(query.find('&', at), query.size());
    const std::string_view field = query.substr(at, end - at);
    if (field.starts_with("id="))
      return percent_decode(field.substr(3), {.plus_is_blank = true}).value_or("");
    at = end + 1;
  }
  return {};
}

/// One host has all of an IPv6 /64.
std::string source_of(const std::string& address) {
  auto peer = net::parse_ip(address);
  if (!peer) return address;
  if (IN6_IS_ADDR_V4MAPPED(&peer->ip) == 0)
    std::fill(std::begin(peer->ip.s6_addr) + 8, std::end(peer->ip.s6_addr), std::uint8_t{0});
  return peer->text();
}

boost::asio::awaitable<net::HttpResponse> at_once(net::HttpResponse response) {
  co_return response;
}

prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help,
                             const prometheus::Labels& labels = {}) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels);
}

constexpr const char* kBundles = "nb_upload_bundles_total";
constexpr const char* kBundlesHelp = "uploads of bundles, by what became of them";

}  // namespace

/// One bundle on its way to the disk.
class Service::Sink final : public net::BodySink {
 public:
  Sink(Service& service, std::unique_ptr<Writing> writing, BundleName name, WallTime ends)
      : service_(service), writing_(std::move(writing)), name_(std::move(name)), ends_(ends) {}
  ~Sink() override {
    service_.running_.fetch_sub(1, std::memory_order_relaxed);
    if (!finished_) service_.metrics_.broken_off_total.Increment();
  }
  bool write(std::span<const std::uint8_t> bytes) override {
    // Whoever sends a byte now and then would hold one of the few places for ever.
    if (service_.clock_.wall() >= ends_)
      so_far_ = fail(Code::kDeadlineExceeded, "the upload took too long");
    else
      so_far_ = writing_->write(bytes);
    return so_far_.has_value();
  }
  net::HttpResponse finish() override {
    finished_ = true;
    if (so_far_) so_far_ = writing_->keep();
    if (so_far_) {
      service_.metrics_.stored_total.Increment();
      service_.metrics_.stored_bytes_total.Increment(static_cast<double>(writing_->bytes()));
      service_.log_.info("a bundle was stored",
                         {log::f("bundle", name_.key()), log::f("bytes", writing_->bytes())});
      return net::HttpResponse::text(200, {});
    }
    const Error& why = so_far_.error();
    if (why.code != Code::kUnavailable) return service_.refused(refusal(why), why.text + "\n");
    service_.metrics_.failed_total.Increment();
    service_.log_.error("a bundle could not be stored", {log::f(log::kError, why.text)});
    return net::HttpResponse::text(503, "the bundle could not be stored\n");
  }

 private:
  static int refusal(const Error& why) {
    return why.code == Code::kDeadlineExceeded ? 408 : status_of(why);
  }
  Service& service_;
  const std::unique_ptr<Writing> writing_;
  const BundleName name_;
  const WallTime ends_;
  Result<> so_far_;  // success so far
  bool finished_ = false;
};

Metrics::Metrics(prometheus::Registry& registry)
    : urls_total(counter(registry, "nb_upload_urls_total", "URLs given out")),
      stored_total(counter(registry, kBundles, kBundlesHelp, {{"result", "stored"}})),
      refused_total(counter(registry, kBundles, kBundlesHelp, {{"result", "refused"}})),
      broken_off_total(counter(registry, kBundles, kBundlesHelp, {{"result", "broken_off"}})),
      failed_total(counter(registry, kBundles, kBundlesHelp, {{"result", "failed"}})),
      stored_bytes_total(
          counter(registry, "nb_upload_stored_bytes_total", "bytes of stored bundles")) {}

Service::Service(Options options, BundleStore& store, Metrics& metrics,
                 crypto::RandomSource& random, const Clock& clock, Logger log)
    : options_(std::move(options)),
      links_(options_.signing_key),
      store_(store),
      metrics_(metrics),
      random_(random),
      clock_(clock),
      log_(std::move(log)),
      addresses_(options_.urls_per_address, kAddressesMax) {}

void Service::add_to(net::HttpRouter& router) {
  router.exact("/upload-url",
               [this](const net::HttpRequest& request) { return at_once(give_url(request)); });
  router.upload(std::string(kUpload),
                {.body_bytes_max = options_.bundle_bytes_max,
                 .open = [this](const net::HttpRequest& head) { return begin(head); }});
}

net::HttpResponse Service::refused(int status, std::string text) {
  metrics_.refused_total.Increment();
  return net::HttpResponse::text(status, std::move(text));
}

bool Service::may_ask(const std::string& address) {
  const std::string source = source_of(address);
  const Instant now = clock_.now();
  const std::lock_guard lock(mutex_);
  return addresses_.take(source, now);
}

net::HttpResponse Service::give_url(const net::HttpRequest& request) {
  if (request.method != "GET") return net::HttpResponse::text(405, "method not allowed\n");
  if (request.header("x-nb-client") != "netbird")
    return net::HttpResponse::text(401, "unauthorized\n");
  const std::string id = id_in(request.query);
  if (id.empty() || id.size() > kIdMax)
    return net::HttpResponse::text(400, "the query needs an id\n");
  if (!may_ask(request.client.ip))
    return net::HttpResponse::text(429, "too many uploads from this address\n");
  const BundleName name{folder_of(id), crypto::make_uuid(random_)};
  metrics_.urls_total.Increment();
  // Both texts need no escapes in JSON.
  return net::HttpResponse::json(
      200, fmt::format(R"({{"URL":"{}{}{}?{}","Key":"{}"}})", options_.public_url, kUpload,
                       name.key(), links_.sign(name, clock_.wall()), name.key()));
}

net::UploadStart Service::begin(const net::HttpRequest& head) {
  if (head.method != "PUT") return net::HttpResponse::text(405, "method not allowed\n");
  auto name = parse_name(std::string_view(head.path).substr(kUpload.size()));
  if (!name) return refused(400, name.error().text + "\n");
  const WallTime now = clock_.wall();
  if (const auto good = links_.check(*name, head.query, now); !good)
    return refused(403, good.error().text + "\n");
  if (running_.fetch_add(1, std::memory_order_relaxed) >= options_.uploads_max) {
    running_.fetch_sub(1, std::memory_order_relaxed);
    return refused(503, "too many uploads at one time\n");
  }
  auto writing = store_.begin(*name, announced(head));
  if (!writing) {
    running_.fetch_sub(1, std::memory_order_relaxed);
    return refused(status_of(writing.error()), writing.error().text + "\n");
  }
  return std::make_unique<Sink>(*this, *std::move(writing), *std::move(name), now + kLinkLife);
}

}  // namespace nb::upload
