"""What every test case has: a deployment of its engine, and callers of each role."""

import os
import secrets
import time
import unittest

from client import Client, Description
from servers import Deployment
from tokens import Provider, new_token, token_hash

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../../.."))
ZERO_TIME = "0001-01-01T00:00:00Z"
shared = {}


def engine():
    return os.environ.get("NB_REST_ENGINE", "sqlite")


def description():
    if "description" not in shared:
        shared["description"] = Description(os.path.join(ROOT, "api/openapi.yaml"))
    return shared["description"]


def provider():
    if "provider" not in shared:
        shared["provider"] = Provider()
    return shared["provider"]


def deployment():
    """Tokens come from the tests' own provider; two users have the account already."""
    if "deployment" not in shared:
        env = {"NB_API_RATE_LIMITING_ENABLED": "true", "NB_API_RATE_LIMITING_BURST": "100000"}
        shared["deployment"] = Deployment(engine(), os.environ["NB_BINARY_DIR"],
                                          {"HttpConfig": provider().settings()}, env)
    return shared["deployment"]


def stop_all():
    for part in ("deployment", "embedded", "limited", "provider"):
        if part in shared:
            shared.pop(part).stop()


def name(prefix="n"):
    return prefix + "-" + secrets.token_hex(4)


class Case(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.site = deployment()
        cls.db = cls.site.database
        cls.anonymous = Client(cls.site.port, description())
        if "owner" not in shared:
            # The first login founds the account and owns it.
            owner = cls.jwt_client("owner-1", email="olga@example.org", name="Olga Owner")
            shared["owner"] = owner
            shared["account"] = owner.get("/api/accounts").json[0]["id"]
            settings = owner.get("/api/accounts").json[0]["settings"]
            settings["regular_users_view_blocked"] = False
            settings["extra"]["user_approval_required"] = False
            owner.put("/api/accounts/" + shared["account"], {"settings": settings})
        cls.owner, cls.account = shared["owner"], shared["account"]

    @classmethod
    def jwt_client(cls, user, **claims):
        return Client(cls.site.port, description(), "Bearer " + provider().jwt(user, **claims))

    def member(self, role="user", **claims):
        """A new human of that role; answers client and id."""
        user = name("user")
        client = self.jwt_client(user, email=user + "@example.org", name=user, **claims)
        client.get("/api/users")
        if role != "user":
            self.owner.put(f"/api/users/{user}",
                           {"role": role, "auto_groups": [], "is_blocked": False})
        return client, user

    def service_user(self, role):
        """A service user with a token; answers client and id."""
        made = self.owner.post("/api/users", {"name": name("svc"), "role": role, "auto_groups": [],
                                              "is_service_user": True}).json
        token = self.owner.post(f"/api/users/{made['id']}/tokens",
                                {"name": "t", "expires_in": 30}).json["plain_token"]
        return Client(self.site.port, description(), "Token " + token), made["id"]

    def group(self, **more):
        return self.owner.post("/api/groups", {"name": name("g"), **more}).json

    def all_group(self):
        return self.owner.get("/api/groups?name=All").json[0]

    def peer(self, user="", **more):
        """A machine, written as a registration would write it."""
        ident = secrets.token_hex(10)
        count = shared["peers"] = shared.get("peers", 0) + 1
        net = self.owner.get("/api/accounts").json[0]["settings"]["network_range"]
        head = ".".join(net.split(".")[:2])
        row = {"id": ident, "account_id": self.account, "key": secrets.token_urlsafe(32) + "=",
               "ip": f'"{head}.7.{count}"', "name": "peer-" + ident, "dns_label": "peer-" + ident,
               "meta_hostname": "peer-" + ident, "meta_go_os": "linux", "meta_os": "Debian",
               "meta_wt_version": "0.70.0", "user_id": user, "created_at": "2026-01-01 00:00:00",
               "peer_status_last_seen": "2026-01-02 00:00:00", "ssh_key": "",
               "location_connection_ip": '"203.0.113.9"', **more}
        text = lambda value: str(value) if isinstance(value, int) else f"'{value}'"
        self.db.run(f"INSERT INTO peers ({', '.join(row)}) VALUES "
                    f"({', '.join(text(value) for value in row.values())})")
        self.db.run(f"INSERT INTO group_peers (account_id, group_id, peer_id) VALUES "
                    f"('{self.account}', '{self.all_group()['id']}', '{ident}')")
        return ident

    def cluster(self, account=True, **more):
        """Its address; with one proxy that was just heard of."""
        address = name("proxy") + ".example.net"
        now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
        row = {"id": secrets.token_hex(10), "cluster_address": address, "status": "connected",
               "last_seen": now, **({"account_id": self.account} if account else {}), **more}
        text = lambda v: str(v) if not isinstance(v, str) else f"'{v}'"
        self.db.run(f"INSERT INTO proxies ({', '.join(row)}) VALUES "
                    f"({', '.join(text(v) for v in row.values())})")
        return address

    def serial(self):
        return int(self.db.run(
            f"SELECT network_serial FROM accounts WHERE id = '{self.account}'"))

    def events(self, code=None):
        found = self.owner.get("/api/events/audit").json
        return [event for event in found if code in (None, event["activity_code"])]

    def insert_token(self, user, days=1):
        token = new_token()
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + days * 86400))
        self.db.run(
            "INSERT INTO personal_access_tokens (id, user_id, name, hashed_token, "
            "expiration_date, created_by, created_at) VALUES "
            f"('{secrets.token_hex(10)}', '{user}', 'sql', '{token_hash(token)}', '{when}', "
            f"'{user}', '2026-01-01 00:00:00')")
        return token
