#!/usr/bin/env bash
# ./dev check: format, tidy, sanitizers, fuzzers. Each stops at its first failure.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/common.sh

sources() { git ls-files -- 'src/*.h' 'src/*.cc' 'tests/*.h' 'tests/*.cc' 'bench/*.h' 'bench/*.cc'; }

check_format() {
  say "clang-format"
  sources | xargs clang-format-14 --dry-run -Werror
}

# A tree of its own: clang cannot read gcc's precompiled headers. Only generated headers are built.
check_tidy() {
  say "clang-tidy (slow: every source once)"
  cmake --preset dev -B build/tidy -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON >/dev/null
  ninja -C build/tidy -t targets all | sed -n 's/^\([^/].*\.pb\.h\): .*/\1/p' |
    xargs ninja -C build/tidy >/dev/null
  sources | grep '\.cc$' | grep -v '^tests/' |
    xargs -P "$jobs" -n 1 clang-tidy-16 -p build/tidy --quiet --extra-arg=-Wno-unknown-warning-option
}

check_sanitizer() {
  build_preset "$1"
  say "tests under $1"
  ctest --preset "$1" -j "${NB_TEST_JOBS:-2}" --output-on-failure
}

check_fuzz() {
  build_preset fuzz
  say "fuzzers, 20 s each"
  ctest --preset fuzz -L fuzz --output-on-failure
}

for what in "${@:-all}"; do
  case $what in
    format) check_format ;;
    tidy) check_tidy ;;
    asan | tsan) check_sanitizer "$what" ;;
    fuzz) check_fuzz ;;
    all)
      check_format
      check_tidy
      check_sanitizer asan
      check_sanitizer tsan
      check_fuzz
      ;;
    *) die "check: unknown '$what' (format, tidy, asan, tsan, fuzz)" ;;
  esac
done
