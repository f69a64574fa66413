// CommitProxy: in front of PostgreSQL, where the COMMIT of one transaction goes astray.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace nb::test {

/// Listens on a free loopback port and passes everything on to the PostgreSQL at
/// 127.0.0.1:`server`, but for one COMMIT: the next one of a transaction that had `part` in its
/// statements. A prepared statement shows its text only where a connection uses it first.
class CommitProxy {
 public:
  explicit CommitProxy(std::uint16_t server);
  ~CommitProxy();
  [[nodiscard]] std::uint16_t port() const;

  /// It is done, but instead of the answer the connection ends.
  void lose_answer(std::string part = {});
  /// It stays under way until release(), whatever its client does.
  void hold_commit(std::string part = {});
  void release();
  /// The answer is lost, or the COMMIT is held.
  [[nodiscard]] bool struck() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace nb::test
