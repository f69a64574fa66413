#include "management/store/edits/sql_edits.h"

#include "management/store/edits/perform.h"

#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace nb::management {
namespace {

using boost::asio::awaitable;
using sql::RunOptions;
using sql::Session;
using work::AccountEdit;
using work::Context;

constexpr int kCollisionsMax = 5;

template <class Command>
constexpr bool reads() {
  return requires {
    Command::kReads;
  };
}

/// Runs commands; knows nothing of any one of them.
class Runner : public AccountEdits {
 public:
  Runner(SqlStoreParts parts, SqlStoreOptions options)
      : database_(parts.database), context_(std::make_shared<Context>(parts, std::move(options))) {}

 protected:
  template <class Command>
  using Out = Edited<typename Command::Answer>;

  template <class Command>
  awaitable<Result<Out<Command>>> run(Instant deadline, Actor actor, Command command) {
    struct State {
      Actor actor;
      Command command;
      std::optional<Out<Command>> out{};
      bool collided = false;
    };
    const auto state = std::make_shared<State>(State{std::move(actor), std::move(command)});
    Result<> done;
    for (int attempt = 0; attempt < kCollisionsMax; ++attempt) {
      std::function<Result<>(Session&)> work = [state, context = context_](Session& session) {
        return once(session, *context, *state);
      };
      done = co_await database_.run<void>(deadline, options<Command>(), std::move(work));
      if (done || !state->collided) break;
    }
    if (done) co_return *std::move(state->out);
    co_return std::move(done).error();
  }

 private:
  template <class Command>
  static RunOptions options() {
    if (reads<Command>()) return {.isolation = sql::Isolation::kRepeatableRead, .read_only = true};
    return {};
  }

  template <class State>
  static Result<> once(Session& session, const Context& context, State& state) {
    state.collided = false;
    const Result<> done = attempt(session, context, state);
    if (done || !session.reported(done.error())) return done;
    // A name or address that another instance took since we looked: look again. Any other
    // constraint that a statement did not expect to break is our mistake; its text, which names
    // tables, must not pass for an answer.
    state.collided = session.violation().kind == sql::Violation::Kind::kUnique;
    const Code code = done.error().code;
    if (code == Code::kAlreadyExists || code == Code::kFailedPrecondition)
      return fail(Code::kInternal, "{}", done.error().text);
    return done;
  }

  template <class State>
  static Result<> attempt(Session& session, const Context& context, State& state) {
    using Command = decltype(state.command);
    AccountEdit edit(session, context, state.actor);
    if constexpr (!reads<Command>()) NB_TRY(edit.begin());
    NB_LET(auto value, work::perform(edit, state.command));
    Changed changed;
    if constexpr (!reads<Command>()) {
      NB_LET(changed, edit.finish());
    }
    state.out.emplace(Out<Command>{std::move(value), std::move(changed)});
    return {};
  }

  sql::Database& database_;
  std::shared_ptr<const Context> context_;
};

/// One override per command.
template <class... Commands>
class Implement;
template <>
class Implement<> : public Runner {
 public:
  using Runner::Runner;
};
template <class First, class... Rest>
class Implement<First, Rest...> : public Implement<Rest...> {
 public:
  using Implement<Rest...>::Implement;
  using Implement<Rest...>::edit;
  awaitable<Result<Edited<typename First::Answer>>> edit(Instant deadline, Actor actor,
                                                         First command) final {
    return this->template run<First>(deadline, std::move(actor), std::move(command));
  }
};

template <class List>
struct SqlEditsOf;
template <class... Commands>
struct SqlEditsOf<CommandList<Commands...>> {
  using Type = Implement<Commands...>;
};

}  // namespace

std::unique_ptr<AccountEdits> make_sql_edits(SqlStoreParts parts, SqlStoreOptions options) {
  return std::make_unique<SqlEditsOf<AccountCommandList>::Type>(parts, std::move(options));
}

}  // namespace nb::management
