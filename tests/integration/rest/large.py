"""A large account, written into the tables at once."""

import secrets

ROWS_AT_ONCE = 250  # psql takes them as one argument of at most 128 KiB


def insert(database, table, columns, rows):
    for i in range(0, len(rows), ROWS_AT_ONCE):
        values = ", ".join("(" + ", ".join(row) + ")" for row in rows[i:i + ROWS_AT_ONCE])
        database.run(f"INSERT INTO {table} ({columns}) VALUES {values}")


def fill(database, account, everybody, peers, groups):
    """Each machine is in the group of everybody and in five others."""
    text = lambda value: f"'{value}'"
    ids = [secrets.token_hex(10) for _ in range(peers)]
    insert(database, "peers",
           "id, account_id, key, ip, name, dns_label, meta_hostname, meta_go_os, meta_os, "
           "meta_kernel_version, meta_wt_version, meta_ui_version, user_id, created_at, "
           "peer_status_last_seen, ssh_key, location_connection_ip, location_country_code, "
           "location_city_name",
           [[text(value) for value in
             (ident, account, secrets.token_urlsafe(32) + "=",
              f'"100.{64 + i // 62500}.{i // 250 % 250}.{i % 250 + 1}"', f"machine-{i}",
              f"machine-{i}", f"machine-{i}", "linux", "Debian GNU/Linux", "6.1.0-28-amd64",
              "0.70.0", "netbird-desktop-ui/0.70.0", "", "2026-01-01 00:00:00.123",
              "2026-01-02 00:00:00.456", "", '"203.0.113.9"', "DE", "Berlin")]
            for i, ident in enumerate(ids)])
    names = [secrets.token_hex(10) for _ in range(groups)]
    insert(database, "groups", "id, account_id, name, issued, resources",
           [[text(value) for value in (ident, account, f"group {i}", "api", "[]")]
            for i, ident in enumerate(names)])
    insert(database, "group_peers", "account_id, group_id, peer_id",
           [[text(account), text(group), text(peer)] for i, peer in enumerate(ids)
            for group in [everybody] + [names[(i + step * 37) % groups] for step in range(5)]])
