# The stack of `./dev up`: the names, ports and instance ids of the compose file, on loopback.
# State (data, logs, secrets, pid files) is in one directory that the postgres user can reach too.

state=${NB_DEV_STATE:-$([ "$(id -u)" = 0 ] && echo /var/lib/netbird-dev || echo "$HOME/.local/state/netbird-dev")}
bin=$PWD/build/bin
web_port=${NB_DEV_PORT:-8088}
# What agents are told, where a forwarder in front of the stack makes it differ from the bound address.
advertised=${NB_DEV_ADVERTISE:-}
redis_port=${NB_DEV_REDIS_PORT:-6379}
postgres_port=${NB_DEV_POSTGRES_PORT:-5432}

relay_ports=(33080 33081)
stun_ports=(3478 3479)
turn_port=3480
turn_relay_ports=(49160 49259) # of the addresses that coturn hands out

# Stop order is the reverse of this.
parts_ha=(nb-postgres nb-redis nb-signal-1 nb-signal-2 nb-mgmt-1 nb-mgmt-2 nb-relay-1 nb-relay-2 nb-coturn nb-haproxy)
parts_single=(nb-signal nb-mgmt nb-relay)

# --- secrets and files ------------------------------------------------------------------------

# secret NAME: made once, readable by this user only.
secret() {
  local file=$state/secrets/$1
  if [ ! -s "$file" ]; then
    (umask 077 && openssl rand -hex 24 | tr -d '\n' >"$file")
  fi
  cat "$file"
}

# The one secret with a form of its own: base64 of 32 bytes.
datastore_key() {
  local file=$state/secrets/datastore.key
  [ -s "$file" ] || (umask 077 && openssl rand -base64 32 | tr -d '\n' >"$file")
  cat "$file"
}

write_private() { (umask 077 && cat >"$1"); }

# As JSON list: prefix, host and each port.
addresses() { # addresses PREFIX HOST PORT…
  local prefix=$1 host=$2 list="" port
  shift 2
  for port in "$@"; do list+="${list:+, }\"$prefix$host:$port\""; done
  echo "[$list]"
}

management_json() { # management_json ENGINE SIGNAL_ADDRESS HOST RELAY_COUNT URL [TURN_URI]
  local stuns="" port idp_store=postgres turn=null relays
  relays=$(addresses rel:// "$3" "${relay_ports[@]:0:$4}")
  [ -z "${6:-}" ] || turn="{ \"TimeBasedCredentials\": true, \"CredentialsTTL\": \"12h\", \"Secret\": \"$(secret turn.secret)\",
        \"Turns\": [{ \"Proto\": \"udp\", \"URI\": \"$6\" }] }"
  [ "$1" = sqlite ] && idp_store=sqlite3
  for port in "${stun_ports[@]:0:$4}"; do
    stuns+="${stuns:+, }{ \"Proto\": \"udp\", \"URI\": \"stun:$3:$port\" }"
  done
  write_private "$state/management.json" <<JSON
{
    "Stuns": [$stuns],
    "TURNConfig": $turn,
    "Relay": {
        "Addresses": $relays,
        "CredentialsTTL": "12h",
        "Secret": "$(secret relay.secret)"
    },
    "Signal": { "Proto": "http", "URI": "$2" },
    "HttpConfig": {},
    "EmbeddedIdP": {
        "Enabled": true,
        "Issuer": "$5/oauth2",
        "Storage": { "Type": "$idp_store" },
        "DashboardRedirectURIs": ["$5/nb-auth", "$5/nb-silent-auth", "http://localhost:3000/nb-auth",
            "http://localhost:3000/nb-silent-auth"],
        "CLIRedirectURIs": ["http://localhost:53000/", "http://localhost:54000/"]
    },
    "DataStoreEncryptionKey": "$(datastore_key)",
    "StoreConfig": { "Engine": "$1" },
    "ReverseProxy": {
        "TrustedHTTPProxies": ["127.0.0.1/32"],
        "TrustedPeers": ["127.0.0.1/32"]
    }
}
JSON
}

# --- processes --------------------------------------------------------------------------------

pid_of() { cat "$state/run/$1.pid" 2>/dev/null || true; }

alive() {
  local pid
  pid=$(pid_of "$1")
  # A zombie still takes signals: a part killed a moment ago would count as running.
  [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null
}

# launch NAME [VARIABLE=value…] COMMAND…: in the background, own session, log in $state/log.
# Variables are exported, not passed to env(1): a password must not show in the process list.
launch() {
  local name=$1
  shift
  alive "$name" && return 0
  (
    while [[ $1 == [A-Z_0-9]*=* ]]; do
      export "${1?}"
      shift
    done
    exec setsid "$@"
  ) >>"$state/log/$name.log" 2>&1 </dev/null &
  echo $! >"$state/run/$name.pid"
  printf '    %-13s started, log %s\n' "$name" "$state/log/$name.log"
}

# wait_for SECONDS NAME COMMAND…: until the command succeeds or the part has died.
wait_for() {
  local until=$((SECONDS + $1)) name=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ! alive "$name" || [ $SECONDS -ge $until ]; then
      tail -n 20 "$state/log/$name.log" >&2
      die "$name did not come up; its log is $state/log/$name.log"
    fi
    sleep 0.1
  done
}

stop_part() {
  local name=$1 pid signal=TERM
  pid=$(pid_of "$name")
  if alive "$name"; then
    [ "$name" = nb-postgres ] && signal=INT # fast shutdown
    kill -"$signal" "$pid" 2>/dev/null || true
    for _ in $(seq 150); do
      kill -0 "$pid" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL "$pid" 2>/dev/null || true
    printf '    %-13s stopped\n' "$name"
  fi
  rm -f "$state/run/$name.pid"
}

ready() { curl -fsS -m 2 "http://${2:-127.0.0.1}:$1/readyz"; }

# listens_on NAME VARIABLE…: where its metrics port is, too; kept for stack_status.
listens_on() {
  local name=$1 host=127.0.0.1 variable
  shift
  for variable in "$@"; do
    [[ $variable != NB_LISTEN_ADDRESS=* ]] || host=${variable#*=}
  done
  echo "$host" | tee "$state/run/$name.host"
}

require_free() { # require_free NAME PORT
  if ! alive "$1" && (exec 3<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null; then
    die "port $2, which $1 needs, is taken by another program"
  fi
}

# NetBird's ports lie where the kernel takes ports of outgoing connections from: a server could find
# its own taken by a neighbour's connection to the database.
reserve_ports() {
  local file=/proc/sys/net/ipv4/ip_local_reserved_ports ours=33073-33074,33080-33081
  if [ -w "$file" ] && ! grep -q "$ours" "$file"; then
    say "keeping ports $ours from outgoing connections (net.ipv4.ip_local_reserved_ports)"
    echo "$(cat "$file"),$ours" | sed 's/^,//' >"$file" || true
  fi
}

# --- the parts --------------------------------------------------------------------------------

postgres_bin() { ls -d /usr/lib/postgresql/*/bin | sort -V | tail -n 1; }
# PostgreSQL refuses to run as root.
as_postgres=()
if [ "$(id -u)" = 0 ]; then as_postgres=(setpriv --reuid=postgres --regid=postgres --clear-groups); fi

start_postgres() {
  local data=$state/postgres pgbin
  pgbin=$(postgres_bin)
  if [ ! -f "$data/PG_VERSION" ]; then
    say "making a PostgreSQL cluster in $data"
    mkdir -p "$data"
    secret postgres.password >/dev/null
    install -m 600 "$state/secrets/postgres.password" "$state/run/pgpass.tmp"
    if [ "$(id -u)" = 0 ]; then chown -R postgres:postgres "$data" "$state/run/pgpass.tmp"; fi
    (cd / && "${as_postgres[@]}" "$pgbin/initdb" -D "$data" -U netbird --pwfile="$state/run/pgpass.tmp" \
      -A scram-sha-256 -E UTF8 --locale=C.UTF-8 >>"$state/log/nb-postgres.log" 2>&1)
    rm -f "$state/run/pgpass.tmp"
  fi
  launch nb-postgres "${as_postgres[@]}" "$pgbin/postgres" -D "$data" -p "$postgres_port" \
    -c listen_addresses=127.0.0.1 -c "unix_socket_directories=" -c max_connections=200
  wait_for 30 nb-postgres "$pgbin/pg_isready" -q -h 127.0.0.1 -p "$postgres_port"
  local name
  for name in netbird netbird_auth netbird_events; do
    PGPASSWORD=$(secret postgres.password) psql -qAt -h 127.0.0.1 -p "$postgres_port" -U netbird -d postgres \
      -c "SELECT 1 FROM pg_database WHERE datname = '$name'" | grep -q 1 ||
      PGPASSWORD=$(secret postgres.password) psql -q -h 127.0.0.1 -p "$postgres_port" -U netbird -d postgres \
        -c "CREATE DATABASE $name"
  done
}

start_redis() {
  write_private "$state/redis.conf" <<CONF
bind 127.0.0.1
port $redis_port
dir $state/redis
requirepass $(secret redis.password)
appendonly yes
# Never let the registry be evicted: a full Redis must refuse, not forget.
maxmemory-policy noeviction
CONF
  mkdir -p "$state/redis"
  launch nb-redis redis-server "$state/redis.conf"
  wait_for 10 nb-redis redis_answers
}

redis_answers() {
  [ "$(REDISCLI_AUTH=$(secret redis.password) redis-cli -h 127.0.0.1 -p "$redis_port" ping 2>/dev/null)" = PONG ]
}

ha_environment() { # ha_environment INSTANCE
  printf '%s\n' NB_HA_ENABLED=true "NB_HA_INSTANCE_ID=$1" "NB_HA_REDIS_ADDRESS=127.0.0.1:$redis_port" \
    "NB_HA_REDIS_PASSWORD_FILE=$state/secrets/redis.password" "NB_HA_SECRET_FILE=$state/secrets/bus.secret" \
    "NB_SIGNAL_SECRET_FILE=$state/secrets/bus.secret" NB_LISTEN_ADDRESS=127.0.0.1
}

start_signal() { # start_signal NAME PORT METRICS [VARIABLE…]
  local name=$1 port=$2 metrics=$3 host
  shift 3
  host=$(listens_on "$name" "$@")
  launch "$name" NB_LISTEN_ADDRESS=127.0.0.1 "$@" "$bin/netbird-signal" run --port "$port" \
    --metrics-port "$metrics" --log-file console --disable-legacy-port
  wait_for 15 "$name" ready "$metrics" "$host"
}

start_management() { # start_management NAME PORT METRICS [VARIABLE…]
  local name=$1 port=$2 metrics=$3 host
  shift 3
  host=$(listens_on "$name" "$@")
  launch "$name" NB_LISTEN_ADDRESS=127.0.0.1 NB_SETUP_PAT_ENABLED=true "$@" "$bin/netbird-mgmt" management --port "$port" \
    --metrics-port "$metrics" --config "$state/management.json" --datadir "$state/data" \
    --log-file console --disable-legacy-port
  wait_for 20 "$name" ready "$metrics" "$host"
}

# TURN is optional for agents, which have the relays; it lets their ICE find a way over plain UDP.
start_coturn() { # start_coturn HOST [ADDRESS]
  local address=${2:-127.0.0.1}
  local loopback=""
  # Peers on this host's loopback are let in only where nobody else can ask for them.
  [ "$address" = 127.0.0.1 ] && loopback=allow-loopback-peers
  write_private "$state/turnserver.conf" <<CONF
listening-ip=$address
relay-ip=$address
listening-port=$turn_port
min-port=${turn_relay_ports[0]}
max-port=${turn_relay_ports[1]}
realm=netbird
# Credentials are made by management: an expiry and its HMAC under the shared secret.
use-auth-secret
static-auth-secret=$(secret turn.secret)
fingerprint
no-tls
no-dtls
no-cli
no-multicast-peers
$loopback
userdb=$state/data/turndb
pidfile=$state/run/turnserver.pid
log-file=stdout
CONF
  launch nb-coturn turnserver -c "$state/turnserver.conf"
  wait_for 15 nb-coturn turn_answers "$address"
}

# TCP and UDP are served on one port.
turn_answers() { (exec 3<>"/dev/tcp/$1/$turn_port"); }

start_relay() { # start_relay NUMBER NAME HOST [ADDRESS [VARIABLE…]]: HOST for peers, ADDRESS to listen on
  local i=$(($1 - 1)) name=$2
  local host=$3 address=${4:-127.0.0.1}
  shift $(($# < 4 ? 3 : 4))
  launch "$name" NB_AUTH_SECRET_FILE="$state/secrets/relay.secret" NB_TRUSTED_PROXIES="127.0.0.1/32,$address/32" "$@" "$bin/netbird-relay" \
    --listen-address "$address:${relay_ports[i]}" --exposed-address "rel://$host:${relay_ports[i]}" \
    --metrics-port $((9095 + i)) --health-listen-address "127.0.0.1:$((9000 + i))" \
    --enable-stun --stun-ports "${stun_ports[i]}" --log-file console
  wait_for 15 "$name" ready $((9000 + i))
}

postgres_environment() {
  local server="postgres://netbird:$(secret postgres.password)@127.0.0.1:$postgres_port"
  printf '%s\n' NETBIRD_STORE_ENGINE=postgres \
    "NB_STORE_ENGINE_POSTGRES_DSN=$server/netbird?sslmode=disable" \
    "NB_AUTH_STORE_DSN=$server/netbird_auth?sslmode=disable"
}

start_haproxy() { # start_haproxy BIND_LIST RELAY_HOST
  launch nb-haproxy NB_WEB_BIND="$1" NB_HAPROXY_SOCKET="$state/run/haproxy.sock" \
    NB_SIGNAL_1_ADDRESS=127.0.0.1:10000 NB_SIGNAL_1_METRICS_PORT=9093 \
    NB_SIGNAL_2_ADDRESS=127.0.0.1:10001 NB_SIGNAL_2_METRICS_PORT=9094 \
    NB_MGMT_1_ADDRESS=127.0.0.1:33073 NB_MGMT_1_METRICS_PORT=9091 \
    NB_MGMT_2_ADDRESS=127.0.0.1:33074 NB_MGMT_2_METRICS_PORT=9092 \
    NB_RELAY_1_ADDRESS="$2:${relay_ports[0]}" NB_RELAY_1_HEALTH_ADDRESS=127.0.0.1:9000 \
    NB_RELAY_2_ADDRESS="$2:${relay_ports[1]}" NB_RELAY_2_HEALTH_ADDRESS=127.0.0.1:9001 \
    haproxy -db -f deploy/haproxy/haproxy.cfg
  wait_for 10 nb-haproxy curl -fsS -m 2 "http://127.0.0.1:$web_port/healthz"
}

# --- verbs ------------------------------------------------------------------------------------

management_verb() { # the admin verbs of netbird-mgmt over the stack's database
  local environment=()
  if [ "$(cat "$state/mode")" = ha ]; then
    mapfile -t environment < <(postgres_environment; ha_environment admin | grep -v INSTANCE_ID)
  fi
  (
    export "${environment[@]}"
    exec "$bin/netbird-mgmt" "$@" --config "$state/management.json" --datadir "$state/data" \
      --log-file console --log-level warn
  )
}

# netbird-mgmt ha …, with what the running stack's servers were given.
stack_ha() {
  [ -s "$state/mode" ] || die "nothing is up"
  management_verb ha "$@"
}

stack_setup_key() {
  [ -s "$state/mode" ] || die "nothing is up"
  management_verb setup-key create --name "${1:-dev}" --type reusable
}

owner=owner@netbird.test

# The owner of a fresh installation, and the first key; an account of an older stack gets a key only.
first_setup_key() { # first_setup_key URL
  local file=$state/secrets/setup.key status=0
  if [ ! -s "$file" ]; then
    secret owner.password >/dev/null
    { cat "$state/secrets/owner.password"; echo; } |
      deploy/seed.sh "$1" "$owner" "Owner" 2>"$state/log/seed.log" | write_private "$file" || status=$?
    if [ $status = 3 ]; then
      rm -f "$state/secrets/owner.password"
      stack_setup_key default | sed -n 's/^Setup key: //p' | write_private "$file"
    fi
    [ -s "$file" ] || die "no setup key was made; see $state/log/seed.log"
  fi
  cat "$file"
}

stack_up() {
  local mode=ha address="" environment=()
  while [ $# -gt 0 ]; do
    case $1 in
      --single) mode=single ;;
      --address) address=${2:?--address needs an IP}; shift ;;
      *) die "up: unknown option '$1'" ;;
    esac
    shift
  done
  if [ -s "$state/mode" ] && [ "$(cat "$state/mode")" != "$mode" ]; then
    die "the '$(cat "$state/mode")' stack has data in $state; run './dev down --wipe' first"
  fi
  install_packages
  build_release
  say "starting the $mode stack, state in $state"
  mkdir -p "$state"/{secrets,run,log,data}
  chmod 711 "$state" "$state/run"
  chmod 700 "$state"/{secrets,data,log}
  echo "$mode" >"$state/mode"
  reserve_ports
  secret bus.secret >/dev/null
  if [ "$mode" = single ]; then up_single "$address"; else up_ha "$address"; fi
}

up_ha() {
  local address=$1 bind=127.0.0.1:$web_port public=127.0.0.1 part
  if [ -n "$address" ]; then
    bind=$bind,$address:$web_port
    public=$address
  fi
  public=${advertised:-$public}
  require_free nb-redis "$redis_port"
  require_free nb-postgres "$postgres_port"
  require_free nb-haproxy "$web_port"
  require_free nb-relay-1 "${relay_ports[0]}"
  require_free nb-relay-2 "${relay_ports[1]}"
  require_free nb-coturn "$turn_port"
  start_postgres
  start_redis
  secret relay.secret >/dev/null
  # Each relay by itself, though HAProxy would take them to one as well: tunnels must not end with it.
  management_json postgres "$public:$web_port" "$public" 2 "http://$public:$web_port" \
    "turn:$public:$turn_port?transport=udp"
  mapfile -t environment < <(ha_environment signal-1)
  start_signal nb-signal-1 10000 9093 "${environment[@]}"
  mapfile -t environment < <(ha_environment signal-2)
  start_signal nb-signal-2 10001 9094 "${environment[@]}"
  mapfile -t environment < <(ha_environment mgmt-1; postgres_environment)
  start_management nb-mgmt-1 33073 9091 "${environment[@]}"
  mapfile -t environment < <(ha_environment mgmt-2; postgres_environment)
  start_management nb-mgmt-2 33074 9092 "${environment[@]}"
  mapfile -t environment < <(ha_environment relay-1 | grep '^NB_HA_')
  start_relay 1 nb-relay-1 "$public" "$address" "${environment[@]}"
  mapfile -t environment < <(ha_environment relay-2 | grep '^NB_HA_')
  start_relay 2 nb-relay-2 "$public" "$address" "${environment[@]}"
  start_coturn "$public" "$address"
  start_haproxy "$bind" "${address:-127.0.0.1}"
  print_next_step "http://$public:$web_port"
}

up_single() {
  local public=${advertised:-${1:-127.0.0.1}}
  require_free nb-mgmt 33073
  require_free nb-signal 10000
  require_free nb-relay "${relay_ports[0]}"
  secret relay.secret >/dev/null
  management_json sqlite "$public:10000" "$public" 1 "http://$public:33073"
  local bind=("NB_LISTEN_ADDRESS=${1:-127.0.0.1}")
  start_signal nb-signal 10000 9093 "${bind[@]}"
  start_management nb-mgmt 33073 9091 "${bind[@]}"
  start_relay 1 nb-relay "$public" "${1:-}"
  print_next_step "http://$public:33073"
}

print_next_step() {
  local key
  key=$(first_setup_key "$1")
  local login="none: the account is older than the identity provider"
  [ -s "$state/secrets/owner.password" ] && login="$owner, password in $state/secrets/owner.password"
  cat <<TEXT

The stack is up.

  management and signal   $1
  relays, STUN            ${relay_ports[*]}, ${stun_ports[*]}
  TURN (coturn)           $(alive nb-coturn && echo "$turn_port" || echo "none")
  REST API                $1/api/ (all calls: $1/api/reference)
  identity provider       $1/oauth2
  owner                   $login
  setup key               $key
  dashboard               not part of this version: point the official one at $1

Join a machine (official NetBird agent):

  netbird up --management-url $1 --setup-key $key

'./dev status' shows health, './dev logs' follows the logs, './dev down' stops everything.
Kill any one server with kill -9 and watch nothing happen; './dev up' starts it again.
TEXT
}

stack_parts() {
  case $(cat "$state/mode" 2>/dev/null) in
    ha) printf '%s\n' "${parts_ha[@]}" ;;
    single) printf '%s\n' "${parts_single[@]}" ;;
  esac
}

stack_down() {
  local parts
  mapfile -t parts < <(stack_parts | tac)
  say "stopping"
  local part
  for part in "${parts[@]}"; do stop_part "$part"; done
  if [ "${1:-}" = --wipe ]; then
    say "deleting $state"
    rm -rf "$state"
  fi
}

metrics_port_of() {
  case $1 in
    nb-signal | nb-signal-1) echo 9093 ;;
    nb-signal-2) echo 9094 ;;
    nb-mgmt | nb-mgmt-1) echo 9091 ;;
    nb-mgmt-2) echo 9092 ;;
    nb-relay | nb-relay-1) echo 9000 ;; # its health port
    nb-relay-2) echo 9001 ;;
  esac
}

stack_status() {
  [ -s "$state/mode" ] || die "nothing is up ($state has no stack)"
  local part port health host
  for part in $(stack_parts); do
    health=-
    port=$(metrics_port_of "$part")
    host=$(cat "$state/run/$part.host" 2>/dev/null || echo 127.0.0.1)
    if [ -n "$port" ]; then health=$(curl -sS -m 2 "http://$host:$port/readyz" 2>/dev/null || echo "no answer"); fi
    # Whoever is well needs no details.
    case $health in '{"status":"ok","ready":true,'*) health=ready ;; esac
    if alive "$part"; then
      printf '%-13s running  pid %-8s %s\n' "$part" "$(pid_of "$part")" "$health"
    else
      printf '%-13s down\n' "$part"
    fi
  done
}

stack_logs() {
  [ -d "$state/log" ] || die "no logs in $state"
  tail -n 50 -F "$state/log/${1:-}"*.log
}
