// The executor of an EventLoop: Asio's own, and the loop hears of what is queued.
#pragma once

#include <boost/asio/execution.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/require.hpp>

#include <type_traits>
#include <utility>

namespace nb::net {

/// What Asio is asked to run. Safe from any thread.
class AsioListener {
 public:
  /// True in the middle of a turn of this loop, on its thread: what may run at once is run.
  [[nodiscard]] virtual bool in_turn_here() const = 0;
  virtual void on_asio_queued() = 0;

 protected:
  ~AsioListener() = default;
};

/// `Inner` is an executor of the loop's io_context with some of its properties.
template <class Inner>
class LoopExecutor {
 public:
  LoopExecutor(Inner inner, AsioListener& loop) noexcept : inner_(std::move(inner)), loop_(&loop) {}

  template <class Property>
    requires boost::asio::can_query_v<const Inner&, Property>
  [[nodiscard]] auto query(const Property& property) const
      noexcept(boost::asio::is_nothrow_query_v<const Inner&, Property>) ->
      typename boost::asio::query_result<const Inner&, Property>::type {
    return boost::asio::query(inner_, property);
  }
  template <class Property>
    requires boost::asio::can_require_v<const Inner&, Property>
  [[nodiscard]] auto require(const Property& property) const {
    return with(boost::asio::require(inner_, property));
  }
  template <class Property>
    requires boost::asio::can_prefer_v<const Inner&, Property>
  [[nodiscard]] auto prefer(const Property& property) const {
    return with(boost::asio::prefer(inner_, property));
  }
  template <class Function>
  void execute(Function&& function) const {
    namespace execution = boost::asio::execution;
    if (boost::asio::query(inner_, execution::blocking) == execution::blocking.possibly &&
        loop_->in_turn_here()) {
      std::decay_t<Function> here(std::forward<Function>(function));
      here();
      return;
    }
    inner_.execute(std::forward<Function>(function));
    loop_->on_asio_queued();
  }
  friend bool operator==(const LoopExecutor& a, const LoopExecutor& b) noexcept {
    return a.inner_ == b.inner_;
  }
  friend bool operator!=(const LoopExecutor& a, const LoopExecutor& b) noexcept {
    return !(a == b);
  }

 private:
  template <class Other>
  [[nodiscard]] LoopExecutor<std::decay_t<Other>> with(Other&& other) const {
    return {std::forward<Other>(other), *loop_};
  }
  Inner inner_;
  AsioListener* loop_;
};

}  // namespace nb::net
