#include "management/app/hasher.h"

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace nb::management::app {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> hash(Hasher& hasher, std::vector<Code>& answers) {
  const auto done = co_await hasher.hash(Secret("Passw0rd!"));
  answers.push_back(done ? Code::kOk : done.error().code);
}

TEST(Hasher, RefusesWhatItsQueueCannotTakeAndServesTheRest) {
  Hasher hasher(/*threads=*/1, /*queue_max=*/2);
  asio::io_context loop;
  std::vector<Code> answers;
  for (int i = 0; i < 5; ++i) asio::co_spawn(loop, hash(hasher, answers), asio::detached);
  loop.run();
  ASSERT_EQ(answers.size(), 5U);
  EXPECT_EQ(std::count(answers.begin(), answers.end(), Code::kOk), 2);
  EXPECT_EQ(std::count(answers.begin(), answers.end(), Code::kResourceExhausted), 3);
  // The refused left no trace.
  answers.clear();
  asio::co_spawn(loop, hash(hasher, answers), asio::detached);
  loop.restart();
  loop.run();
  EXPECT_EQ(answers, std::vector<Code>{Code::kOk});
}

}  // namespace
}  // namespace nb::management::app
