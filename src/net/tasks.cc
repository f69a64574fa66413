#include "net/tasks.h"

#include "net/loop.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>

#include <exception>
#include <utility>

namespace nb::net {
namespace asio = boost::asio;

namespace {

/// From the loop's queue, so that it does not stand in front of what the sockets still have and
/// what is answered at once.
template <class State, class Answer, class Judge>
void begin(std::shared_ptr<State> state, asio::any_io_executor executor,
           asio::awaitable<Answer> work, Judge judge) {
  asio::post(
      executor, [state = std::move(state), executor, work = std::move(work), judge]() mutable {
        if (!state->done) return;
        const auto slot = state->cancel.slot();
        asio::co_spawn(
            executor, std::move(work),
            asio::bind_cancellation_slot(slot, [state = std::move(state), judge](
                                                   const std::exception_ptr& error, Answer answer) {
              if (!state->done) return;
              const auto finish = std::exchange(state->done, nullptr);
              finish(judge(error, std::move(answer)));
            }));
      });
}

}  // namespace

// The state outlives its owner until the coroutine has ended, because the coroutine's frame holds
// the cancellation slot. `done` is emptied when the owner goes.
struct AsyncCall::State {
  std::shared_ptr<const void> routes;
  asio::cancellation_signal cancel;
  std::function<void(Result<std::string>)> done;
};

AsyncCall::AsyncCall(std::shared_ptr<const void> routes, const GrpcRouter::AsyncFn& fn,
                     GrpcRequest request, std::function<void(Result<std::string>)> done)
    : state_(std::make_shared<State>()) {
  state_->routes = std::move(routes);
  state_->done = std::move(done);
  const auto executor = request.loop->executor();
  begin(state_, executor, fn(std::move(request)),
        [](const std::exception_ptr& error, Result<std::string> result) {
          return error ? Result<std::string>(fail(Code::kInternal, "internal error"))
                       : std::move(result);
        });
}

AsyncCall::~AsyncCall() {
  // Still running. Streams go away in receive(), produce() and with their session: never inside the
  // coroutine's own stack.
  if (std::exchange(state_->done, nullptr)) state_->cancel.emit(asio::cancellation_type::terminal);
}

struct HttpTask::State {
  std::shared_ptr<const void> routes;
  asio::cancellation_signal cancel;
  std::function<void(HttpResponse)> done;
};

HttpTask::HttpTask(std::shared_ptr<const void> routes, const HttpHandler& handler,
                   HttpRequest request, std::function<void(HttpResponse)> done)
    : state_(std::make_shared<State>()) {
  state_->routes = std::move(routes);
  state_->done = std::move(done);
  const auto executor = request.loop->executor();
  begin(state_, executor, handler(std::move(request)),
        [](const std::exception_ptr& error, HttpResponse response) {
          return error ? HttpResponse::text(500, "internal error\n") : std::move(response);
        });
}

HttpTask::~HttpTask() {
  if (std::exchange(state_->done, nullptr)) state_->cancel.emit(asio::cancellation_type::terminal);
}

}  // namespace nb::net
