#include "sql/types.h"

#include "sql/dsn.h"
#include "sql/pg_error.h"

#include <gtest/gtest.h>

namespace nb::sql {
namespace {

using namespace std::chrono_literals;

WallTime at(int year, unsigned month, unsigned day, std::chrono::nanoseconds time) {
  return std::chrono::sys_days(std::chrono::year_month_day{
             std::chrono::year(year), std::chrono::month(month), std::chrono::day(day)}) +
         time;
}

TEST(RowReader, GivesUtf8Only) {
  Rows rows;
  rows.set_columns(2);
  rows.add_text("Z\xC3\xBCrich");
  rows.add_text("\xFFoffice\xC3");
  RowReader row(rows[0]);
  EXPECT_EQ(row.string(), "Z\xC3\xBCrich");
  EXPECT_EQ(row.string(), "\xEF\xBF\xBDoffice\xEF\xBF\xBD");  // agents refuse anything else
}

TEST(SqlTime, EveryFormOfUpstreamDatabasesIsRead) {
  const WallTime base = at(2026, 11, 22, 10h + 34min + 25s);
  EXPECT_EQ(parse_time("2026-11-22 10:34:25.029526158+00:00"), base + 29526158ns);
  EXPECT_EQ(parse_time("2026-11-22 10:34:25"), base);
  EXPECT_EQ(parse_time("2026-11-22 10:34:25.029526+00"), base + 29526us);
  EXPECT_EQ(parse_time("2026-11-22T10:34:25Z"), base);
  EXPECT_EQ(parse_time("2026-11-22 12:34:25.5+02:00"), base + 500ms);
  EXPECT_EQ(parse_time("2026-11-22 04:04:25-06:30"), base);
  EXPECT_EQ(parse_time("2026-11-22"), at(2026, 11, 22, 0s));
}

TEST(SqlTime, ZeroTimeAndGarbageAreUnset) {
  EXPECT_EQ(parse_time("0001-01-01 00:00:00+00:00"), std::nullopt);
  for (const char* text : {"", "infinity", "2026-13-01", "2026-02-30", "2026-11-22 10", "20261122",
                           "2026-11-22 10:34:25.", "2026-11-22 10:34:25x", "-026-11-22",
                           "2026-11-22 10:61:25", "2026-11-22 10:34:25+0"})
    EXPECT_EQ(parse_time(text), std::nullopt) << text;
}

TEST(SqlTime, WhatIsWrittenReadsBackTheSame) {
  for (const auto fraction : {0ns, 1ns, 120ns, 500'000'000ns, 999'999'999ns}) {
    const WallTime time = at(1999, 12, 31, 23h + 59min + 59s) + fraction;
    EXPECT_EQ(parse_time(format_time(time)), time) << format_time(time);
  }
  EXPECT_EQ(format_time(at(2026, 1, 2, 3h + 29526158ns)), "2026-01-02 03:00:00.029526158+00:00");
}

TEST(SqlRow, NullAndGarbageReadAsEmptyValues) {
  Rows rows;
  rows.set_columns(4);
  rows.add_null();
  rows.add_text("x");
  rows.add_text("");
  rows.add_text("-7");
  EXPECT_TRUE(rows[0].null(0));
  EXPECT_FALSE(rows[0].null(2));
  EXPECT_EQ(rows[0].integer(0), 0);
  EXPECT_EQ(rows[0].integer(1), 0);
  EXPECT_FALSE(rows[0].boolean(0));
  EXPECT_FALSE(rows[0].boolean(1));
  EXPECT_EQ(rows[0].integer(3), -7);
  EXPECT_EQ(rows[0].time(1), std::nullopt);
}

TEST(Dsn, UrlAndKeyValueMeanTheSame) {
  const auto url =
      Dsn::postgres("postgres://bob:s3cret@db.example:6432/netbird?sslmode=disable&TimeZone=UTC");
  ASSERT_TRUE(url) << url.error().text;
  const auto list = Dsn::postgres(
      "host=db.example user = bob password='s3cret' dbname=netbird port=6432 sslmode=disable "
      "TimeZone=UTC");
  ASSERT_TRUE(list) << list.error().text;
  for (const Dsn* dsn : {&*url, &*list}) {
    EXPECT_EQ(dsn->describe(), "postgres db.example:6432/netbird");
    EXPECT_EQ(dsn->password.reveal(), "s3cret");
    EXPECT_EQ(dsn->parameters.size(), 5U);
  }
}

TEST(Dsn, QuotesAndEscapesAreThoseOfLibpq) {
  const auto dsn = Dsn::postgres(R"(host=h password='it\'s \\ me' dbname=)");
  ASSERT_TRUE(dsn);
  EXPECT_EQ(dsn->password.reveal(), R"(it's \ me)");
}

TEST(Dsn, ErrorsDoNotRepeatTheText) {
  for (const char* text : {"", "s3cret", "password=s3cret bogus", "password='s3cret",
                           "postgres://u:s3cret@[::1/x", "= s3cret"}) {
    const auto dsn = Dsn::postgres(text);
    ASSERT_FALSE(dsn) << text;
    EXPECT_EQ(dsn.error().code, Code::kInvalidArgument);
    EXPECT_EQ(dsn.error().text.find("s3cret"), std::string::npos) << dsn.error().text;
  }
}

TEST(Dsn, SqliteFileLosesSchemeAndPragmas) {
  EXPECT_EQ(Dsn::sqlite("file:/var/lib/netbird/store.db?_pragma=x")->file,
            "/var/lib/netbird/store.db");
  EXPECT_FALSE(Dsn::sqlite(":memory:"));
  EXPECT_FALSE(Dsn::sqlite(""));
}

TEST(PgError, StatesMapToWhatCallersActOn) {
  EXPECT_EQ(pg_code("23505"), Code::kAlreadyExists);
  EXPECT_EQ(pg_code("40001"), Code::kAborted);
  EXPECT_EQ(pg_code("40P01"), Code::kAborted);
  EXPECT_EQ(pg_code("57P01"), Code::kUnavailable);
  EXPECT_EQ(pg_code("53300"), Code::kUnavailable);
  EXPECT_EQ(pg_code("25006"), Code::kUnavailable);
  EXPECT_EQ(pg_code("57014"), Code::kDeadlineExceeded);
  EXPECT_EQ(pg_code("42601"), Code::kInternal);
}

}  // namespace
}  // namespace nb::sql
