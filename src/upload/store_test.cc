#include "upload/store.h"

#include "support/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace nb::upload {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kRoom = 1'000;
const BundleName kOne{"agent", "0b4f5c1e-27b8-4f06-9a7e-0d9a3a1d5a10"};
const BundleName kTwo{"agent", "1b4f5c1e-27b8-4f06-9a7e-0d9a3a1d5a10"};

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

class BundleStoreTest : public ::testing::Test {
 protected:
  std::unique_ptr<BundleStore> open() {
    auto made = BundleStore::open(path, kRoom, {});
    EXPECT_TRUE(made) << made.error().text;
    return made ? *std::move(made) : nullptr;
  }
  static void put(BundleStore& store, const BundleName& name, const std::string& text) {
    const auto writing = store.begin(name, text.size());
    ASSERT_TRUE(writing) << writing.error().text;
    ASSERT_TRUE((*writing)->write(bytes_of(text)));
    const auto kept = (*writing)->keep();
    ASSERT_TRUE(kept) << kept.error().text;
  }
  [[nodiscard]] fs::path file(const BundleName& name) const {
    return fs::path(path) / name.folder / name.file;
  }
  [[nodiscard]] std::size_t files() const {
    std::size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(path)) count += entry.exists();
    return count;
  }
  static mode_t mode(const fs::path& at) {
    struct stat found {};
    return stat(at.c_str(), &found) == 0 ? found.st_mode & 07777 : 0;
  }
  test::TempDir dir;
  const std::string path = dir / "bundles";
};

TEST_F(BundleStoreTest, ABundleIsThereWholeAndForItsOwner) {
  const auto store = open();
  const auto writing = store->begin(kOne, 0);
  ASSERT_TRUE(writing);
  ASSERT_TRUE((*writing)->write(bytes_of("first ")));
  EXPECT_FALSE(fs::exists(file(kOne))) << "not yet";
  ASSERT_TRUE((*writing)->write(bytes_of("second")));
  ASSERT_TRUE((*writing)->keep());
  std::ifstream in(file(kOne));
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(in), {}), "first second");
  EXPECT_EQ(mode(file(kOne)), 0600);
  EXPECT_EQ(mode(fs::path(path) / kOne.folder) & 0007, 0);
  EXPECT_EQ(store->bytes(), 12);
}

TEST_F(BundleStoreTest, WhatIsBrokenOffLeavesNothing) {
  const auto store = open();
  {
    const auto writing = store->begin(kOne, 0);
    ASSERT_TRUE((*writing)->write(bytes_of("half of it")));
    EXPECT_EQ(store->bytes(), 10);
  }
  EXPECT_EQ(files(), 0);
  EXPECT_EQ(store->bytes(), 0);
  put(*store, kOne, "again");
}

TEST_F(BundleStoreTest, NothingIsReplaced) {
  const auto store = open();
  put(*store, kOne, "the first");
  EXPECT_EQ(store->begin(kOne, 0).error().code, Code::kAlreadyExists);
  const auto writing = store->begin(kTwo, 0);
  ASSERT_TRUE(writing);
  EXPECT_EQ(store->begin(kTwo, 0).error().code, Code::kAlreadyExists) << "being written";
  // Put there by somebody else in the meantime.
  std::ofstream(file(kTwo)) << "another";
  EXPECT_EQ((*writing)->keep().error().code, Code::kAlreadyExists);
}

TEST_F(BundleStoreTest, TheRoomIsForAllBundlesTogether) {
  auto store = open();
  put(*store, kOne, std::string(600, 'x'));
  EXPECT_EQ(store->begin(kTwo, 401).error().code, Code::kResourceExhausted) << "as announced";
  {
    const auto writing = store->begin(kTwo, 0);
    ASSERT_TRUE((*writing)->write(bytes_of(std::string(400, 'y'))));
    EXPECT_EQ((*writing)->write(bytes_of("z")).error().code, Code::kResourceExhausted);
  }
  EXPECT_EQ(store->bytes(), 600);
  // What is there counts at the next start, and what was left unfinished goes.
  std::ofstream(file(kOne).parent_path() / (".part-" + kTwo.file)) << "killed";
  store.reset();
  store = open();
  EXPECT_EQ(store->bytes(), 600);
  EXPECT_EQ(files(), 2) << "the folder and the bundle";
}

TEST_F(BundleStoreTest, LinksAreNotFollowed) {
  const auto store = open();
  const fs::path elsewhere = dir / "elsewhere";
  fs::create_directory(elsewhere);
  fs::create_directory_symlink(elsewhere, fs::path(path) / kOne.folder);
  EXPECT_EQ(store->begin(kOne, 0).error().code, Code::kUnavailable);
  EXPECT_TRUE(fs::is_empty(elsewhere));
}

TEST_F(BundleStoreTest, OneProcessHasADirectory) {
  const auto store = open();
  EXPECT_EQ(BundleStore::open(path, kRoom, {}).error().code, Code::kFailedPrecondition);
}

}  // namespace
}  // namespace nb::upload
