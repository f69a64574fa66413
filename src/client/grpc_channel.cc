#include "client/grpc_channel.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include <fstream>
#include <iterator>
#include <mutex>
#include <set>
#include <thread>
#include <utility>
#include <vector>

namespace nb::client {
namespace asio = boost::asio;

namespace {
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr auto kNever = asio::steady_timer::time_point::max();

/// What the completion queue carries.
struct Step {
  std::function<void(bool ok)> done;
};

class QueueThread {
 public:
  static std::shared_ptr<QueueThread> shared() {
    static std::mutex mutex;
    static std::weak_ptr<QueueThread> known;
    const std::lock_guard lock(mutex);
    auto thread = known.lock();
    if (!thread) known = thread = std::make_shared<QueueThread>();
    return thread;
  }
  QueueThread() : thread_([this] { run(); }) {}
  ~QueueThread() {
    queue_.Shutdown();
    thread_.join();
  }
  QueueThread(const QueueThread&) = delete;
  QueueThread& operator=(const QueueThread&) = delete;
  grpc::CompletionQueue& queue() { return queue_; }

 private:
  void run() {
    void* tag = nullptr;
    for (bool ok = false; queue_.Next(&tag, &ok);) {
      const std::unique_ptr<Step> step(static_cast<Step*>(tag));
      step->done(ok);
    }
  }
  grpc::CompletionQueue queue_;
  std::thread thread_;
};

grpc::ByteBuffer to_buffer(const std::string& bytes) {
  const grpc::Slice slice(bytes);
  return {&slice, 1};
}

std::string to_bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string out;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return out;
  for (const grpc::Slice& slice : slices)
    out.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return out;
}

Error to_error(const grpc::Status& status) {
  return Error{static_cast<Code>(status.error_code()), status.error_message()};
}

class Channel;

/// Lives on home; the channel counts it until its last step is over.
struct Operation : std::enable_shared_from_this<Operation> {
  explicit Operation(Channel& owner) : channel(owner) {}
  virtual ~Operation() = default;
  /// A tag whose `next` runs on home.
  template <class Self>
  void* step(void (Self::*next)(bool ok));
  Channel& channel;
  grpc::ClientContext context;
  int under_way = 0;
};

class Channel final : public GrpcChannel {
 public:
  Channel(asio::any_io_executor home, std::shared_ptr<grpc::Channel> channel)
      : home_(std::move(home)),
        thread_(QueueThread::shared()),
        stub_(std::move(channel)),
        emptied_(home_, kNever) {}

  asio::awaitable<Result<std::string>> call(std::string method, std::string request,
                                            std::chrono::milliseconds limit) override;
  std::shared_ptr<GrpcStream> open(std::string method,
                                   std::multimap<std::string, std::string> metadata,
                                   const std::string* request, GrpcStreamEvents events) override;
  asio::awaitable<void> stop() override {
    stopping_ = true;
    for (const auto& operation : operations_) operation->context.TryCancel();
    while (!operations_.empty()) co_await emptied_.async_wait(kAwait);
  }

  void begin(const std::shared_ptr<Operation>& operation) {
    operations_.insert(operation);
    if (stopping_) operation->context.TryCancel();
  }
  void end(const std::shared_ptr<Operation>& operation) {
    operations_.erase(operation);
    if (operations_.empty()) emptied_.cancel();
  }
  [[nodiscard]] const asio::any_io_executor& home() const { return home_; }
  [[nodiscard]] grpc::CompletionQueue& queue() { return thread_->queue(); }
  [[nodiscard]] grpc::GenericStub& stub() { return stub_; }
  [[nodiscard]] bool stopping() const { return stopping_; }

 private:
  const asio::any_io_executor home_;
  const std::shared_ptr<QueueThread> thread_;
  grpc::GenericStub stub_;
  std::set<std::shared_ptr<Operation>> operations_;
  asio::steady_timer emptied_;
  bool stopping_ = false;
};

template <class Self>
void* Operation::step(void (Self::*next)(bool ok)) {
  ++under_way;
  return new Step{[self = std::static_pointer_cast<Self>(shared_from_this()), next](bool ok) {
    // Not the queue's thread holds the last reference then.
    asio::post(self->channel.home(), [self, next, ok] {
      --self->under_way;
      (self.get()->*next)(ok);
      if (self->under_way == 0) self->channel.end(self);
    });
  }};
}

struct Unary final : Operation {
  explicit Unary(Channel& owner) : Operation(owner), changed(owner.home(), kNever) {}
  void on_finished(bool /*ok*/) {
    done = true;
    changed.cancel();
  }
  std::unique_ptr<grpc::GenericClientAsyncResponseReader> reader;
  grpc::ByteBuffer response;
  grpc::Status status;
  bool done = false;
  asio::steady_timer changed;
};

struct Stream final : Operation, GrpcStream {
  Stream(Channel& owner, GrpcStreamEvents to) : Operation(owner), events(std::move(to)) {}
  void cancel() override { context.TryCancel(); }

  void on_started(bool ok) {
    if (!ok) return finish();
    if (request.Valid()) call->WriteLast(request, {}, step(&Stream::on_written));
    call->ReadInitialMetadata(step(&Stream::on_metadata));
  }
  void on_written(bool /*ok*/) {}  // the end says more
  void on_metadata(bool ok) {
    if (!ok) return finish();
    std::multimap<std::string, std::string> headers;
    for (const auto& [name, value] : context.GetServerInitialMetadata())
      headers.emplace(std::string(name.data(), name.size()),
                      std::string(value.data(), value.size()));
    if (events.on_headers && !channel.stopping()) events.on_headers(headers);
    call->Read(&in, step(&Stream::on_read));
  }
  void on_read(bool ok) {
    if (!ok) return finish();
    if (events.on_message && !channel.stopping()) events.on_message(to_bytes(in));
    in.Clear();
    call->Read(&in, step(&Stream::on_read));
  }
  void finish() { call->Finish(&status, step(&Stream::on_finished)); }
  void on_finished(bool /*ok*/) {
    const GrpcStreamEvents last = std::exchange(events, {});
    if (last.on_end && !channel.stopping()) last.on_end(to_error(status));
  }

  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call;
  grpc::ByteBuffer request;
  grpc::ByteBuffer in;
  grpc::Status status;
  GrpcStreamEvents events;
};

asio::awaitable<Result<std::string>> Channel::call(std::string method, std::string request,
                                                   std::chrono::milliseconds limit) {
  const auto call = std::make_shared<Unary>(*this);
  call->context.set_deadline(std::chrono::system_clock::now() + limit);
  const grpc::ByteBuffer bytes = to_buffer(request);
  call->reader = stub_.PrepareUnaryCall(&call->context, method, bytes, &queue());
  begin(call);
  call->reader->StartCall();
  call->reader->Finish(&call->response, &call->status, call->step(&Unary::on_finished));
  // The caller may be cancelled while it waits.
  struct Guard {
    ~Guard() {
      if (!call->done) call->context.TryCancel();
    }
    const std::shared_ptr<Unary>& call;
  } const guard{call};
  while (!call->done) co_await call->changed.async_wait(kAwait);
  if (!call->status.ok()) co_return to_error(call->status);
  co_return to_bytes(call->response);
}

std::shared_ptr<GrpcStream> Channel::open(std::string method,
                                          std::multimap<std::string, std::string> metadata,
                                          const std::string* request, GrpcStreamEvents events) {
  const auto stream = std::make_shared<Stream>(*this, std::move(events));
  for (const auto& [name, value] : metadata) stream->context.AddMetadata(name, value);
  if (request != nullptr) stream->request = to_buffer(*request);
  stream->call = stub_.PrepareCall(&stream->context, method, &queue());
  begin(stream);
  stream->call->StartCall(stream->step(&Stream::on_started));
  return stream;
}

}  // namespace

Result<std::shared_ptr<GrpcChannel>> GrpcChannel::create(asio::any_io_executor home,
                                                         GrpcTarget target) {
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (target.tls) {
    grpc::SslCredentialsOptions options;
    if (!target.ca_file.empty()) {
      std::ifstream file(target.ca_file, std::ios::binary);
      options.pem_root_certs.assign(std::istreambuf_iterator<char>(file), {});
      if (!file) return fail(Code::kInvalidArgument, "{}: cannot be read", target.ca_file);
    }
    credentials = grpc::SslCredentials(options);
  }
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);  // a connection of its own
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 10'000);
  // In spite of its name the time that one attempt to connect is given.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetMaxReceiveMessageSize(kMessageBytesMax);
  return std::shared_ptr<GrpcChannel>(std::make_shared<Channel>(
      std::move(home), grpc::CreateCustomChannel(target.address, credentials, arguments)));
}

}  // namespace nb::client
