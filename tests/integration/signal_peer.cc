#include "signal_peer.h"

#include "support/process.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>

namespace nb::test {

std::shared_ptr<grpc::Channel> signal_channel(
    const std::string& address, const std::shared_ptr<grpc::ChannelCredentials>& credentials,
    grpc::ChannelArguments arguments) {
  // A connection of its own: channels to one address share theirs otherwise.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // In spite of its name the time that one attempt to connect is given: with less, a machine under
  // load turns slow handshakes into errors.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20'000);
  return grpc::CreateCustomChannel(
      address, credentials ? credentials : grpc::InsecureChannelCredentials(), arguments);
}

EncryptedMessage message(const std::string& from, const std::string& to, const std::string& body) {
  EncryptedMessage made;
  made.set_key(from);
  made.set_remotekey(to);
  made.set_body(body);
  return made;
}

SendResult send(const std::shared_ptr<grpc::Channel>& channel, const EncryptedMessage& message,
                milliseconds deadline) {
  const auto stub = signalexchange::SignalExchange::NewStub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + patient(deadline));
  EncryptedMessage answer;
  const auto start = std::chrono::steady_clock::now();
  SendResult result;
  result.status = stub->Send(&context, message, &answer);
  result.took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
  if (result.status.ok() && answer.ByteSizeLong() != 0)
    result.status = grpc::Status(grpc::StatusCode::INTERNAL, "the answer is not empty");
  return result;
}

namespace {

/// What the completion queue carries: one started operation of a stream.
struct Step {
  std::function<void(bool ok)> done;
};

/// One completion queue and its thread, for the streams of all peers that live at the same time.
/// Not gRPC's callbacks: there calls, and with them channels, are destroyed on gRPC's own threads,
/// also while the process ends.
class StreamThread {
 public:
  static std::shared_ptr<StreamThread> shared() {
    static std::mutex mutex;
    static std::weak_ptr<StreamThread> known;
    const std::lock_guard lock(mutex);
    auto thread = known.lock();
    if (!thread) known = thread = std::make_shared<StreamThread>();
    return thread;
  }
  StreamThread() : thread_([this] { run(); }) {}
  ~StreamThread() {
    queue_.Shutdown();
    thread_.join();
  }
  grpc::CompletionQueue& queue() { return queue_; }

 private:
  void run() {
    void* tag = nullptr;
    for (bool ok = false; queue_.Next(&tag, &ok);) static_cast<Step*>(tag)->done(ok);
  }
  grpc::CompletionQueue queue_;
  std::thread thread_;
};

}  // namespace

/// Operations under way are counted; the object may go when none is left.
class SignalPeer::Stream {
 public:
  explicit Stream(const std::shared_ptr<grpc::Channel>& channel)
      : thread_(StreamThread::shared()), stub_(signalexchange::SignalExchange::NewStub(channel)) {}

  void start(const std::string& id, Options options) {
    const std::lock_guard lock(mutex_);
    paused_ = options.paused;
    half_close_ = options.half_close;
    if (!id.empty()) context_.AddMetadata("x-wiretrustee-peer-id", id);
    call_ = stub_->PrepareAsyncConnectStream(&context_, &thread_->queue());
    ++under_way_;
    call_->StartCall(&started_);
  }
  void resume() {
    const std::lock_guard lock(mutex_);
    if (std::exchange(paused_, false) && headers_) read();
  }
  void cancel() {
    context_.TryCancel();
    const std::lock_guard lock(mutex_);
    if (std::exchange(paused_, false) && headers_) finish();
  }
  template <class Condition>
  bool wait(milliseconds limit, Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, condition);
  }
  [[nodiscard]] bool over() const { return status_ && under_way_ == 0; }

  // Guarded by mutex_; conditions of wait() run under it.
  bool headers_ = false;
  bool registered_ = false;
  std::vector<EncryptedMessage> received_;
  std::chrono::steady_clock::time_point last_;
  std::optional<grpc::Status> status_;
  mutable std::mutex mutex_;

 private:
  Step step(void (Stream::*done)(bool ok)) {
    return {[this, done](bool ok) {
      const std::lock_guard lock(mutex_);
      --under_way_;
      (this->*done)(ok);
      changed_.notify_all();
    }};
  }
  void on_started(bool ok) {
    if (!ok) return finish();
    ++under_way_;
    call_->ReadInitialMetadata(&got_headers_);
    if (!half_close_) return;
    ++under_way_;
    call_->WritesDone(&half_closed_);
  }
  void on_headers(bool ok) {
    headers_ = true;
    if (!ok) {
      paused_ = false;
      return finish();
    }
    const auto& headers = context_.GetServerInitialMetadata();
    const auto at = headers.find("x-wiretrustee-peer-registered");
    registered_ = at != headers.end() && at->second == "1";
    if (!paused_) read();
  }
  void on_half_closed(bool /*ok*/) {}
  void on_read(bool ok) {
    if (!ok) return finish();
    received_.push_back(std::move(in_));
    last_ = std::chrono::steady_clock::now();
    in_.Clear();
    read();
  }
  void on_finished(bool /*ok*/) { status_ = end_; }
  void read() {
    ++under_way_;
    call_->Read(&in_, &got_message_);
  }
  void finish() {
    ++under_way_;
    call_->Finish(&end_, &finished_);
  }

  const std::shared_ptr<StreamThread> thread_;
  const std::unique_ptr<signalexchange::SignalExchange::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientAsyncReaderWriter<EncryptedMessage, EncryptedMessage>> call_;
  EncryptedMessage in_;
  grpc::Status end_;
  bool paused_ = false;
  bool half_close_ = false;
  int under_way_ = 0;
  std::condition_variable changed_;
  Step started_ = step(&Stream::on_started);
  Step got_headers_ = step(&Stream::on_headers);
  Step half_closed_ = step(&Stream::on_half_closed);
  Step got_message_ = step(&Stream::on_read);
  Step finished_ = step(&Stream::on_finished);
};

SignalPeer::SignalPeer(const std::string& address, std::string id)
    : SignalPeer(signal_channel(address), std::move(id)) {}

SignalPeer::SignalPeer(std::shared_ptr<grpc::Channel> channel, std::string id)
    : SignalPeer(std::move(channel), std::move(id), Options{}) {}

SignalPeer::SignalPeer(std::shared_ptr<grpc::Channel> channel, std::string id, Options options)
    : id_(std::move(id)),
      channel_(std::move(channel)),
      stream_(std::make_unique<Stream>(channel_)) {
  stream_->start(id_, options);
}

SignalPeer::~SignalPeer() {
  close();
}

bool SignalPeer::registered(milliseconds limit) {
  static_cast<void>(
      stream_->wait(patient(limit), [&] { return stream_->headers_ || stream_->status_; }));
  const std::lock_guard lock(stream_->mutex_);
  return stream_->registered_;
}

bool SignalPeer::received(std::size_t count, milliseconds limit) {
  return stream_->wait(patient(limit), [&] { return stream_->received_.size() >= count; });
}

std::vector<EncryptedMessage> SignalPeer::messages() const {
  const std::lock_guard lock(stream_->mutex_);
  return stream_->received_;
}

std::size_t SignalPeer::count() const {
  const std::lock_guard lock(stream_->mutex_);
  return stream_->received_.size();
}

std::chrono::steady_clock::time_point SignalPeer::last_time() const {
  const std::lock_guard lock(stream_->mutex_);
  return stream_->last_;
}

bool SignalPeer::got(const std::string& body, milliseconds limit) {
  return stream_->wait(patient(limit), [&] {
    return std::any_of(stream_->received_.begin(), stream_->received_.end(),
                       [&](const EncryptedMessage& m) { return m.body() == body; });
  });
}

std::optional<grpc::Status> SignalPeer::ended(milliseconds limit) {
  static_cast<void>(stream_->wait(limit, [&] { return stream_->status_.has_value(); }));
  const std::lock_guard lock(stream_->mutex_);
  return stream_->status_;
}

void SignalPeer::resume() {
  stream_->resume();
}
void SignalPeer::cancel() {
  stream_->cancel();
}

void SignalPeer::close() {
  cancel();
  if (stream_->wait(std::chrono::minutes(2), [&] { return stream_->over(); })) return;
  std::fprintf(stderr, "the stream of %s does not end\n", id_.c_str());
  std::abort();  // gRPC still writes into it
}

}  // namespace nb::test
