#include "relay/presence_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace nb::relay {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

PeerId id(int n) {
  return crypto::relay_peer_id(std::to_string(n));
}

TEST(PresenceBook, TellsOnlyWhatIsSubscribed) {
  PresenceBook book;
  book.subscribe(id(1));
  EXPECT_FALSE(book.note(id(2), true, 1));
  EXPECT_TRUE(book.note(id(1), true, 2));
  const auto news = book.take(10);
  EXPECT_EQ(news.type, Type::kPeersOnline);
  EXPECT_THAT(news.ids, ElementsAre(id(1)));
  EXPECT_THAT(book.take(10).ids, IsEmpty());
}

TEST(PresenceBook, OnlyTheFinalStateIsTold) {
  PresenceBook book;
  book.subscribe(id(1));
  book.note(id(1), true, 1);
  book.note(id(1), false, 2);
  const auto news = book.take(10);
  EXPECT_EQ(news.type, Type::kPeersOffline);
  EXPECT_THAT(news.ids, ElementsAre(id(1)));
  EXPECT_FALSE(book.has_news());
}

TEST(PresenceBook, NewsThatArriveLateAreDropped) {
  PresenceBook book;
  book.subscribe(id(1));
  book.note(id(1), true, 5);
  EXPECT_FALSE(book.note(id(1), false, 4));
  EXPECT_EQ(book.take(10).type, Type::kPeersOnline);
}

TEST(PresenceBook, StatesGoSeparatelyAndInPieces) {
  PresenceBook book;
  for (int n = 0; n < 5; ++n) {
    book.subscribe(id(n));
    book.note(id(n), n % 2 == 0, 1);
  }
  EXPECT_THAT(book.take(2).ids, ElementsAre(id(0), id(2)));
  EXPECT_THAT(book.take(2).ids, ElementsAre(id(1), id(3)));
  EXPECT_THAT(book.take(2).ids, ElementsAre(id(4)));
  EXPECT_FALSE(book.has_news());
}

TEST(PresenceBook, WhoIsNoLongerWatchedIsNotTold) {
  PresenceBook book;
  book.subscribe(id(1));
  book.note(id(1), true, 1);
  book.unsubscribe(id(1));
  EXPECT_THAT(book.take(10).ids, IsEmpty());
}

TEST(PresenceBook, ComingAndGoingWithoutReadingKeepsItSmall) {
  PresenceBook book;
  for (std::uint64_t n = 0; n < 10'000; ++n) {
    book.subscribe(id(static_cast<int>(n % 7)));
    book.note(id(static_cast<int>(n % 7)), true, n + 1);
    if (n % 2 == 0) book.unsubscribe(id(static_cast<int>(n % 7)));
  }
  EXPECT_LE(book.waiting(), 100U);
  std::size_t told = 0;
  while (book.has_news()) told += book.take(3).ids.size();
  EXPECT_EQ(told, book.size());
}

}  // namespace
}  // namespace nb::relay
