#!/bin/sh
# Run once by the postgres image: the two databases beside the main one.
set -eu
for name in netbird_auth netbird_events; do
  psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -tAc \
    "SELECT 1 FROM pg_database WHERE datname = '$name'" | grep -q 1 ||
    psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d postgres -c "CREATE DATABASE $name"
done
