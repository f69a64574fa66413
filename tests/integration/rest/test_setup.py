"""contract/rest-api.md §11, cases 21 to 31, 42, 48, 81: what needs a deployment of its own."""

import datetime
import os
import threading
import unittest

from case import description, engine, name, shared
from client import Client
from servers import Deployment
from tokens import new_token

PASSWORD = "Secret-Password-1"
RETURN = "http://dash.test/nb-auth"


def embedded_settings():
    return {"EmbeddedIdP": {
        "Enabled": True, "Issuer": "http://127.0.0.1:1/oauth2", "DashboardRedirectURIs": [RETURN],
        "Storage": {"Type": "sqlite3" if engine() == "sqlite" else "postgres"}}}


def embedded():
    """With the embedded identity provider, set up by nobody yet."""
    if "embedded" not in shared:
        shared["embedded"] = Deployment(
            engine(), os.environ["NB_BINARY_DIR"], embedded_settings(),
            {"NB_SETUP_PAT_ENABLED": "true"})
    return shared["embedded"]


def setup_token():
    """The owner's; the tests of set-up have made him, unless they were not asked for."""
    if "setup_token" not in shared:
        Setup.setUpClass()
        Setup("test_23_25_one_of_many_wins").debug()
    return shared["setup_token"]


class Setup(unittest.TestCase):
    """In the order of their names: an instance is set up once."""

    @classmethod
    def setUpClass(cls):
        cls.site = embedded()
        cls.anonymous = Client(cls.site.port, description())

    def body(self, **more):
        return {"email": "owner@example.org", "name": "Owner", "password": PASSWORD, **more}

    def owner(self):
        return self.anonymous.as_("Token " + shared["setup_token"])

    def test_21_fresh(self):
        for server in self.site.servers:
            self.assertTrue(self.anonymous.at(server.port).get("/api/instance")
                            .json["setup_required"])

    def test_22_what_is_refused(self):
        for more, message in (({"password": "1234567"}, "password must be at least 8 characters"),
                              ({"password": "x" * 73}, "password must be at most 72 characters"),
                              ({"password": ""}, "password is required"),
                              ({"email": ""}, "email is required"),
                              ({"email": "Olga <o@example.org>"}, "invalid email format"),
                              ({"email": "no-address"}, "invalid email format"),
                              ({"name": ""}, "name is required")):
            self.anonymous.post("/api/setup", self.body(**more), status=422, message=message)
        self.anonymous.post("/api/setup", "{", status=400, message="invalid request body")
        self.anonymous.post("/api/setup", self.body(create_pat=True, pat_expire_in=366),
                            status=422, message="pat_expire_in must be between 1 and 365")
        self.assertTrue(self.anonymous.get("/api/instance").json["setup_required"])

    def test_23_25_one_of_many_wins(self):
        answers = []

        def set_up(port, i):
            body = self.body(email=f"owner{i}@example.org", create_pat=True)
            answers.append(self.anonymous.at(port).raw("POST", "/api/setup", body))

        ports = [server.port for server in self.site.servers] * 2
        threads = [threading.Thread(target=set_up, args=(port, i)) for i, port in enumerate(ports)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = sorted(answer.status for answer in answers)
        self.assertEqual(statuses, [200] + [412] * (len(ports) - 1),
                         [answer.body for answer in answers])
        won = [answer for answer in answers if answer.status == 200][0]
        self.assertEqual(won.header("Cache-Control"), "no-store")
        lost = [answer for answer in answers if answer.status == 412]
        self.assertTrue(all(a.message == "setup already completed" for a in lost))
        shared["setup_token"] = won.json["personal_access_token"]
        current = self.owner().get("/api/users/current").json
        self.assertEqual((current["id"], current["role"], current["idp_id"]),
                         (won.json["user_id"], "owner", "local"))
        self.assertEqual(self.owner().get("/api/accounts").json[0]["domain"],
                         "netbird.selfhosted")
        for server in self.site.servers:
            self.assertFalse(self.anonymous.at(server.port).get("/api/instance")
                             .json["setup_required"])
        self.anonymous.post("/api/setup", self.body(), status=412,
                            message="setup already completed")

    def test_25_few_tries_at_set_up_per_address(self):
        stranger = self.anonymous.at(self.site.servers[-1].port, "127.0.0.70")
        statuses = {stranger.raw("POST", "/api/setup", self.body()).status for _ in range(60)}
        self.assertEqual(statuses, {412, 429})

    def invite(self, **more):
        body = {"email": name("in") + "@example.org", "name": "Invited", "role": "auditor",
                "auto_groups": [], **more}
        return self.owner().post("/api/users/invites", body)

    def test_26_invites(self):
        made = self.invite().json
        again = {"email": made["email"].upper(), "name": "x", "role": "user", "auto_groups": []}
        self.owner().post("/api/users/invites", again, status=409,
                          message="invite already exists for this email")
        self.owner().post("/api/users/invites", {**again, "email": "a@b.example",
                                                 "expires_in": 1800}, status=422,
                          message="invite expiration must be at least 1 hour")
        self.owner().post("/api/users/invites", {**again, "email": "a@b.example", "role": "king"},
                          status=422)
        listed = [i for i in self.owner().get("/api/users/invites").json if i["id"] == made["id"]]
        self.assertNotIn("invite_token", listed[0])
        self.assertFalse(listed[0]["expired"])
        seconds = lambda text: datetime.datetime.fromisoformat(text[:19]).timestamp()
        self.assertEqual(seconds(made["expires_at"]) - seconds(made["created_at"]), 72 * 3600)
        shared["invite"] = made

    def test_27_what_an_invite_says(self):
        token = shared["invite"]["invite_token"]
        shown = self.anonymous.get("/api/users/invites/" + token).json
        self.assertEqual((shown["valid"], shown["email"], shown["invited_by"]),
                         (True, shared["invite"]["email"], "Owner"))
        bad = token[:-1] + ("0" if token[-1] != "0" else "1")
        self.anonymous.get("/api/users/invites/" + bad, status=422, message="invalid invite token")
        self.anonymous.get("/api/users/invites/" + new_token("nbi_"), status=404,
                           message="user invite not found")
        self.anonymous.delete("/api/users/invites/" + token, status=401)

    def test_27_an_invite_that_has_expired(self):
        made = self.invite().json
        self.site.database.run("UPDATE user_invites SET expires_at = '2026-01-01 00:00:00' "
                               f"WHERE id = '{made['id']}'")
        port = self.site.servers[-1].port
        shown = self.anonymous.at(port, "127.0.0.61").get(
            "/api/users/invites/" + made["invite_token"]).json
        self.assertFalse(shown["valid"])
        refused = self.accept(port, "127.0.0.62", made["invite_token"], PASSWORD)
        self.assertIn(refused.status, (404, 422), refused.body)
        self.assertTrue([i for i in self.owner().get("/api/users/invites").json
                         if i["id"] == made["id"]][0]["expired"])

    def accept(self, port, address, token, password):
        """Straight at one instance and from an address of its own: the balancer has few tries."""
        return self.anonymous.at(port, address).raw(
            "POST", f"/api/users/invites/{token}/accept", {"password": password})

    def test_28_an_invite_is_accepted_with_a_strong_password(self):
        made = self.invite(role="network_admin").json
        port = self.site.servers[-1].port
        for password, message in (("password1", "uppercase"), ("Password1", "special"),
                                  ("Password!", "digit"), ("Pw1!", "8 characters"), ("", "required")):
            weak = self.accept(port, "127.0.0." + str(20 + len(password)), made["invite_token"],
                               password)
            self.assertEqual(weak.status, 422, weak.body)
            self.assertIn(message, weak.message)
        accepted = self.accept(port, "127.0.0.40", made["invite_token"], PASSWORD)
        self.assertEqual((accepted.status, accepted.json), (200, {"success": True}))
        listed = [u for u in self.owner().get("/api/users").json if u["email"] == made["email"]]
        self.assertEqual([(u["role"], u["idp_id"], u["status"]) for u in listed],
                         [("network_admin", "local", "active")])
        self.assertNotIn(made["id"], [i["id"] for i in self.owner().get("/api/users/invites").json])
        again = self.accept(port, "127.0.0.41", made["invite_token"], PASSWORD)
        self.assertEqual((again.status, again.message), (404, "user invite not found"))

    def test_29_two_who_accept_one_invite(self):
        made = self.invite().json
        answers = []

        def accept(port, i):
            answers.append(self.accept(port, f"127.0.0.{50 + i}", made["invite_token"], PASSWORD))

        ports = [self.site.servers[0].port, self.site.servers[-1].port] * 2
        threads = [threading.Thread(target=accept, args=(port, i)) for i, port in enumerate(ports)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(answer.status for answer in answers),
                         [200] + [404] * (len(ports) - 1), [answer.body for answer in answers])
        listed = [u for u in self.owner().get("/api/users").json if u["email"] == made["email"]]
        self.assertEqual(len(listed), 1)

    def test_30_few_tries_per_address(self):
        statuses = [self.anonymous.raw("GET", "/api/users/invites/" + new_token("nbi_")).status
                    for _ in range(12)]
        self.assertIn(429, statuses)
        limited = self.anonymous.get("/api/users/invites/" + new_token("nbi_"), status=429,
                                     message="rate limit exceeded, please try again later")
        self.assertTrue(limited.header("Retry-After"))

    def test_31_regenerated(self):
        made = self.invite().json
        fresh = self.owner().post(f"/api/users/invites/{made['id']}/regenerate").json
        self.assertNotEqual(fresh["invite_token"], made["invite_token"])
        port = self.site.servers[-1].port
        look = lambda token, status: self.anonymous.at(port, "127.0.0.60").get(
            "/api/users/invites/" + token, status=status)
        look(made["invite_token"], 404)
        self.assertTrue(look(fresh["invite_token"], 200).json["valid"])
        self.owner().delete(f"/api/users/invites/{made['id']}")
        self.owner().delete(f"/api/users/invites/{made['id']}", status=404)

    def test_42_a_human_gets_a_password_once(self):
        body = {"email": "new@example.org", "name": "New", "role": "user", "auto_groups": [],
                "is_service_user": False}
        made = self.owner().post("/api/users", body).json
        self.assertGreaterEqual(len(made["password"]), 16)
        self.assertNotIn("idp_id", made)
        listed = [u for u in self.owner().get("/api/users").json if u["id"] == made["id"]]
        self.assertNotIn("password", listed[0])
        self.assertEqual(listed[0]["idp_id"], "local")
        self.owner().post("/api/users", {**body, "email": "NEW@example.org"}, status=409,
                          message="can't invite a user with an existing netbird account")
        self.owner().post("/api/users", {**body, "email": ""}, status=422,
                          message="email can't be empty")
        self.owner().post("/api/users", {**body, "role": "owner", "email": "o@example.org"},
                          status=422, message="can't invite a user with owner role")
        self.owner().delete(f"/api/users/{made['id']}")
        self.owner().post("/api/users", body)  # the address is free again

    def test_48_passwords(self):
        current = self.owner().get("/api/users/current").json["id"]
        other = [u["id"] for u in self.owner().get("/api/users").json if u["id"] != current][0]
        body = {"old_password": PASSWORD, "new_password": "Another-Password-2"}
        self.owner().put(f"/api/users/{other}/password", body, status=422,
                         message="failed to update password")
        path = f"/api/users/{current}/password"
        self.owner().put(path, {**body, "old_password": ""}, status=422,
                         message="old password is required")
        self.owner().put(path, {**body, "new_password": "weak"}, status=422,
                         message="failed to update password")
        self.owner().put(path, {**body, "old_password": "wrong-Password-1"}, status=422)
        self.owner().put(path, body)
        events = self.owner().get("/api/events/audit").json
        self.assertIn("user.password.change", [e["activity_code"] for e in events])

    def test_mfa_of_local_users_is_a_setting(self):
        """contract/auth-idp.md §3.6: events 123 and 124, and only when it really changes."""
        account = self.owner().get("/api/accounts").json[0]
        settings = account["settings"]
        self.assertTrue(settings["embedded_idp_enabled"])
        self.assertFalse(settings["local_mfa_enabled"])
        events = lambda: [e["activity_code"] for e in self.owner().get("/api/events/audit").json
                          if "mfa" in e["activity_code"]]
        for wanted in (True, True, False):
            settings["local_mfa_enabled"] = wanted
            stored = self.owner().put("/api/accounts/" + account["id"], {"settings": settings}).json
            self.assertEqual(stored["settings"]["local_mfa_enabled"], wanted)
            self.assertEqual(self.owner().get("/api/accounts").json[0]["settings"]
                             ["local_mfa_enabled"], wanted)
        self.assertEqual(events(), ["account.setting.local.mfa.disable",
                                    "account.setting.local.mfa.enable"])

    def test_81_identity_providers(self):
        path = "/api/identity-providers"
        body = {"type": "keycloak", "name": "kc", "client_id": "c", "client_secret": "s",
                "issuer": "http://127.0.0.1:9/realms/x"}
        self.owner().post(path, body, status=422)
        for more, message in (({"name": ""}, "name is required"),
                              ({"type": "x"}, "unsupported identity provider type"),
                              ({"client_id": ""}, "client id is required"),
                              ({"issuer": "x"}, "issuer must be a valid url")):
            self.owner().post(path, {**body, **more}, status=422, message=message)
        self.owner().get(path + "/unknown", status=404, message="identity provider not found")
        self.owner().put(path + "/unknown", body, status=404)
        self.assertEqual(self.owner().get(path).json, [])


class SetupWithoutTokens(unittest.TestCase):
    """NB_SETUP_PAT_ENABLED is off, as it is by default."""

    def test_24_what_is_said_of_a_token_is_ignored(self):
        site = Deployment(engine(), os.environ["NB_BINARY_DIR"], embedded_settings())
        try:
            body = {"email": "o@example.org", "name": "O", "password": PASSWORD,
                    "create_pat": True, "pat_expire_in": 366}
            made = Client(site.port, description()).post("/api/setup", body).json
            self.assertEqual(sorted(made), ["email", "user_id"])
            # The account appears with the first login.
            self.assertEqual(int(site.database.run("SELECT COUNT(*) FROM accounts")), 0)
        finally:
            site.stop()
