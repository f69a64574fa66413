// Http2Session from the first time limit to GOAWAY.
#include "net/http2_session.h"

#include <algorithm>
#include <array>

namespace nb::net {

using http2::ErrorCode;

void Http2Session::flooded(std::string_view what) {
  context_.metrics.closed_flood.Increment();
  context_.log.debug("connection ended: flood", {log::f("what", what)});
  fail(ErrorCode::kEnhanceYourCalm);
}

void Http2Session::fail(ErrorCode error) {
  if (failed_) return;
  put_goaway(processed_, error);
  goaway_sent_ = true;
  failed_ = true;
  state_ = State::kGone;
  flush_soon();
}

void Http2Session::fail_protocol(ErrorCode error) {
  context_.metrics.closed_protocol.Increment();
  fail(error);
}

void Http2Session::drain() {
  if (state_ != State::kOpen) return;
  state_ = State::kDraining;
  draining_since_ = context_.loop.now();
  // RFC 9113 §6.8: first a GOAWAY that refuses nothing, then, when what is on its way has arrived,
  // the one that counts.
  put_goaway(http2::kStreamIdMax, ErrorCode::kNoError);
  carrier_.wake_at(draining_since_ + std::chrono::milliseconds(200));
  flush_soon();
}

void Http2Session::shut() {
  if (state_ == State::kGone) return;
  state_ = State::kGone;
  for (const OpenStream& open : streams_)
    if (!open.stream->local_ended_) open.stream->on_shut();
  put_goaway(processed_, ErrorCode::kNoError);
  goaway_sent_ = true;
  flush_soon();
}

std::chrono::milliseconds Http2Session::age_limit() const {
  const auto age = static_cast<float>(context_.limits().age_max.count()) * age_jitter_;
  return std::chrono::milliseconds(static_cast<std::int64_t>(age));
}

Instant Http2Session::on_timer(Instant now) {
  const ServerLimits& limits = context_.limits();
  if (failed_) {
    dead_ = carrier_.blocked();  // the peer does not take our last word
    flush_soon();
    return now + limits.idle_timeout;
  }
  Instant next =
      now + (limits.keepalive_time.count() > 0 ? limits.keepalive_time : limits.idle_timeout);
  const auto ask_again = [&](Instant at) { next = std::min(next, std::max(at, now)); };
  const auto expired = [&](Instant since, std::chrono::milliseconds limit) {
    if (now >= since + limit) return true;
    ask_again(since + limit);
    return false;
  };

  if ((!settled_ && expired(started_, limits.header_timeout)) ||
      (half_received() && expired(half_received_since_, limits.header_timeout))) {
    context_.metrics.closed_slow.Increment();
    fail(ErrorCode::kEnhanceYourCalm);
    return next;
  }
  if (streams_.empty()) {
    if (expired(received_, limits.idle_timeout)) {
      context_.metrics.closed_idle.Increment();
      fail(ErrorCode::kNoError);
      return next;
    }
  } else if (limits.keepalive_time.count() > 0) {
    if (ping_sent_ != Instant{}) {
      if (expired(ping_sent_, limits.keepalive_timeout)) {
        context_.metrics.closed_dead.Increment();
        dead_ = true;
        flush_soon();
        return next;
      }
    } else if (expired(received_, limits.keepalive_time)) {
      // Nobody reads its payload again: any bytes of the peer are a sign of life.
      put_ping(std::array<std::uint8_t, http2::kPingBytes>{}, 0);
      ping_sent_ = now;
      flush_soon();
      ask_again(now + limits.keepalive_timeout);
    }
  }
  if (limits.age_max.count() > 0 && state_ == State::kOpen) {
    if (expired(started_, age_limit())) {
      context_.metrics.closed_age.Increment();
      drain();
    }
  }
  if (state_ == State::kDraining) {
    if (!goaway_sent_ && expired(draining_since_, std::chrono::milliseconds(200))) {
      goaway_sent_ = true;
      put_goaway(processed_, ErrorCode::kNoError);
      flush_soon();
    }
    if (goaway_sent_ && streams_.empty()) fail(ErrorCode::kNoError);
    if (!context_.draining && expired(draining_since_, limits.age_grace)) shut();
  } else if (state_ == State::kGone && draining_since_ != Instant{}) {
    // Answers that wait for a window which does not open hold nothing up for ever.
    if (expired(draining_since_, 2 * limits.age_grace)) fail(ErrorCode::kNoError);
  }
  return next;
}

}  // namespace nb::net
