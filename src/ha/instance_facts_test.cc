#include "ha/instance_facts.h"

#include <gtest/gtest.h>

namespace nb::ha {
namespace {

InstanceFacts full() {
  return {.version = "1.2.0",
          .program = "netbird-relay",
          .started_ms = 1'700'000'000'000,
          .state = std::string(kServing),
          .trouble = "redis: 100% gone, \"why\"=\n\xC3\xA4",
          .redis = "up",
          .peers = 0,
          .bus_lag_us = 250,
          .repairs = 3,
          .reclaimed = 4,
          .repaired_ms = 1'700'000'001'000,
          .leases = {"purge", "b,c"},
          .address = "rels://relay-1.example.com:443"};
}

TEST(InstanceFacts, AreReadAsWritten) {
  InstanceFacts facts = full();
  const std::string text = facts_text(facts);
  EXPECT_EQ(text.find('\n'), std::string::npos);
  InstanceFacts back = parse_facts(text);
  EXPECT_EQ(back.trouble.find('\n'), std::string::npos);  // printable, whoever wrote it
  back.trouble = facts.trouble;
  EXPECT_EQ(back, facts);
  EXPECT_EQ(parse_facts(facts_text(InstanceFacts{})), InstanceFacts{});
}

TEST(InstanceFacts, RecordsOfOlderVersionsAreRead) {
  EXPECT_EQ(parse_facts(""), InstanceFacts{});
  const InstanceFacts relay = parse_facts("version=1.1.0 address=rel://127.0.0.1:33080");
  EXPECT_EQ(relay.version, "1.1.0");
  EXPECT_EQ(relay.address, "rel://127.0.0.1:33080");
  EXPECT_FALSE(relay.peers);
  EXPECT_EQ(relay.state, "");
}

TEST(InstanceFacts, TheAddressIsLastForOlderRelays) {
  const std::string text = facts_text(full());
  const std::string mark = " address=";
  ASSERT_NE(text.find(mark), std::string::npos);
  EXPECT_EQ(text.substr(text.find(mark) + mark.size()), full().address);
}

TEST(InstanceFacts, GarbageIsSkipped) {
  const InstanceFacts facts =
      parse_facts("peers=-1 lag_us=x started=99999999999999999999 =x unknown=1 version=%zz state");
  EXPECT_FALSE(facts.peers);
  EXPECT_FALSE(facts.bus_lag_us);
  EXPECT_EQ(facts.started_ms, 0);
  EXPECT_EQ(facts.version, "%zz");
}

TEST(InstanceFacts, NeverExceedOneKilobyteOfPlainText) {
  InstanceFacts facts = full();
  facts.trouble = facts.version = facts.program = std::string(5'000, 'x');
  facts.address = std::string(5'000, 'y');
  facts.leases.assign(100, std::string(100, 'z'));
  EXPECT_LE(facts_text(facts).size(), 1'536U);
}

TEST(FactsTeller, TellsNewsAndTheTimeOfTheLastRepair) {
  FactsTeller teller;
  InstanceFacts now = full();
  now.repairs = now.reclaimed = 0;
  EXPECT_TRUE(teller.tell(now, 1'000).news);
  now.peers = 7;
  const auto quiet = teller.tell(now, 2'000);
  EXPECT_FALSE(quiet.news);
  EXPECT_EQ(parse_facts(quiet.text).peers, 7U);
  EXPECT_EQ(parse_facts(quiet.text).repaired_ms, 0);
  now.repairs = 1;
  EXPECT_TRUE(teller.tell(now, 3'000).news);
  now.state = std::string(kDraining);
  const auto drain = teller.tell(now, 4'000);
  EXPECT_TRUE(drain.news);
  EXPECT_EQ(parse_facts(drain.text).repaired_ms, 3'000);
}

}  // namespace
}  // namespace nb::ha
