// Driver of the fuzz targets where libFuzzer is not linked in: replays the corpus directory given
// as first argument, then random mutations of it. Seed and number of mutations are fixed, so that a
// faster machine finds nothing new in an unchanged tree; NB_FUZZ_MS=60000 searches on for a minute.
// A crash of the target is the failure; the input that was running is left in a file and named.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace {

using Input = std::vector<std::uint8_t>;
constexpr std::size_t kInputMax = 16 * 1024;
constexpr unsigned kSeed = 20'260'801;

const Input* running = nullptr;

/// Async-signal-safe: only open, write and raise.
void on_crash(int signal) {
  constexpr char kName[] = "fuzz-crash-input";
  constexpr char kText[] = "the crashing input is in ./fuzz-crash-input\n";
  if (running != nullptr) {
    const int fd = open(kName, O_CREAT | O_TRUNC | O_WRONLY, 0644);
    if (fd >= 0) {
      if (write(fd, running->data(), running->size()) >= 0 &&
          write(STDERR_FILENO, kText, sizeof kText - 1) >= 0) {
      }
      close(fd);
    }
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const Input& input) {
  running = &input;
  LLVMFuzzerTestOneInput(input.data(), input.size());
  running = nullptr;
}

std::vector<Input> load(const std::filesystem::path& directory) {
  std::vector<Input> corpus;
  std::error_code ignored;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory, ignored)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    corpus.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  return corpus;
}

class Mutator {
 public:
  Input next(const std::vector<Input>& corpus) {
    Input input = corpus[below(corpus.size())];
    const std::size_t steps = 1 + below(6);
    for (std::size_t step = 0; step < steps; ++step) mutate(input, corpus);
    if (input.size() > kInputMax) input.resize(kInputMax);
    return input;
  }

 private:
  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }
  std::uint8_t byte() {
    static constexpr std::uint8_t kSpecial[] = {0, 1, 0x7f, 0x80, 0xff, '\r', '\n', ' ', ':', '$'};
    return below(3) == 0 ? kSpecial[below(sizeof kSpecial)] : static_cast<std::uint8_t>(below(256));
  }
  void mutate(Input& input, const std::vector<Input>& corpus) {
    const auto at = [&] { return static_cast<std::ptrdiff_t>(below(input.size() + 1)); };
    switch (input.empty() ? 1 : below(7)) {
      case 0:
        input[below(input.size())] = byte();
        break;
      case 1:
        input.insert(input.begin() + at(), byte());
        break;
      case 2:
        input.erase(input.begin() + static_cast<std::ptrdiff_t>(below(input.size())));
        break;
      case 3:
        input[below(input.size())] ^= static_cast<std::uint8_t>(1U << below(8));
        break;
      case 4: {  // cut or repeat a piece
        const auto from = below(input.size());
        const auto length = std::min(below(64) + 1, input.size() - from);
        const Input piece(input.begin() + static_cast<std::ptrdiff_t>(from),
                          input.begin() + static_cast<std::ptrdiff_t>(from + length));
        if (below(2) == 0) {
          input.insert(input.begin() + at(), piece.begin(), piece.end());
        } else {
          input.erase(input.begin() + static_cast<std::ptrdiff_t>(from),
                      input.begin() + static_cast<std::ptrdiff_t>(from + length));
        }
        break;
      }
      case 5:
        input.resize(below(input.size()) + 1);
        break;
      default: {  // splice with another one
        const Input& other = corpus[below(corpus.size())];
        if (other.empty()) break;
        input.resize(below(input.size() + 1));
        input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(below(other.size())),
                     other.end());
        break;
      }
    }
  }

  std::mt19937 random_{kSeed};
};

struct Budget {
  std::chrono::milliseconds time{3'000};  // for targets that are slow, sanitizers above all
  std::size_t runs = 50'000;
};

Budget budget() {
  const char* text = std::getenv("NB_FUZZ_MS");
  if (text == nullptr) return {};
  return {.time = std::chrono::milliseconds(std::strtol(text, nullptr, 10)), .runs = SIZE_MAX};
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGILL, SIGBUS}) std::signal(signal, on_crash);
  std::vector<Input> corpus;
  for (int i = 1; i < argc; ++i) {
    for (Input& input : load(argv[i])) corpus.push_back(std::move(input));
  }
  std::printf("replaying %zu inputs\n", corpus.size());
  for (const Input& input : corpus) run(input);
  if (corpus.empty()) corpus.emplace_back();
  Mutator mutator;
  std::size_t runs = 0;
  const Budget limit = budget();
  const auto end = std::chrono::steady_clock::now() + limit.time;
  while (runs < limit.runs && std::chrono::steady_clock::now() < end) {
    run(mutator.next(corpus));
    ++runs;
  }
  std::printf("%zu mutated inputs, no crash\n", runs);
  return 0;
}
