#!/bin/sh
# First owner and first setup key of a fresh installation, through its API:
#   ./seed.sh URL EMAIL NAME        the password is read from standard input
# Prints the setup key. Needs NB_SETUP_PAT_ENABLED=true on the server; the token that set-up makes is
# deleted at the end. Exit status 3: set up already, nothing was changed.
set -eu
url=${1:?usage: ./seed.sh URL EMAIL NAME}
email=${2:?usage: ./seed.sh URL EMAIL NAME}
name=${3:?usage: ./seed.sh URL EMAIL NAME}

tries=0
until instance=$(curl -fsS -m 2 "$url/api/instance" 2>/dev/null); do
  tries=$((tries + 1))
  if [ $tries -ge 60 ]; then
    echo "error: $url/api/instance does not answer" >&2
    exit 1
  fi
  sleep 1
done
case $instance in
  *'"setup_required":true'*) ;;
  *)
    echo "$url is set up already; make keys in the dashboard" >&2
    exit 3
    ;;
esac

# Python, since bodies need quoting and secrets must not show in the process list.
exec python3 -c '
import json, sys, urllib.error, urllib.request
url, email, name = sys.argv[1:]

def call(method, path, body=None, token=None):
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = "Token " + token
    data = json.dumps(body).encode() if body is not None else None
    try:
        with urllib.request.urlopen(urllib.request.Request(url + path, data, headers, method=method),
                                    timeout=30) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        sys.exit(f"error: {method} {path}: {error.code} {error.read().decode()[:300]}")

made = call("POST", "/api/setup", {"email": email, "name": name, "create_pat": True,
                                   "pat_expire_in": 1,
                                   "password": sys.stdin.readline().rstrip("\n")})
token = made.get("personal_access_token")
if not token:
    sys.exit("error: set-up made no token; start the server with NB_SETUP_PAT_ENABLED=true")
key = call("POST", "/api/setup-keys", {"name": "first", "type": "reusable", "expires_in": 0,
                                       "usage_limit": 0, "auto_groups": []}, token)
tokens = f"/api/users/{made['"'"'user_id'"'"']}/tokens"
for one in call("GET", tokens, token=token):
    call("DELETE", f"{tokens}/{one['"'"'id'"'"']}", token=token)
print(key["key"])
' "$url" "$email" "$name"
