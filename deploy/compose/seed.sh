#!/bin/sh
# First owner and first setup key of a fresh stack, through the API and the admin verb:
#   ./seed.sh URL EMAIL NAME        the password is read from standard input
# Prints the setup key. On an installation that is set up already only the key is made.
# NB_MGMT_EXEC: how to reach netbird-mgmt; default: inside the container nb-mgmt-1.
set -eu
url=${1:?usage: ./seed.sh URL EMAIL NAME}
email=${2:?usage: ./seed.sh URL EMAIL NAME}
name=${3:?usage: ./seed.sh URL EMAIL NAME}
exec_mgmt=${NB_MGMT_EXEC:-docker exec nb-mgmt-1 /go/bin/netbird-mgmt}

tries=0
until curl -fsS -m 2 "$url/api/instance" >/dev/null 2>&1; do
  tries=$((tries + 1))
  [ $tries -lt 120 ] || { echo "error: $url/api/instance does not answer" >&2; exit 1; }
  sleep 1
done

if curl -fsS "$url/api/instance" | grep -q '"setup_required":true'; then
  IFS= read -r password
  # The body goes over standard input: a password must not show in the process list.
  python3 -c 'import json,sys; print(json.dumps(dict(email=sys.argv[1], name=sys.argv[2], password=sys.stdin.readline().rstrip("\n"))))' \
    "$email" "$name" <<PASSWORD | curl -fsS -H 'Content-Type: application/json' --data-binary @- "$url/api/setup" >/dev/null
$password
PASSWORD
  echo "owner $email made; log in at $url" >&2
else
  echo "set up already; only a setup key is made" >&2
fi
$exec_mgmt setup-key create --name seed --type reusable --config "${NB_MGMT_CONFIG:-/etc/netbird/management.json}" \
  --log-file console --log-level warn | sed -n 's/^Setup key: //p'
