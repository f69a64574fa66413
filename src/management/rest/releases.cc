#include "management/rest/releases.h"

#include "base/log_keys.h"
#include "base/strict_json.h"
#include "base/text.h"
#include "management/netmap/version.h"

#include <boost/asio/this_coro.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <utility>

namespace nb::management::rest {
namespace {

using namespace std::chrono_literals;
constexpr auto kKept = 60min;
constexpr auto kRetry = 5min;
constexpr auto kTimeout = 5s;
constexpr std::size_t kVersionBytesMax = 64;

std::string tag_of(std::string_view body) {
  const auto json = parse_strict_json(body);
  const auto* object = json ? json->if_object() : nullptr;
  const auto* tag = object != nullptr ? object->if_contains("tag_name") : nullptr;
  return tag != nullptr && tag->is_string() ? std::string(tag->get_string()) : std::string();
}

}  // namespace

std::string release_in(std::string_view body) {
  std::string text(trim(body));
  if (text.starts_with('{')) text = tag_of(text);
  if (text.starts_with('v')) text.erase(0, 1);
  const bool digit = !text.empty() && text.front() >= '0' && text.front() <= '9';
  if (!digit || text.size() > kVersionBytesMax || !netmap::Version::parse(text)) return {};
  return text;
}

bool is_update(std::string_view newest, std::string_view ours) {
  const auto there = netmap::Version::parse(newest);
  const auto here = netmap::Version::parse(ours);
  return there && here && there->numbers > here->numbers;
}

Releases::Releases(std::shared_ptr<net::HttpClient> client, Clock& clock, ReleaseSources sources,
                   Logger log)
    : client_(std::move(client)),
      clock_(clock),
      sources_(std::move(sources)),
      log_(std::move(log)) {}

boost::asio::awaitable<bool> Releases::ask(std::string url, std::string NewestReleases::*known) {
  if (url.empty()) co_return true;
  net::HttpClientRequest request;
  request.url = std::move(url);
  request.timeout = kTimeout;
  const auto answer = co_await client_->send(std::move(request));
  const std::string found = answer && answer->status == 200 ? release_in(answer->body) : "";
  if (found.empty()) {
    log_.debug("the newest release is not known",
               {log::f(log::kReason, !answer                 ? answer.error().text
                                     : answer->status != 200 ? "another status than 200"
                                                             : "no version in the answer")});
    co_return false;
  }
  const std::lock_guard lock(mutex_);
  newest_.*known = found;
  co_return true;
}

boost::asio::awaitable<void> Releases::run() {
  if (sources_.management_url.empty() && sources_.dashboard_url.empty()) co_return;
  for (;;) {
    const bool management = co_await ask(sources_.management_url, &NewestReleases::management);
    const bool dashboard = co_await ask(sources_.dashboard_url, &NewestReleases::dashboard);
    co_await clock_.sleep_for(management && dashboard ? kKept : kRetry);
    const auto state = co_await boost::asio::this_coro::cancellation_state;
    if (state.cancelled() != boost::asio::cancellation_type::none) co_return;
  }
}

NewestReleases Releases::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

}  // namespace nb::management::rest
