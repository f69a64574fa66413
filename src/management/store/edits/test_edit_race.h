// Commands on two instances over one PostgreSQL, for tests.
#pragma once

#include "management/store/edits/edit_fixture.h"
#include "support/together.h"

#include <utility>

namespace nb::management::test {

class EditRace : public testing::Test, public EditAccount {
 protected:
  EditRace() : EditAccount(sql::Engine::kPostgres) {}

  /// Runs both at the same moment, on different instances.
  template <class First, class Second>
  auto both(First first, Second second) {
    Result<Edited<typename First::Answer>> one;
    Result<Edited<typename Second::Answer>> two;
    nb::test::together({[&] { one = editor.edit(owner, std::move(first)); },
                        [&] { two = second_editor.edit(owner, std::move(second)); }});
    return std::pair(std::move(one), std::move(two));
  }
  bool exists(const Group& group) { return snapshot()->group(group.id) != nullptr; }

  Instance second_instance{fixture};
  Editor second_editor{second_instance};
};

template <class A, class B>
int successes(const std::pair<A, B>& done) {
  return (done.first ? 1 : 0) + (done.second ? 1 : 0);
}

constexpr int kRounds = 200;

}  // namespace nb::management::test
