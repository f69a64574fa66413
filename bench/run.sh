#!/usr/bin/env bash
# The load generator's table, on loopback in a network of its own; see bench/README.md.
#   bench/run.sh [signal|management|micro|all] [options of netbird-bench compare / management]
# NB_BENCH_OTHER_SIGNAL, NB_BENCH_OTHER_MGMT: command of the server to compare with, holding {port} and
# {metrics} (and {dir}: a fresh directory).
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.."
bin=$PWD/build/bin
what=${1:-signal}
shift || true

# A fresh network namespace with nothing but loopback: servers that listen on every address cannot
# be reached, and ports cannot collide. Without the right to make one, the host's loopback is used.
if [ -z "${NB_BENCH_INSIDE:-}" ]; then
  export NB_BENCH_INSIDE=1
  if unshare -n true 2>/dev/null; then
    exec unshare -n "$0" "$what" "$@"
  elif unshare -rn true 2>/dev/null; then
    exec unshare -rn "$0" "$what" "$@"
  fi
  echo "note: no network namespace; servers under test listen on this host" >&2
else
  ip link set lo up
fi
ulimit -n "$(ulimit -Hn)"

signal() {
  # Loopback only, without the legacy port: two instances run side by side.
  local ours="$bin/netbird-signal run --port {port} --metrics-port {metrics} --log-file console --log-level warn"
  local cluster="env NB_HA_ENABLED=true NB_HA_REDIS_ADDRESS={redis} NB_HA_INSTANCE_ID={instance} NB_SIGNAL_LEGACY_PORT=0 $ours"
  "$bin/netbird-bench" compare --ours "${NB_BENCH_SIGNAL:-$ours}" --floor "$bin/bench-floor {port}" \
    --instance "${NB_BENCH_SIGNAL_INSTANCE:-$cluster}" \
    --redis "redis-server --bind 127.0.0.1 --port {port} --save '' --appendonly no --dir {dir}" \
    ${NB_BENCH_OTHER_SIGNAL:+--other "$NB_BENCH_OTHER_SIGNAL"} "$@"
}

management() { "$bin/netbird-bench" management "$@"; }

micro() {
  local program
  for program in "$bin"/bench-micro-*; do
    [ -x "$program" ] || continue
    "$program" "$@"
  done
}

case $what in
  signal | management | micro) "$what" "$@" ;;
  all) signal "$@"; micro ;;
  *)
    echo "usage: bench/run.sh [signal|management|micro|all] [options]" >&2
    exit 2
    ;;
esac
