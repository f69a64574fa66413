#!/usr/bin/env bash
# The load generator's table, on loopback in a network of its own; see bench/README.md.
#   bench/run.sh [signal|management|crowd|networks|groups|rest|relay|micro|all] [options of netbird-bench
#                compare / management / compare-relay, of bench/management.py or bench/rest.py]
# NB_BENCH_OTHER_SIGNAL: command of the signal server to compare with, holding {port} and {metrics}
# (and {dir}: a fresh directory); NB_BENCH_OTHER_MGMT: address,pid,setup-key of a management server;
# NB_BENCH_OTHER_RELAY: command of a relay, holding {port}, {metrics} and {health}.
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
  local ours="env NB_LISTEN_ADDRESS=127.0.0.1 NB_DISABLE_LEGACY_PORT=true $bin/netbird-signal run --port {port} --metrics-port {metrics} --log-file console --log-level warn"
  local cluster="env NB_HA_ENABLED=true NB_HA_REDIS_ADDRESS={redis} NB_HA_INSTANCE_ID={instance} $ours"
  "$bin/netbird-bench" compare --ours "${NB_BENCH_SIGNAL:-$ours}" --floor "$bin/bench-floor {port}" \
    --instance "${NB_BENCH_SIGNAL_INSTANCE:-$cluster}" \
    --redis "redis-server --bind 127.0.0.1 --port {port} --save '' --appendonly no --dir {dir}" \
    ${NB_BENCH_OTHER_SIGNAL:+--other "$NB_BENCH_OTHER_SIGNAL"} "$@"
}

# A fresh server of ours on SQLite, and beside it the one of NB_BENCH_OTHER_MGMT.
management() {
  local dir pid key port=33073 metrics=9090
  dir=$(mktemp -d /tmp/netbird-bench.XXXXXX)
  cat >"$dir/management.json" <<JSON
{
    "Stuns": [], "TURNConfig": null, "Relay": null,
    "Signal": { "Proto": "http", "URI": "127.0.0.1:10000" },
    "HttpConfig": { "AuthIssuer": "", "AuthAudience": "" },
    "DataStoreEncryptionKey": "$(openssl rand -base64 32)",
    "StoreConfig": { "Engine": "sqlite" }
}
JSON
  mkdir "$dir/data"
  local files=(--config "$dir/management.json" --datadir "$dir/data" --log-file console --log-level warn)
  NB_LISTEN_ADDRESS=127.0.0.1 "$bin/netbird-mgmt" management --port "$port" --metrics-port "$metrics" \
    --disable-legacy-port "${files[@]}" >"$dir/log" 2>&1 &
  pid=$!
  trap "kill $pid 2>/dev/null; wait $pid; rm -rf $dir" EXIT
  local until=$((SECONDS + 20))
  until curl -fsS --noproxy '*' -o /dev/null "http://127.0.0.1:$metrics/readyz" 2>/dev/null; do
    if [ $SECONDS -ge $until ] || ! kill -0 "$pid"; then
      cat "$dir/log" >&2
      exit 1
    fi
    sleep 0.1
  done
  key=$("$bin/netbird-mgmt" setup-key create --name bench --type reusable "${files[@]}" |
    sed -n 's/^Setup key: //p')
  "$bin/netbird-bench" management --server "127.0.0.1:$port,$pid,$key" \
    ${NB_BENCH_OTHER_MGMT:+--server "$NB_BENCH_OTHER_MGMT"} "$@"
}

# Both relays take the secret of this run from NB_AUTH_SECRET.
relay() {
  local ours="$bin/netbird-relay --listen-address 127.0.0.1:{port} --exposed-address rel://127.0.0.1:{port} --metrics-port {metrics} --health-listen-address 127.0.0.1:{health} --log-level warn"
  NB_AUTH_SECRET=$(openssl rand -hex 16) "$bin/netbird-bench" compare-relay \
    --ours "${NB_BENCH_RELAY:-$ours}" \
    ${NB_BENCH_OTHER_RELAY:+--other "$NB_BENCH_OTHER_RELAY"} "$@"
}

crowd() { bench/management.py --bin "$bin" crowd "$@"; }
networks() { bench/management.py --bin "$bin" networks "$@"; }
groups() { bench/management.py --bin "$bin" groups "$@"; }
rest() { bench/rest.py --bin "$bin" "$@"; }

micro() {
  local program
  for program in "$bin"/bench-micro-*; do
    [ -x "$program" ] || continue
    "$program" "$@"
  done
}

case $what in
  signal | management | crowd | networks | groups | rest | relay | micro) "$what" "$@" ;;
  all)
    failed=
    for part in signal management crowd networks groups rest relay micro; do
      echo "== $part"
      (
        case $part in
          signal | relay) "$part" "$@" ;;
          management) management --agents 500 --all-at-once ;;
          *) "$part" ;;
        esac
      ) || failed+=" $part"
    done
    [ -z "$failed" ] || { echo "failed:$failed" >&2; exit 1; }
    ;;
  *)
    echo "usage: bench/run.sh [signal|management|crowd|networks|groups|rest|relay|micro|all] [options]" >&2
    exit 2
    ;;
esac
