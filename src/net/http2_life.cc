// Http2Session from the first time limit to GOAWAY.
#include "net/http2_session.h"

#include <algorithm>

namespace nb::net {

void Http2Session::flooded(std::string_view what) {
  context_.metrics.closed_flood.Increment();
  context_.log.debug("connection ended: flood", {log::f("what", what)});
  fail(NGHTTP2_ENHANCE_YOUR_CALM);
}

void Http2Session::fail(std::uint32_t error) {
  if (nghttp2_session_terminate_session(session_, error) != 0) dead_ = true;
  state_ = State::kGone;
  flush_soon();
}

void Http2Session::fail_on(std::uint32_t error) {
  if (error != NGHTTP2_NO_ERROR) fail(error);
}

void Http2Session::drain() {
  if (state_ != State::kOpen) return;
  state_ = State::kDraining;
  draining_since_ = context_.loop.now();
  // RFC 9113 §6.8: first a GOAWAY that refuses nothing, then, when what is on its way has arrived,
  // the one that counts.
  nghttp2_submit_shutdown_notice(session_);
  carrier_.wake_at(draining_since_ + std::chrono::milliseconds(200));
  flush_soon();
}

void Http2Session::shut() {
  if (state_ == State::kGone) return;
  state_ = State::kGone;
  for (Http2Stream* stream = streams_; stream != nullptr;) {
    Http2Stream* const next = stream->next_;
    stream->on_shut();
    stream = next;
  }
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  flush_soon();
}

std::chrono::milliseconds Http2Session::age_limit() const {
  const auto age = static_cast<float>(context_.limits().age_max.count()) * age_jitter_;
  return std::chrono::milliseconds(static_cast<std::int64_t>(age));
}

Instant Http2Session::on_timer(Instant now) {
  const ServerLimits& limits = context_.limits();
  Instant next =
      now + (limits.keepalive_time.count() > 0 ? limits.keepalive_time : limits.idle_timeout);
  const auto ask_again = [&](Instant at) { next = std::min(next, std::max(at, now)); };
  const auto expired = [&](Instant since, std::chrono::milliseconds limit) {
    if (now >= since + limit) return true;
    ask_again(since + limit);
    return false;
  };

  if ((!settled_ && expired(started_, limits.header_timeout)) ||
      (headers_ && expired(headers_began_, limits.header_timeout))) {
    context_.metrics.closed_slow.Increment();
    fail(NGHTTP2_ENHANCE_YOUR_CALM);
    return next;
  }
  if (stream_count_ == 0) {
    if (expired(received_, limits.idle_timeout)) {
      context_.metrics.closed_idle.Increment();
      fail(NGHTTP2_NO_ERROR);
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
      nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr);
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
    if (!final_goaway_ && expired(draining_since_, std::chrono::milliseconds(200))) {
      final_goaway_ = true;
      nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                            nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                            nullptr, 0);
      flush_soon();
    }
    if (final_goaway_ && stream_count_ == 0) fail(NGHTTP2_NO_ERROR);
    if (!context_.draining && expired(draining_since_, limits.age_grace)) shut();
  }
  return next;
}

}  // namespace nb::net
