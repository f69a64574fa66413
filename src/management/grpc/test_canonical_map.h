// Test help: the form in which two SyncResponses that mean the same are equal.
// Source   contract/golden/README.md, "Which orders matter".
#pragma once

#include "proto/management.pb.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace nb::management::grpc::test {

inline std::string bytes_of(const google::protobuf::Message& message) {
  std::string out;
  google::protobuf::io::StringOutputStream stream(&out);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return out;
}

/// A list that counts as a set: sorted, without repetitions.
template <class T>
void as_set(google::protobuf::RepeatedPtrField<T>& list) {
  std::map<std::string, T> sorted;
  for (const T& entry : list) sorted.emplace(bytes_of(entry), entry);
  list.Clear();
  for (auto& [bytes, entry] : sorted) *list.Add() = std::move(entry);
}

inline void as_set(google::protobuf::RepeatedPtrField<std::string>& list) {
  const std::set<std::string> sorted(list.begin(), list.end());
  list.Clear();
  for (const std::string& entry : sorted) *list.Add() = entry;
}

inline void canonical(::management::SSHAuth& auth) {
  std::vector<std::pair<std::string, int>> users;
  for (int i = 0; i < auth.authorizedusers_size(); ++i)
    users.emplace_back(auth.authorizedusers(i), i);
  std::ranges::sort(users);
  std::map<std::uint32_t, std::uint32_t> position;
  auth.clear_authorizedusers();
  for (const auto& [hash, old] : users) {
    position[static_cast<std::uint32_t>(old)] =
        static_cast<std::uint32_t>(auth.authorizedusers_size());
    auth.add_authorizedusers(hash);
  }
  for (auto& [name, entry] : *auth.mutable_machine_users()) {
    for (auto& index : *entry.mutable_indexes()) index = position.at(index);
    std::ranges::sort(*entry.mutable_indexes());
  }
}

/// README of the vectors, "Which orders matter".
inline ::management::SyncResponse canonical(::management::SyncResponse response) {
  as_set(*response.mutable_remotepeers());
  for (auto& check : *response.mutable_checks()) as_set(*check.mutable_files());
  as_set(*response.mutable_checks());
  if (!response.has_networkmap()) return response;
  auto& map = *response.mutable_networkmap();
  as_set(*map.mutable_remotepeers());
  as_set(*map.mutable_offlinepeers());
  as_set(*map.mutable_routes());
  as_set(*map.mutable_firewallrules());
  for (auto& rule : *map.mutable_routesfirewallrules()) as_set(*rule.mutable_sourceranges());
  as_set(*map.mutable_routesfirewallrules());
  auto& dns = *map.mutable_dnsconfig();
  for (auto& zone : *dns.mutable_customzones()) as_set(*zone.mutable_records());
  as_set(*dns.mutable_customzones());
  as_set(*dns.mutable_nameservergroups());
  if (map.has_sshauth()) canonical(*map.mutable_sshauth());
  return response;
}

}  // namespace nb::management::grpc::test
