"""contract/auth-idp.md §2 to §8: what logins at the embedded provider are worth in the API."""

import calendar
import json
import os
import time
import unittest

from case import description, engine, name
from client import Client
from outside import Browser, OutsideProvider, argument
from servers import Deployment, eventually
from test_setup import PASSWORD, RETURN, embedded_settings
from tokens import new_token


class Logins(unittest.TestCase):
    """In the order of their names. The configuration connects another provider from the start."""

    @classmethod
    def setUpClass(cls):
        cls.corp = OutsideProvider()
        cls.addClassCleanup(cls.corp.stop)
        connector = {"id": "corp", "type": "oidc", "name": "Corp",
                     "config": {"issuer": cls.corp.issuer, "clientID": cls.corp.client,
                                "clientSecret": cls.corp.secret}}
        settings = embedded_settings()
        settings["EmbeddedIdP"].update(IdTokenLifetime="1h", DeviceCodeLifetime="2m",
                                       StaticConnectors=[connector])
        settings["ReverseProxy"] = {"TrustedPeers": ["127.0.0.1"], "AccessLogRetentionDays": -1}
        cls.site = Deployment(engine(), os.environ["NB_BINARY_DIR"], settings)
        cls.addClassCleanup(cls.site.stop)
        cls.anonymous = Client(cls.site.port, description())

    def bearer(self, tokens, kind="access_token"):
        return self.anonymous.as_("Bearer " + tokens[kind])

    def outsider(self, user="sso-1", connector="corp", **claims):
        """A browser with a session, and its client, of somebody the connected provider knows."""
        self.corp.person = {"sub": user, "email": user + "@corp.example", "name": user, **claims}
        browser = Browser(self.anonymous)
        back = browser.through(self.corp, connector, RETURN)
        return browser, self.bearer(browser.tokens(back, RETURN))

    def local(self, email="owner@example.org", password=PASSWORD):
        browser = Browser(self.anonymous)
        return browser.tokens(browser.log_in(email, password, RETURN), RETURN)

    def silent(self, browser, what):
        """That argument of the answer to a request without pages."""
        return argument(browser.ask(RETURN, prompt="none").header("Location"), what)

    def owner(self):
        if not hasattr(type(self), "owners"):
            type(self).owners = self.bearer(self.local())
        return self.owners

    def human(self):
        """A local user made by the owner: id, address, password."""
        email = name("local") + "@example.org"
        made = self.owner().post("/api/users", {"email": email, "name": "L", "role": "user",
                                                "auto_groups": [], "is_service_user": False}).json
        return made["id"], email, made["password"]

    def log(self):
        return "".join(server.process.output() for server in self.site.servers)

    def test_1_who_comes_first_through_a_connector_owns_nothing(self):
        self.outsider()[1].get("/api/users", status=401, message="token invalid")
        self.assertEqual(int(self.site.database.run("SELECT COUNT(*) FROM accounts")), 0)
        self.assertIn("nobody owns this server yet", self.log())
        body = {"email": "owner@example.org", "name": "Owner", "password": PASSWORD}
        self.anonymous.post("/api/setup", {**body, "password": "short"}, status=422)
        made = self.anonymous.post("/api/setup", body).json
        # Between set-up and the owner's first login, too.
        self.outsider()[1].get("/api/users", status=401, message="token invalid")
        self.assertEqual(self.owner().get("/api/users/current").json["id"], made["user_id"])
        self.assertEqual(self.owner().get("/api/users/current").json["role"], "owner")
        self.outsider()[1].get("/api/peers", status=403, message="user is pending approval")

    def test_2_tries_at_set_up_are_in_the_log(self):
        for text in ("set-up refused", "password must be at least 8 characters",
                     "instance set up"):
            self.assertTrue(eventually(lambda: text in self.log()), text)

    def test_2_both_tokens_of_a_login_are_good(self):
        tokens = self.local()
        for kind in ("access_token", "id_token"):
            shown = self.bearer(tokens, kind).get("/api/users/current").json
            self.assertEqual((shown["email"], shown["idp_id"]), ("owner@example.org", "local"))
        self.assertEqual(tokens["expires_in"], 3600)

    def test_2_the_last_login_is_that_of_the_session(self):
        before = self.owner().get("/api/users/current").json["last_login"]
        seen = calendar.timegm(time.strptime(before[:19], "%Y-%m-%dT%H:%M:%S"))
        self.assertLess(abs(time.time() - seen), 3600)

    def test_2_lives_are_as_configured(self):
        asked = Browser(self.anonymous).go("/oauth2/device/code", "POST",
                                           {"client_id": "netbird-cli", "scope": "openid"})
        self.assertEqual(json.loads(asked.body)["expires_in"], 120)

    def test_3_who_is_blocked_has_no_session_left(self):
        browser, client = self.outsider("sso-2")
        user = [u for u in self.owner().get("/api/users").json
                if u["email"] == "sso-2@corp.example"]
        self.assertEqual(user, [])  # not seen by management yet
        client.get("/api/users", status=403)
        user = [u for u in self.owner().get("/api/users").json
                if u["email"] == "sso-2@corp.example"][0]
        self.assertEqual(user["idp_id"], "corp")
        self.owner().post(f"/api/users/{user['id']}/approve")
        client.get("/api/users/current")
        self.assertTrue(self.silent(browser, "code"))
        self.owner().put(f"/api/users/{user['id']}",
                         {"role": "user", "auto_groups": [], "is_blocked": True})
        client.get("/api/users/current", status=403, message="blocked")
        self.assertEqual(self.silent(browser, "error"), "login_required")

    def test_4_a_deleted_users_token_makes_nobody(self):
        user, email, password = self.human()
        client = self.bearer(self.local(email, password))
        client.get("/api/users/current")
        self.owner().delete(f"/api/users/{user}")
        for server in self.site.servers:
            client.at(server.port).get("/api/users", status=401, message="token invalid")
        self.assertNotIn(user, [u["id"] for u in self.owner().get("/api/users").json])

    def test_4_an_address_that_only_the_provider_knows_is_taken(self):
        user, email, _ = self.human()
        self.site.database.run(f"DELETE FROM users WHERE id = '{user}'")
        self.owner().post("/api/users", {"email": email, "name": "L", "role": "user",
                                         "auto_groups": [], "is_service_user": False}, status=409,
                          message="can't invite a user with an existing netbird account")

    def test_5_groups_of_tokens_are_asked_of_others_only(self):
        account = self.owner().get("/api/accounts").json[0]
        path = "/api/accounts/" + account["id"]
        limited = {**account["settings"], "jwt_groups_enabled": True,
                   "jwt_groups_claim_name": "groups", "jwt_allow_groups": ["staff"]}
        limited["extra"]["user_approval_required"] = False
        self.owner().put(path, {"settings": limited})
        self.owner().get("/api/users/current")  # a local user has no groups in his tokens
        self.outsider("sso-3", groups=["guests"])[1].get("/api/users", status=401)
        self.outsider("sso-3", groups=["staff"])[1].get("/api/users")
        self.outsider("sso-4", groups="staff")[1].get("/api/users")
        self.owner().put(path, {"settings": account["settings"]})

    def test_5_a_second_factor_is_asked_for_everywhere_at_once(self):
        account = self.owner().get("/api/accounts").json[0]
        path = "/api/accounts/" + account["id"]
        _, email, password = self.human()

        def leads_to(servers):
            """Where a right password leads there."""
            out = set()
            for server in servers:
                browser = Browser(self.anonymous.at(server.port))
                where = browser.log_in(email, password, RETURN).header("Location")
                out.add(where.split("?")[0])
                self.assertEqual("netbird-session" in browser.jar, "?code=" in where)
            return out

        servers, again = self.site.servers, self.site.servers[-1]
        self.assertEqual(leads_to(servers), {RETURN})
        self.owner().put(path, {"settings": {**account["settings"], "local_mfa_enabled": True}})
        self.assertEqual(leads_to(servers), {"/oauth2/mfa"})
        again.stop()
        again.start()  # upstream switches it off for all while one starts
        while not again.ready():
            self.assertLessEqual(leads_to(servers[:-1]), {"/oauth2/mfa"})
            self.assertTrue(again.process.running())
            time.sleep(0.02)
        self.owner().connection = None  # it may have led there
        self.assertEqual(leads_to(servers), {"/oauth2/mfa"})
        self.outsider()  # asked of local users only
        self.owner().put(path, {"settings": {**account["settings"], "local_mfa_enabled": False}})
        self.assertEqual(leads_to(servers), {RETURN})

    def test_5_tries_at_invitations_are_counted_by_client_behind_a_trusted_proxy(self):
        port = self.site.servers[0].port
        look = lambda address: self.anonymous.at(port).raw(
            "GET", "/api/users/invites/" + new_token("nbi_"),
            headers={"X-Forwarded-For": address}).status
        self.assertEqual({look("203.0.113.7") for _ in range(12)}, {404, 429})
        self.assertEqual(look("203.0.113.8"), 404)

    def test_6_connectors_by_the_api(self):
        path = "/api/identity-providers"
        body = {"type": "keycloak", "name": "KC", "client_id": self.corp.client,
                "client_secret": self.corp.secret, "issuer": self.corp.issuer}
        ident = self.owner().post(path, body).json["id"]
        self.assertRegex(ident, r"^keycloak-[0-9a-v]{20}$")
        self.assertEqual({c["id"] for c in self.owner().get(path).json}, {"corp", ident})
        self.outsider(connector=ident)
        self.owner().put(f"{path}/{ident}", {**body, "name": "KC 2", "client_secret": ""})
        self.outsider(connector=ident)
        self.owner().put(f"{path}/{ident}", {**body, "type": "okta"}, status=422)
        self.owner().post(path, {**body, "issuer": self.corp.issuer + "/"}, status=422)
        self.owner().delete(path + "/local", status=422)
        self.owner().put(path + "/local", body, status=422)
        self.owner().delete(f"{path}/{ident}")
        self.owner().delete(f"{path}/{ident}", status=404, message="identity provider not found")
        codes = [e["activity_code"] for e in self.owner().get("/api/events/audit").json
                 if e["target_id"] == ident]
        self.assertEqual(codes, ["identityprovider.delete", "identityprovider.update",
                                 "identityprovider.create"])

    def test_6_userinfo_of_somebody_else_is_no_login(self):
        """OpenID Connect Core §5.3.4; of all kinds zitadel asks for it."""
        made = self.owner().post("/api/identity-providers", {
            "type": "zitadel", "name": "Z", "client_id": self.corp.client,
            "client_secret": self.corp.secret, "issuer": self.corp.issuer}).json
        self.corp.person = {"sub": "sso-9"}
        self.corp.userinfo = {"sub": "somebody-else", "email": "ceo@corp.example"}
        page = Browser(self.anonymous).through(self.corp, made["id"], RETURN)
        self.assertEqual((page.status, page.header("Location")), (502, None))
        self.corp.userinfo = {"sub": "sso-9", "email": "nine@corp.example"}
        browser = Browser(self.anonymous)
        back = browser.through(self.corp, made["id"], RETURN)
        self.bearer(browser.tokens(back, RETURN)).raw("GET", "/api/users")
        self.assertIn("nine@corp.example",
                      [user["email"] for user in self.owner().get("/api/users").json])
        self.owner().delete(f"/api/identity-providers/{made['id']}")
