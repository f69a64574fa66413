#include "management/grpc/map_messages.h"

#include "proto/management.pb.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

namespace nb::management::grpc {

namespace pb = ::management;

pb::RuleProtocol to_proto(netmap::Protocol value) {
  switch (value) {
    case netmap::Protocol::kAll:
      return pb::ALL;
    case netmap::Protocol::kTcp:
      return pb::TCP;
    case netmap::Protocol::kUdp:
      return pb::UDP;
    case netmap::Protocol::kIcmp:
      return pb::ICMP;
  }
  return pb::UNKNOWN;
}

void fill_zone(pb::CustomZone& out, const netmap::MapZone& zone) {
  out.set_domain(zone.domain);
  out.set_searchdomaindisabled(zone.search_domain_disabled);
  out.set_nonauthoritative(zone.non_authoritative);
  for (const netmap::DnsRecord& record : zone.records) {
    auto& entry = *out.add_records();
    entry.set_name(record.name);
    entry.set_type(record.type);
    entry.set_class_("IN");
    entry.set_ttl(record.ttl);
    entry.set_rdata(record.data);
  }
}

void fill_name_server(pb::NameServer& out, const NameServer& server) {
  out.set_ip(server.ip.to_string());
  out.set_nstype(server.type);
  out.set_port(server.port);
}

std::string deterministic_bytes(const google::protobuf::MessageLite& message) {
  std::string out;
  {
    google::protobuf::io::StringOutputStream stream(&out);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return out;
}

}  // namespace nb::management::grpc
