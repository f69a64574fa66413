#!/bin/bash
# Runs the public HTTP/2 and gRPC conformance tools against netbird-conformance.
#
# usage: tests/conformance/run.sh [path of netbird-conformance]
# Tools are installed by name with Go into build/tools: h2spec (generic, http2 and hpack groups) and
# the interop client of grpc-go. Exits with the number of failures, at most 100.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
tools=$root/build/tools
h2spec_package=github.com/summerwind/h2spec/cmd/h2spec
h2spec_module=github.com/summerwind/h2spec@v2.6.0
interop_package=google.golang.org/grpc/interop/client
interop_module=google.golang.org/grpc@v1.72.0

interop_cases="empty_unary large_unary client_streaming server_streaming ping_pong empty_stream
cancel_after_begin cancel_after_first_response timeout_on_sleeping_server status_code_and_message
special_status_message custom_metadata unimplemented_method unimplemented_service"

say() { printf '%s\n' "$*"; }
die() { say "conformance: $*" >&2; exit 100; }

find_server() {
  for candidate in "${1:-}" "$root"/build/{dev,tests,asan}/tests/netbird-conformance \
    "$root"/build/tests/netbird-conformance; do
    [ -n "$candidate" ] && [ -x "$candidate" ] && { printf '%s' "$candidate"; return; }
  done
  die "netbird-conformance is not built: cmake --build build/dev --target netbird-conformance"
}

# Builds package $2 of module $3 into $1. Not "go install package@version": that first asks the proxy
# for modules named like the package's folders, which some proxies answer with an error. A version
# that a proxy does not have is replaced by the newest it has.
build_tool() {
  [ -x "$tools/$1" ] && return
  say "building $1"
  mkdir -p "$tools"
  local work
  work=$(mktemp -d)
  (cd "$work" && go mod init conformance >/dev/null 2>&1 &&
    printf '//go:build tools\n\npackage tools\n\nimport _ "%s"\n' "$2" > tools.go &&
    { go get "$3" || go get "${3%@*}@latest"; } >/dev/null 2>"$work/log" && go mod tidy >/dev/null 2>"$work/log" &&
    go build -o "$tools/$1" "$2" 2>"$work/log") ||
    { tail -n 5 "$work/log" >&2; rm -rf "$work"; die "cannot build $1"; }
  rm -rf "$work"
}

install_tools() {
  build_tool h2spec "$h2spec_package" "$h2spec_module"
  build_tool grpc-interop-client "$interop_package" "$interop_module"
}

make_certificate() {
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
    -keyout "$1/key.pem" -out "$1/cert.pem" -subj /CN=localhost \
    -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" 2>/dev/null || die "openssl failed"
}

failures=0
passed=0
verdict() { # name, status, log
  if [ "$2" -eq 0 ]; then
    passed=$((passed + 1))
    say "  ok    $1"
  else
    failures=$((failures + 1))
    say "  FAIL  $1"
    tail -n 20 "$3" | sed 's/^/        /'
  fi
}

server=$(find_server "${1:-}") || exit 100
install_tools
state=$(mktemp -d)
server_pid=
trap '[ -n "$server_pid" ] && kill "$server_pid" 2>/dev/null; rm -rf "$state"' EXIT
make_certificate "$state"
"$server" 0 "$state/cert.pem" "$state/key.pem" > "$state/ports" 2> "$state/server.log" &
server_pid=$!
for _ in $(seq 100); do
  [ "$(wc -l < "$state/ports")" -ge 2 ] && break
  kill -0 "$server_pid" 2>/dev/null || die "the server did not start: $(cat "$state/server.log")"
  sleep 0.1
done
clear_port=$(sed -n 1p "$state/ports")
tls_port=$(sed -n 2p "$state/ports")

for group in generic http2 hpack; do
  for transport in h2c tls; do
    options="-h 127.0.0.1 -p $clear_port"
    [ $transport = tls ] && options="-h localhost -p $tls_port -t -k"
    # shellcheck disable=SC2086
    "$tools/h2spec" $group $options --timeout 3 --strict > "$state/log" 2>&1
    status=$?
    summary=$(grep -a 'tests, ' "$state/log" | tail -1)
    verdict "h2spec $group ($transport): $summary" $status "$state/log"
  done
done
for name in $interop_cases; do
  for transport in h2c tls; do
    options="-server_host 127.0.0.1 -server_port $clear_port -use_tls=false"
    [ $transport = tls ] && options="-server_host localhost -server_port $tls_port -use_tls=true \
      -use_test_ca=true -ca_file $state/cert.pem -server_host_override localhost"
    # shellcheck disable=SC2086
    timeout 30 "$tools/grpc-interop-client" -test_case $name $options > "$state/log" 2>&1
    verdict "interop $name ($transport)" $? "$state/log"
  done
done
# The Go client has no compression cases; ours are tests of the transport (net_grpc_test).
kill -0 "$server_pid" 2>/dev/null || { failures=$((failures + 1)); say "  FAIL  the server died"; }
say "conformance: $passed passed, $failures failed"
[ $failures -gt 100 ] && failures=100
exit $failures
