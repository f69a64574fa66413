#!/bin/sh
# Makes .env beside this script with fresh secrets: ./init.sh DOMAIN. Never touches one that exists.
set -eu
cd "$(dirname "$0")"
domain=${1:?usage: ./init.sh DOMAIN}
if [ -e .env ]; then
  echo "error: .env exists; it holds the keys of your data, edit it by hand" >&2
  exit 1
fi
umask 077
hex() { openssl rand -hex 24; }
sed -e "s|^NETBIRD_DOMAIN=.*|NETBIRD_DOMAIN=$domain|" \
  -e "s|^NB_POSTGRES_PASSWORD=.*|NB_POSTGRES_PASSWORD=$(hex)|" \
  -e "s|^NB_REDIS_PASSWORD=.*|NB_REDIS_PASSWORD=$(hex)|" \
  -e "s|^NB_HA_SECRET=.*|NB_HA_SECRET=$(hex)|" \
  -e "s|^NB_RELAY_SECRET=.*|NB_RELAY_SECRET=$(hex)|" \
  -e "s|^NB_TURN_SECRET=.*|NB_TURN_SECRET=$(hex)|" \
  -e "s|^NB_DATASTORE_ENCRYPTION_KEY=.*|NB_DATASTORE_ENCRYPTION_KEY=$(openssl rand -base64 32)|" \
  .env.example >.env.new
mv .env.new .env
echo "made .env for $domain; next: docker compose up -d --build"
