// Leases over any store: waiting, renewing and losing, with a LeaseStore doing the I/O.
#pragma once

#include "base/clock.h"
#include "ha/ids.h"
#include "ha/lease_holder.h"
#include "ha/leases.h"

#include <boost/asio/any_io_executor.hpp>

#include <memory>
#include <string>
#include <vector>

namespace nb::ha {

/// What an adapter does: LeaseTable's operations, each atomic. Errors: kUnavailable.
class LeaseStore {
 public:
  virtual ~LeaseStore() = default;
  virtual boost::asio::awaitable<Result<LeaseReply>> take(std::string resource, std::string token,
                                                          std::chrono::milliseconds ttl) = 0;
  virtual boost::asio::awaitable<Result<bool>> renew(std::string resource, std::string token,
                                                     std::chrono::milliseconds ttl) = 0;
  virtual boost::asio::awaitable<Result<bool>> release(std::string resource, std::string token) = 0;
};

/// Lives on `home`. Await stop() before destroying it: it gives back what is still held.
class StoreLeases final : public Leases {
 public:
  StoreLeases(boost::asio::any_io_executor home, std::unique_ptr<LeaseStore> store, Clock& clock,
              Random random);
  ~StoreLeases() override;
  boost::asio::awaitable<Result<Lease>> acquire(Resource resource, AcquireOptions options) override;
  boost::asio::awaitable<void> stop();
  /// What is held now, by resource.
  [[nodiscard]] std::vector<std::string> held() const;

  struct Core;

 private:
  std::shared_ptr<Core> core_;
};

}  // namespace nb::ha
