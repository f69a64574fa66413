#include "ha/memory_store.h"

#include <vector>

namespace nb::ha {

void MemoryStore::flush() {
  members.clear();
  directories.clear();
  logins.clear();
  deadlines.clear();
  leases = {};
}

std::uint64_t MemoryStore::subscribe(const std::string& channel, Sink sink) {
  const std::uint64_t id = ++last_id_;
  sinks_[channel].emplace(id, std::make_shared<Sink>(std::move(sink)));
  channels_[id] = channel;
  return id;
}

void MemoryStore::unsubscribe(std::uint64_t id) {
  const auto it = channels_.find(id);
  if (it == channels_.end()) return;
  const auto at = sinks_.find(it->second);
  at->second.erase(id);
  if (at->second.empty()) sinks_.erase(at);
  channels_.erase(it);
}

std::size_t MemoryStore::publish(const std::string& channel, const std::string& payload) {
  const auto it = sinks_.find(channel);
  if (it == sinks_.end()) return 0;
  std::vector<std::shared_ptr<Sink>> sinks;  // a sink may subscribe or unsubscribe
  for (const auto& [id, sink] : it->second) sinks.push_back(sink);
  for (const auto& sink : sinks) (*sink)(channel, payload);
  return sinks.size();
}

}  // namespace nb::ha
