# Shared by ./dev and scripts/*: what to install, how to build, how to speak.

# Three heavy compilers at once fill 4 GiB; more than the cores only adds waiting.
jobs=${NB_JOBS:-$(n=$(nproc); echo $((n < 3 ? n : 3)))}

packages_build=(
  build-essential cmake ninja-build ccache mold pkg-config ca-certificates
  libboost1.81-dev libboost-json1.81-dev libnghttp2-dev libngtcp2-dev libngtcp2-crypto-gnutls-dev libgnutls28-dev libssl-dev libsodium-dev zlib1g-dev
  libprotobuf-dev protobuf-compiler libgrpc++-dev protobuf-compiler-grpc
  libcrypt-dev libqrencode-dev libhiredis-dev libpq-dev libsqlite3-dev libidn2-dev libmaxminddb-dev
  libfmt-dev libspdlog-dev libyaml-cpp-dev prometheus-cpp-dev
  libgtest-dev libgmock-dev libbenchmark-dev libcli11-dev
)
packages_run=(python3 python3-jsonschema python3-yaml redis-server redis-sentinel redis-tools libfaketime postgresql postgresql-client haproxy coturn curl openssl procps iproute2 iptables nginx-light prometheus
  chromium fonts-dejavu-core)
packages_check=(clang-16 clang-format-14 clang-tidy-16 libclang-rt-16-dev llvm-16)

say() { printf '\033[1m==> %s\033[0m\n' "$*"; }
die() {
  printf 'error: %s\n' "$*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# What apt has done so far, on one line of a terminal; a log needs none of it.
count_packages() {
  [ -t 1 ] || exec cat >/dev/null
  awk '/^Get:/ { got++ } /^Unpacking / { unpacked++ } /^Setting up / { set_up++ }
       { printf "\r    fetched %d, unpacked %d, set up %d", got, unpacked, set_up; fflush() } END { print "" }'
}

# install_packages [check]: only what is missing, and no service is started by it.
install_packages() {
  local wanted=("${packages_build[@]}" "${packages_run[@]}") missing=() name
  if [ "${1:-}" = check ]; then wanted+=("${packages_check[@]}"); fi
  for name in "${wanted[@]}"; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
  done
  # By command: Node from elsewhere is as good, and Debian's packages conflict with it.
  command -v node >/dev/null || missing+=(nodejs)
  command -v npm >/dev/null || missing+=(npm)
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing ${#missing[@]} Debian packages: ${missing[*]}"
  as_root apt-get update -qq
  # RUNLEVEL=1: the packaged Redis, PostgreSQL, HAProxy and coturn services stay off; tests and the stack
  # start their own.
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -q --no-install-recommends "${missing[@]}" | (count_packages)
}

# Packages of the browser tests, by the versions and checksums of their lock file. Outside of the
# source tree, so that nothing of them is searched, formatted or committed.
install_browser_packages() {
  local from=tests/browser to=build/browser
  cmp -s "$from/package-lock.json" "$to/package-lock.json" && [ -e "$to/node_modules/.package-lock.json" ] && return 0
  say "installing the browser tests' npm packages"
  mkdir -p "$to"
  cp "$from/package.json" "$from/.npmrc" "$to/"
  (cd "$to" && rm -f package-lock.json && cp "../../$from/package-lock.json" . && npm ci --silent) ||
    { rm -f "$to/package-lock.json"; die "npm ci failed in $to"; }
}

# build_preset PRESET [TARGET…]
build_preset() {
  local preset=$1
  shift
  say "configuring ($preset)"
  cmake --preset "$preset" >"build-$preset.log" 2>&1 || { cat "build-$preset.log"; rm -f "build-$preset.log"; die "cmake failed"; }
  rm -f "build-$preset.log"
  say "building ($preset, $jobs jobs)"
  cmake --build --preset "$preset" -j "$jobs" ${1:+--target "$@"}
}

build_release() { build_preset release; }

run_tests() {
  build_preset dev
  say "running the tests"
  # Half of them wait for servers, so two at once keep two cores busy.
  # One repetition, which shows in the output, for what docs/testing.md names.
  ctest --preset dev -j "${NB_TEST_JOBS:-2}" --output-on-failure --repeat until-pass:2 ${1:+-R "$1"}
}
