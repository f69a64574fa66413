"""contract/rest-api.md §11, cases 17, 39 and 80: budgets of personal tokens, places; large accounts;
aliases of domains; the end of an account."""

import os
import sqlite3
import unittest

from case import Case, description, engine, provider, shared
from client import Client
from large import fill
from servers import Deployment, eventually

PLACES = [(2950159, "EU", "Europe", "DE", "Germany", "Berlin"),
          (2911298, "EU", "Europe", "DE", "Germany", "Hamburg"),
          (9911298, "EU", "Europe", "DE", "Germany", "Hamburg"),
          (2988507, "EU", "Europe", "FR", "France", "Paris"),
          (3017382, "EU", "Europe", "FR", "France", "")]


def place_database(folder):
    """As upstream unpacks it (contract/signal-relay-ops.md)."""
    with sqlite3.connect(os.path.join(folder, "geonames_20260101.db")) as database:
        database.execute("CREATE TABLE geonames (geoname_id INTEGER, continent_code TEXT, "
                         "continent_name TEXT, country_iso_code TEXT, country_name TEXT, "
                         "city_name TEXT)")
        database.executemany("INSERT INTO geonames VALUES (?, ?, ?, ?, ?, ?)", PLACES)


def prepare(folder):
    place_database(folder)
    if os.getuid() == 0:
        with open(os.path.join(folder, "hosts"), "w") as out:
            out.write("127.0.0.1 localhost\n"
                      "127.0.0.2 edge.example.net validation.good.example.org\n"
                      "127.0.0.3 other.example.net validation.bad.example.org\n")


def limited():
    """Two requests per personal token, and then one in ten minutes. Who issues tokens is found by
    the provider's discovery document (contract/auth-idp.md §1.1)."""
    if "limited" not in shared:
        shared["limited"] = Deployment(
            engine(), os.environ["NB_BINARY_DIR"],
            {"HttpConfig": {"AuthAudience": "nb-test", "IdpSignKeyRefreshEnabled": True,
                            "OIDCConfigEndpoint": provider().issuer +
                                                  "/.well-known/openid-configuration"}},
            {"NB_API_RATE_LIMITING_ENABLED": "true", "NB_API_RATE_LIMITING_BURST": "2",
             "NB_API_RATE_LIMITING_RPM": "1",
             "NB_MANAGEMENT_VERSION_URL": provider().issuer + "/newest/management",
             "NB_DASHBOARD_VERSION_URL": provider().issuer + "/newest/dashboard"},
            prepare=prepare)
    return shared["limited"]


class Limits(Case):
    @classmethod
    def setUpClass(cls):
        cls.site = limited()
        cls.db = cls.site.database
        cls.anonymous = Client(cls.site.port, description())
        cls.owner = cls.jwt_client("owner-1", email="olga@example.org", name="Olga Owner")
        cls.account = cls.owner.get("/api/accounts").json[0]["id"]

    def test_17_a_token_has_one_budget_on_all_instances(self):
        token = "Token " + self.insert_token("owner-1")
        ports = [self.site.servers[0].port, self.site.servers[-1].port]
        for port in ports:
            self.anonymous.at(port).as_(token).get("/api/groups")
        for port in ports:
            client = self.anonymous.as_(token).at(port)
            refused = client.get("/api/groups", status=429, message="too many requests")
            self.assertTrue(refused.header("Retry-After"))
            self.assertEqual(refused.json["code"], 429)
        agent = {"User-Agent": "terraform-provider-netbird/1 Terraform/1.9"}
        self.anonymous.as_(token).get("/api/groups", headers=agent)

    def test_17_other_credentials_have_their_own(self):
        for _ in range(4):
            self.owner.get("/api/groups")
        other = "Token " + self.insert_token("owner-1")
        self.anonymous.as_(other).get("/api/groups")

    def test_80_places(self):
        member = self.jwt_client("user-1", email="u@example.org", name="User")
        member.get("/api/users", status=403)  # joins, and waits for approval
        self.owner.post("/api/users/user-1/approve")
        countries = member.get("/api/locations/countries").json
        self.assertEqual(countries, [{"country_code": "FR", "country_name": "France"},
                                     {"country_code": "DE", "country_name": "Germany"}])
        upper = member.get("/api/locations/countries/DE/cities").json
        self.assertEqual([city["city_name"] for city in upper], ["Berlin", "Hamburg"])
        self.assertEqual(upper[0]["geoname_id"], 2950159)
        self.assertEqual(member.get("/api/locations/countries/de/cities").json, upper)
        self.assertEqual(member.get("/api/locations/countries/zz/cities").json, [])
        for bad in ("xyz", "d", "1a", "%C3%A4"):
            member.get(f"/api/locations/countries/{bad}/cities", status=422,
                       message="invalid country code")
        self.anonymous.get("/api/locations/countries", status=401)

    def test_newest_releases_are_told_by_every_instance(self):
        """contract/rest-api.md §7.1; each asks by itself, and no caller waits for it."""
        for server in self.site.servers:
            client = self.owner.at(server.port)
            shown = eventually(lambda: [v for v in [client.get("/api/instance/version").json]
                                        if len(v) == 4])
            self.assertEqual(shown[0]["management_available_version"], "99.1.2")
            self.assertEqual(shown[0]["dashboard_available_version"], "2.98.7")
            comparable = shown[0]["management_current_version"][0].isdigit()
            self.assertEqual(shown[0]["management_update_available"], comparable)

    @unittest.skipIf(os.getuid() != 0, "names of its own need a mount namespace")
    def test_a_domain_is_good_when_its_name_is_an_alias_of_the_cluster(self):
        self.cluster(cluster_address="edge.example.net")
        path = "/api/reverse-proxies/domains"
        for domain, wanted in (("good.example.org", True), ("bad.example.org", False),
                               ("unknown.invalid", False)):
            made = self.owner.post(path, {"domain": domain,
                                          "target_cluster": "edge.example.net"}).json
            self.assertFalse(made["validated"])
            self.owner.get(f"{path}/{made['id']}/validate", status=202)
            shown = {d["domain"]: d for d in self.owner.get(path).json}[domain]
            self.assertEqual(shown["validated"], wanted, domain)

    def test_large_accounts_are_listed_before_the_database_knows_them(self):
        """PostgreSQL has no statistics yet, as after a restore."""
        everybody = self.all_group()["id"]
        before = len(self.owner.get("/api/peers").json)
        if engine() == "postgres":
            for table in ("peers", "groups", "group_peers"):
                self.db.run(f"ALTER TABLE {table} SET (autovacuum_enabled = false)")
        fill(self.db, self.account, everybody, 5_000, 500)
        # Not validated against the description: that takes minutes in Python.
        peers = self.owner.raw("GET", "/api/peers")
        self.assertEqual(peers.status, 200, peers.body[:300])
        self.assertEqual(len(peers.json), before + 5_000)
        self.assertEqual({len(peer["groups"]) for peer in peers.json}, {6})
        groups = self.owner.raw("GET", "/api/groups")
        self.assertEqual(groups.status, 200, groups.body[:300])
        self.assertEqual(sum(len(group["peers"]) for group in groups.json), 6 * 5_000)


class WholeAccount(Case):
    """After Limits, whose account it takes away."""

    @classmethod
    def setUpClass(cls):
        cls.site = limited()
        cls.db = cls.site.database
        cls.anonymous = Client(cls.site.port, description())
        cls.owner = cls.jwt_client("owner-1", email="olga@example.org", name="Olga Owner")
        cls.account = cls.owner.get("/api/accounts").json[0]["id"]

    def test_39_the_owner_deletes_everything(self):
        tokens = ["Token " + self.insert_token("owner-1") for _ in self.site.servers]
        for token in tokens:
            self.anonymous.as_(token).get("/api/groups")
        answer = self.owner.delete("/api/accounts/" + self.account)
        self.assertEqual(answer.json, {})
        for server, token in zip(self.site.servers, tokens):
            self.anonymous.at(server.port).as_(token).get("/api/groups", status=401,
                                                          message="token invalid")
        left = self.db.run("SELECT (SELECT COUNT(*) FROM accounts) + (SELECT COUNT(*) FROM users) "
                           "+ (SELECT COUNT(*) FROM peers) + (SELECT COUNT(*) FROM policies)")
        self.assertEqual(left, "0")
