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

under() {
  local preset=$1
  shift
  ctest --preset "$preset" -j "${NB_TEST_JOBS:-2}" --output-on-failure "$@"
}

check_asan() {
  build_preset asan
  say "tests under asan"
  under asan
}

# Tests that speak through the gRPC library, which is not instrumented: TSan cannot see what orders
# its threads and would report them. So only the servers are instrumented there, and a report in a
# server's output fails the test.
grpc_clients='^(balancer|combined|ha_operator|idp_server|mgmt_integration|nat|net_grpc|proxy_server|relay_agents|signal_(ha|scenarios|single|transport)|stack|turn)_test(\.|$)'

check_tsan() {
  build_preset tsan
  say "tests under tsan"
  under tsan -E "$grpc_clients"
  build_preset dev
  say "servers under tsan, with ordinary clients"
  NB_TEST_BIN_DIR=$PWD/build/tsan/bin under dev -R "$grpc_clients"
}

check_fuzz() {
  build_preset fuzz fuzzers
  say "fuzzers, 20 s each"
  ctest --preset fuzz -L fuzz --output-on-failure
}

for what in "${@:-all}"; do
  case $what in
    format) check_format ;;
    tidy) check_tidy ;;
    asan) check_asan ;;
    tsan) check_tsan ;;
    fuzz) check_fuzz ;;
    all)
      check_format
      check_tidy
      check_asan
      check_tsan
      check_fuzz
      ;;
    *) die "check: unknown '$what' (format, tidy, asan, tsan, fuzz)" ;;
  esac
done
