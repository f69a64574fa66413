// Where the tree of this build lies. Kept out of the compiler's command line, which would hold the
// checkout's path and so have every test compiled anew in every clone.
#pragma once

#include <string>

namespace nb::test {

/// Absolute path of the source tree, without a slash at the end.
std::string source_dir();

/// Folder of our programs: of the same build as the test, or the one that NB_TEST_BIN_DIR names
/// (a sanitizer's), so that instrumented servers need no instrumented gRPC client.
std::string program_dir();

}  // namespace nb::test
