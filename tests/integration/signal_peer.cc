#include "signal_peer.h"

#include <algorithm>

namespace nb::test {

std::shared_ptr<grpc::Channel> signal_channel(const std::string& address) {
  grpc::ChannelArguments arguments;
  // A connection of its own: channels to one address share theirs otherwise.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
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
  context.set_deadline(std::chrono::system_clock::now() + deadline);
  EncryptedMessage answer;
  const auto start = std::chrono::steady_clock::now();
  SendResult result;
  result.status = stub->Send(&context, message, &answer);
  result.took = std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
  if (result.status.ok() && answer.ByteSizeLong() != 0)
    result.status = grpc::Status(grpc::StatusCode::INTERNAL, "the answer is not empty");
  return result;
}

class SignalPeer::Reactor final
    : public grpc::ClientBidiReactor<EncryptedMessage, EncryptedMessage>,
      public std::enable_shared_from_this<Reactor> {
 public:
  explicit Reactor(const std::shared_ptr<grpc::Channel>& channel)
      : stub_(signalexchange::SignalExchange::NewStub(channel)) {}
  void start(const std::string& id, Options options) {
    self_ = shared_from_this();  // until OnDone
    paused_ = options.paused;
    if (!id.empty()) context_.AddMetadata("x-wiretrustee-peer-id", id);
    stub_->async()->ConnectStream(&context_, this);
    AddHold();
    if (options.half_close) StartWritesDone();
    if (!paused_) StartRead(&in_);
    StartCall();
  }
  void OnReadInitialMetadataDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    headers_ = true;
    if (ok) {
      const auto& headers = context_.GetServerInitialMetadata();
      const auto at = headers.find("x-wiretrustee-peer-registered");
      registered_ = at != headers.end() && at->second == "1";
    }
    changed_.notify_all();
  }
  void OnReadDone(bool ok) override {
    {
      const std::lock_guard lock(mutex_);
      if (!ok) return drop_hold();
      received_.push_back(std::move(in_));
      last_ = std::chrono::steady_clock::now();
      changed_.notify_all();
    }
    in_.Clear();
    StartRead(&in_);
  }
  void OnDone(const grpc::Status& status) override {
    const auto self = std::move(self_);
    const std::lock_guard lock(mutex_);
    status_ = status;
    changed_.notify_all();
  }
  void resume() {
    {
      const std::lock_guard lock(mutex_);
      if (!std::exchange(paused_, false)) return;
    }
    StartRead(&in_);
  }
  void cancel() {
    context_.TryCancel();
    const std::lock_guard lock(mutex_);
    if (std::exchange(paused_, false)) drop_hold();
  }
  template <class Condition>
  bool wait(milliseconds limit, Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, limit, condition);
  }

  // Guarded by mutex_; conditions of wait() run under it.
  bool headers_ = false;
  bool registered_ = false;
  std::vector<EncryptedMessage> received_;
  std::chrono::steady_clock::time_point last_;
  std::optional<grpc::Status> status_;
  mutable std::mutex mutex_;

 private:
  void drop_hold() {
    if (std::exchange(held_, false)) RemoveHold();
  }
  std::unique_ptr<signalexchange::SignalExchange::Stub> stub_;
  grpc::ClientContext context_;
  EncryptedMessage in_;
  std::shared_ptr<Reactor> self_;
  bool paused_ = false;
  bool held_ = true;
  std::condition_variable changed_;
};

SignalPeer::SignalPeer(const std::string& address, std::string id)
    : SignalPeer(signal_channel(address), std::move(id)) {}

SignalPeer::SignalPeer(std::shared_ptr<grpc::Channel> channel, std::string id)
    : SignalPeer(std::move(channel), std::move(id), Options{}) {}

SignalPeer::SignalPeer(std::shared_ptr<grpc::Channel> channel, std::string id, Options options)
    : id_(std::move(id)),
      channel_(std::move(channel)),
      reactor_(std::make_shared<Reactor>(channel_)) {
  reactor_->start(id_, options);
}

SignalPeer::~SignalPeer() {
  close();
}

bool SignalPeer::registered(milliseconds limit) {
  static_cast<void>(reactor_->wait(limit, [&] { return reactor_->headers_ || reactor_->status_; }));
  const std::lock_guard lock(reactor_->mutex_);
  return reactor_->registered_;
}

bool SignalPeer::received(std::size_t count, milliseconds limit) {
  return reactor_->wait(limit, [&] { return reactor_->received_.size() >= count; });
}

std::vector<EncryptedMessage> SignalPeer::messages() const {
  const std::lock_guard lock(reactor_->mutex_);
  return reactor_->received_;
}

std::size_t SignalPeer::count() const {
  const std::lock_guard lock(reactor_->mutex_);
  return reactor_->received_.size();
}

std::chrono::steady_clock::time_point SignalPeer::last_time() const {
  const std::lock_guard lock(reactor_->mutex_);
  return reactor_->last_;
}

bool SignalPeer::got(const std::string& body, milliseconds limit) {
  return reactor_->wait(limit, [&] {
    return std::any_of(reactor_->received_.begin(), reactor_->received_.end(),
                       [&](const EncryptedMessage& m) { return m.body() == body; });
  });
}

std::optional<grpc::Status> SignalPeer::ended(milliseconds limit) {
  static_cast<void>(reactor_->wait(limit, [&] { return reactor_->status_.has_value(); }));
  const std::lock_guard lock(reactor_->mutex_);
  return reactor_->status_;
}

void SignalPeer::resume() {
  reactor_->resume();
}
void SignalPeer::cancel() {
  reactor_->cancel();
}

void SignalPeer::close() {
  cancel();
  static_cast<void>(
      reactor_->wait(std::chrono::seconds(10), [&] { return reactor_->status_.has_value(); }));
}

}  // namespace nb::test
