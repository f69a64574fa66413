#include "redis/connector.h"

#include "base/text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <iterator>
#include <utility>

namespace nb::redis {
namespace asio = boost::asio;

namespace {

// A Sentinel that does not answer must not use up the time the next one needs.
constexpr std::chrono::milliseconds kSentinelLimit{1'000};

/// What a refused greeting may say: the first word, since servers repeat arguments in the rest.
Error refused(std::string_view what, const Reply& reply) {
  if (reply.text.find("without any password configured") != std::string::npos) {
    return fail(Code::kPermissionDenied, "the server has no password, but we have one");
  }
  const Code code = to_error(reply).code;
  return fail(code == Code::kInternal ? Code::kUnavailable : code, "{} refused: {}", what,
              reply.error_word());
}

enum class Step : std::uint8_t { kAuth, kSelect, kName, kRole, kPing };

Result<> check_step(Step step, const Reply& reply) {
  switch (step) {
    case Step::kAuth:
      if (reply.is_error()) return refused("AUTH", reply);
      break;
    case Step::kSelect:
      if (reply.is_error()) return refused("SELECT", reply);
      break;
    case Step::kName:
      break;  // a name is a courtesy to the operator
    case Step::kRole:
      if (reply.error_word() == "NOPERM") break;
      if (reply.is_error()) return refused("ROLE", reply);
      if (reply.items.empty() || reply.items.front().text != "master") {
        return fail(Code::kUnavailable, "not the master (yet)");
      }
      break;
    case Step::kPing:
      // LOADING is a refusal: the data is not there yet. A user without +ping is fine.
      if (reply.is_error() && reply.error_word() != "NOPERM") return refused("PING", reply);
      break;
  }
  return {};
}

}  // namespace

asio::awaitable<Result<std::vector<Reply>>> read_replies(Session session, std::size_t count) {
  std::vector<Reply> replies;
  std::array<char, 4096> room;
  for (;;) {
    while (replies.size() < count) {
      NB_CO_LET(auto reply, session.reader->next());
      if (!reply) break;
      replies.push_back(*std::move(reply));
    }
    if (replies.size() >= count) co_return replies;
    NB_CO_LET(const std::size_t size, co_await session.stream->read(room));
    NB_CO_TRY(session.reader->feed({room.data(), size}));
  }
}

Connector::Connector(asio::any_io_executor home, std::shared_ptr<const Options> options)
    : home_(std::move(home)), options_(std::move(options)), sentinels_(options_->sentinels) {}

void Connector::cancel() {
  if (control_) control_->cancel();
}

Result<Secret> Connector::password() const {
  if (options_->password_file.empty()) return options_->password;
  std::ifstream file(options_->password_file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) {
    return fail(Code::kFailedPrecondition, "password file '{}' cannot be read",
                options_->password_file);
  }
  drop_line_ends(text);
  return Secret(std::move(text));
}

asio::awaitable<Result<Session>> Connector::open(Address address, std::chrono::milliseconds limit,
                                                 Batch greeting, Check check) {
  const auto control = std::make_shared<DialControl>();
  control_ = control;
  const Deadline deadline(home_, limit, [control] { control->cancel(); });
  const std::string endpoint = to_text(address);
  const auto explain = [&](const Error& error) {
    return control->cancelled ? fail(Code::kUnavailable, "redis {}: no answer in time", endpoint)
                              : fail(error.code, "redis {}: {}", endpoint, error.text);
  };
  auto stream = co_await dial(std::move(address), options_->tls, control);
  if (!stream) co_return explain(stream.error());
  Session session{*std::move(stream),
                  std::make_shared<ReplyReader>(
                      ReplyReader::Limits{options_->reply_bytes_max, options_->reply_items_max}),
                  endpoint};
  const auto written = co_await session.stream->write(greeting.wire());
  if (!written) co_return explain(written.error());
  const auto replies = co_await read_replies(session, greeting.size());
  if (!replies) co_return explain(replies.error());
  const auto accepted = check(*replies);
  if (!accepted) co_return explain(accepted.error());
  if (control->cancelled) co_return explain({});
  co_return session;
}

asio::awaitable<Result<Session>> Connector::connect() {
  Address address = options_->address;
  if (!sentinels_.empty()) {
    NB_CO_LET(address, co_await ask_sentinels());
  }
  NB_CO_LET(const Secret secret, password());
  Batch greeting;
  std::vector<Step> steps;
  if (!secret.empty() || !options_->user.empty()) {
    if (options_->user.empty()) {
      greeting.add("AUTH", secret.reveal());
    } else {
      greeting.add("AUTH", options_->user, secret.reveal());
    }
    steps.push_back(Step::kAuth);
  }
  if (options_->db != 0) {
    greeting.add("SELECT", options_->db);
    steps.push_back(Step::kSelect);
  }
  if (!options_->client_name.empty()) {
    greeting.add("CLIENT", "SETNAME", options_->client_name);
    steps.push_back(Step::kName);
  }
  if (!sentinels_.empty()) {
    // Sentinels may name a master that was demoted a moment ago.
    greeting.add("ROLE");
    steps.push_back(Step::kRole);
  }
  greeting.add("PING");
  steps.push_back(Step::kPing);
  Check check = [steps](const std::vector<Reply>& replies) -> Result<> {
    for (std::size_t i = 0; i < steps.size(); ++i) NB_TRY(check_step(steps[i], replies[i]));
    return {};
  };
  co_return co_await open(std::move(address), options_->dial_timeout, std::move(greeting),
                          std::move(check));
}

asio::awaitable<Result<Session>> Connector::open_sentinel(Batch question, Check check) {
  Error last = fail(Code::kUnavailable, "redis: no Sentinel configured");
  const std::vector<Address> candidates = sentinels_;
  for (const Address& candidate : candidates) {
    auto session =
        co_await open(candidate, std::min(options_->dial_timeout, kSentinelLimit), question, check);
    if (session) {
      const auto at = std::find(sentinels_.begin(), sentinels_.end(), candidate);
      if (at != sentinels_.end()) std::rotate(sentinels_.begin(), at, at + 1);
      co_return *std::move(session);
    }
    last = std::move(session).error();
  }
  co_return last;
}

namespace {
Batch sentinel_greeting(const Options& options) {
  Batch batch;
  if (!options.sentinel_password.empty()) {
    if (options.sentinel_user.empty()) {
      batch.add("AUTH", options.sentinel_password.reveal());
    } else {
      batch.add("AUTH", options.sentinel_user, options.sentinel_password.reveal());
    }
  }
  return batch;
}
}  // namespace

asio::awaitable<Result<Address>> Connector::ask_sentinels() {
  Batch question = sentinel_greeting(*options_);
  const bool has_auth = !question.empty();
  question.add("SENTINEL", "get-master-addr-by-name", options_->sentinel_master);
  // Shared with the check, which runs while this coroutine waits.
  const auto master = std::make_shared<Address>();
  Check check = [has_auth, master](const std::vector<Reply>& replies) -> Result<> {
    if (has_auth) NB_TRY(check_step(Step::kAuth, replies.front()));
    const Reply& answer = replies.back();
    if (answer.is_error()) return refused("SENTINEL", answer);
    if (answer.is_nil()) return fail(Code::kNotFound, "knows no master of that name");
    if (answer.items.size() != 2) return fail(Code::kDataLoss, "unexpected answer");
    const std::string& port = answer.items[1].text;
    const auto [end, ec] = std::from_chars(port.data(), port.data() + port.size(), master->port);
    if (ec != std::errc{} || end != port.data() + port.size() || answer.items[0].text.empty()) {
      return fail(Code::kDataLoss, "unexpected answer");
    }
    master->host = answer.items[0].text;
    return {};
  };
  auto session = co_await open_sentinel(std::move(question), std::move(check));
  if (!session) co_return std::move(session).error();
  session->stream->close();
  co_return *master;
}

asio::awaitable<Result<Session>> Connector::watch_sentinel() {
  Batch question = sentinel_greeting(*options_);
  const bool has_auth = !question.empty();
  question.add("SUBSCRIBE", "+switch-master");
  Check check = [has_auth](const std::vector<Reply>& replies) -> Result<> {
    if (has_auth) NB_TRY(check_step(Step::kAuth, replies.front()));
    if (replies.back().is_error()) return refused("SUBSCRIBE", replies.back());
    return {};
  };
  co_return co_await open_sentinel(std::move(question), std::move(check));
}

}  // namespace nb::redis
