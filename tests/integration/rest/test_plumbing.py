"""contract/rest-api.md §11, cases 1 to 20: credentials, routing, bodies, limits."""

import datetime
import gzip
import http.client
import json
import time

from case import Case, engine, name
from client import Client
from servers import eventually
from tokens import new_token


class Credentials(Case):
    def refused(self, header, message):
        headers = {"Authorization": header} if header is not None else {}
        answer = self.anonymous.get("/api/peers", headers=headers, status=401)
        self.assertEqual(answer.json, {"message": message, "code": 401})

    def test_01_02_03_08_what_is_no_credential(self):
        self.refused(None, "no valid authentication provided")
        self.refused("Basic abc", "no valid authentication provided")
        self.refused("Bearer garbage", "token invalid")
        self.refused("Bearer a.b.c", "token invalid")
        self.refused("Token a b", "token invalid")
        self.refused("Token", "token invalid")

    def test_04_a_token_in_three_forms(self):
        token = self.insert_token("owner-1")
        for scheme in ("Token", "token", "Bearer"):
            self.anonymous.as_(f"{scheme} {token}").get("/api/groups")

    def test_05_06_07_bad_tokens_sound_the_same(self):
        token = self.insert_token("owner-1")
        altered = token[:10] + ("a" if token[10] != "a" else "b") + token[11:]
        unknown = new_token()
        expired = self.insert_token("owner-1", days=-1)
        for bad in (altered, unknown, expired, "nbp_short"):
            for server in self.site.servers:
                client = Client(server.port, self.anonymous.description, "Token " + bad)
                answer = client.get("/api/groups", status=401)
                self.assertEqual(answer.json, {"message": "token invalid", "code": 401})

    def test_07_a_deleted_token_is_dead_everywhere(self):
        made = self.owner.post("/api/users/owner-1/tokens", {"name": "x", "expires_in": 1}).json
        client = self.anonymous.as_("Token " + made["plain_token"])
        client.get("/api/groups")
        ident = made["personal_access_token"]["id"]
        self.owner.delete(f"/api/users/owner-1/tokens/{ident}")
        for server in self.site.servers:
            client.at(server.port).get("/api/groups", status=401)

    def test_09_last_used_appears_with_the_first_use(self):
        made = self.owner.post("/api/users/owner-1/tokens", {"name": "u", "expires_in": 1}).json
        path = f"/api/users/owner-1/tokens/{made['personal_access_token']['id']}"
        self.assertNotIn("last_used", self.owner.get(path).json)
        self.anonymous.as_("Token " + made["plain_token"]).get("/api/groups")
        self.assertIn("last_used", self.owner.get(path).json)

    def test_10_who_waits_for_approval_is_let_in_and_shown_nothing(self):
        account = self.owner.get("/api/accounts").json[0]
        account["settings"]["extra"]["user_approval_required"] = True
        self.owner.put("/api/accounts/" + self.account, {"settings": account["settings"]})
        try:
            client = self.jwt_client(name("waits"))
            client.get("/api/users/current", status=403, message="blocked")
            client.get("/api/peers", status=403, message="pending approval")
        finally:
            account["settings"]["extra"]["user_approval_required"] = False
            self.owner.put("/api/accounts/" + self.account, {"settings": account["settings"]})

    def test_11_without_an_allowed_group_nobody_comes_in(self):
        before = self.owner.get("/api/accounts").json[0]["settings"]
        settings = {**before, "jwt_groups_enabled": True, "jwt_groups_claim_name": "groups",
                    "jwt_allow_groups": ["staff"]}
        token = self.insert_token("owner-1")
        operator = self.anonymous.as_("Token " + token)
        operator.put("/api/accounts/" + self.account, {"settings": settings})
        try:
            user = name("guest")
            self.jwt_client(user, groups=["guests"]).get("/api/users", status=401,
                                                         message="token invalid")
            self.jwt_client(user, groups=["staff", "ops"]).get("/api/users")
            groups = operator.get("/api/groups").json
            self.assertEqual({g["name"] for g in groups if g.get("issued") == "jwt"} &
                             {"staff", "ops"}, {"staff", "ops"})
        finally:
            operator.put("/api/accounts/" + self.account, {"settings": before})

    def test_12_account_in_the_query_is_ignored(self):
        self.assertEqual(self.owner.get("/api/accounts?account=other").json[0]["id"], self.account)


class Routing(Case):
    def test_13_the_licence_probe_finds_nothing(self):
        for client in (self.anonymous, self.owner):
            answer = client.raw("GET", "/api/integrations/event-streaming")
            self.assertEqual(answer.status, 404)

    def test_14_unknown_methods_and_paths(self):
        for method, path in (("PATCH", "/api/peers"), ("HEAD", "/api/peers"),
                             ("GET", "/api/setup"), ("GET", "/api/peers/"),
                             ("DELETE", "/api/groups"), ("PATCH", "/api/users/current")):
            answer = self.anonymous.raw(method, path)
            self.assertEqual((method, answer.status), (method, 404))
            self.assertEqual(answer.header("Content-Type"), "text/plain; charset=utf-8")
            if method != "HEAD":
                self.assertEqual(answer.body, b"404 page not found\n")

    def test_paths_are_cleaned_by_a_redirect(self):
        answer = self.anonymous.raw("GET", "/api//groups?name=x")
        self.assertEqual((answer.status, answer.header("Location")), (301, "/api/groups?name=x"))
        answer = self.anonymous.raw("GET", "/api//x%0d%0aSet-Cookie:%20a=b")
        self.assertEqual(answer.header("Location"), "/api/x%0D%0ASet-Cookie%3A%20a%3Db")
        self.assertIsNone(answer.header("Set-Cookie"))
        answer = self.anonymous.raw("GET", "/api/./x/../groups")
        self.assertEqual((answer.status, answer.header("Location")), (301, "/api/groups"))

    def test_15_preflights_need_no_credentials(self):
        answer = self.anonymous.raw("OPTIONS", "/api/peers/x", headers={
            "Origin": "https://dash.example", "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "authorization, content-type"})
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.header("Access-Control-Allow-Origin"), "*")
        self.assertEqual(answer.header("Access-Control-Allow-Methods"), "PUT")
        self.assertEqual(answer.header("Access-Control-Allow-Headers"),
                         "authorization, content-type")
        self.assertEqual(self.anonymous.raw("OPTIONS", "/api/peers").status, 401)

    def test_16_cross_origin_answers(self):
        answer = self.owner.get("/api/groups", headers={"Origin": "https://dash.example"})
        self.assertEqual(answer.header("Access-Control-Allow-Origin"), "*")
        self.assertEqual(answer.header("Access-Control-Expose-Headers"), "X-Request-Id")
        answer = self.anonymous.get("/api/groups", headers={"Origin": "https://x"}, status=401)
        self.assertEqual(answer.header("Access-Control-Allow-Origin"), "*")

    def test_request_ids_are_fresh(self):
        ids = {self.owner.get("/api/groups", headers={"X-Request-Id": "mine"}).header(
            "X-Request-Id") for _ in range(4)}
        self.assertEqual(len(ids), 4)
        self.assertNotIn("mine", ids)

    def test_every_endpoint_wants_credentials(self):
        for path in ("/api/peers", "/api/groups", "/api/policies", "/api/routes", "/api/networks",
                     "/api/dns/nameservers", "/api/dns/settings", "/api/dns/zones", "/api/users",
                     "/api/users/current", "/api/users/invites", "/api/setup-keys",
                     "/api/accounts", "/api/events/audit", "/api/posture-checks",
                     "/api/identity-providers", "/api/locations/countries",
                     "/api/instance/version", "/api/ha/status"):
            self.anonymous.get(path, status=401, message="no valid authentication provided")

    def test_owners_see_the_servers(self):
        """The same as `ha status --json`; on SQLite one server with HA off reports itself."""
        self.anonymous.get("/api/ha/status", status=401)
        for role in ("admin", "auditor", "user"):
            self.member(role)[0].get("/api/ha/status", status=403, message="permission denied")
        self.service_user("auditor")[0].get("/api/ha/status", status=403)
        deadline = time.time() + 30
        while True:
            report = self.owner.get("/api/ha/status").json
            servers = [one for one in report["instances"] if one["service"] == "management"]
            if all(one["state"] == "serving" for one in servers) or time.time() > deadline:
                break
            time.sleep(0.2)
        shared = engine() == "postgres"
        self.assertEqual(report["ha"], shared)
        self.assertEqual(report["database"], {"engine": engine(), "status": "ok"})
        self.assertEqual(report["redis"], {"status": "ok" if shared else "off"})
        self.assertEqual(len(servers), 2 if shared else 1)
        for one in servers:
            self.assertTrue(one["alive"] and one["ready"], one)
            self.assertEqual(one["program"], "netbird-mgmt")
            self.assertGreater(one["alive_ms"], 0)
            self.assertGreaterEqual(one["uptime_s"], 0)


class Bodies(Case):
    def test_18_null_is_an_empty_object(self):
        self.owner.post("/api/users", "null", status=422)
        self.owner.put("/api/peers/unknown", "null", status=404)
        self.owner.post("/api/setup-keys", "null", status=422)
        self.owner.get("/api/groups")

    def test_19_too_much_and_too_little(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=30)
        connection.putrequest("POST", "/api/groups")
        connection.putheader("Content-Length", str(9 * 1024 * 1024))
        connection.endheaders(b'{"name": "')
        answer = connection.getresponse()
        self.assertEqual((answer.status, json.loads(answer.read())["code"]), (413, 413))
        connection.close()
        fits = self.owner.post("/api/groups", {"name": name(), "peers": ["x" * 20] * 300_000},
                               status=422)
        self.assertEqual(fits.json["code"], 422)
        for body in ('{"name": "a', "", "[]", "3", "{]", '{"name": 1}', '{"peers": "x"}',
                     '{"peers": [1]}', '{"name": "a", "name": "b"}', "[" * 100,
                     b'{"name":"\xff"}'):
            self.owner.post("/api/groups", body, status=400,
                            message="couldn't parse JSON request")

    def test_20_strange_members_and_cases(self):
        made = self.owner.post("/api/groups", {"NAME": name("Case"), "id": "x", "what": {"a": 1}})
        self.assertTrue(made.json["name"].startswith("Case"))
        made = self.owner.post("/api/groups", '{"name": "%s"} trailing' % name("trail"))
        self.assertTrue(made.json["name"].startswith("trail"))

    def test_integers_are_whole(self):
        for number in ("1.0", "1e2", "99999999999999999999", '"1"', "true"):
            self.owner.post("/api/setup-keys", '{"name":"x","type":"reusable","expires_in":%s}' %
                            number, status=400)

    def test_delete_may_have_a_body(self):
        for body in ('""', "{}"):
            made = self.group()
            self.assertEqual(self.owner.delete(f"/api/groups/{made['id']}", body).json, {})

    def test_markup_comes_back_as_text(self):
        evil = name("<script>alert('1')</script> \"; DROP TABLE peers; -- \u2028")
        made = self.owner.post("/api/groups", {"name": evil})
        self.assertEqual(made.json["name"], evil)
        self.assertNotIn(b"<script>", made.body)
        self.assertEqual(self.owner.get(f"/api/groups/{made.json['id']}").json["name"], evil)
        self.owner.delete(f"/api/groups/{made.json['id']}")


class Caching(Case):
    def test_lists_have_validators(self):
        self.group()
        first = self.owner.get("/api/groups")
        etag = first.header("ETag")
        again = self.owner.raw("GET", "/api/groups", headers={"If-None-Match": etag})
        self.assertEqual((again.status, again.body), (304, b""))
        self.group()
        self.owner.get("/api/groups", headers={"If-None-Match": etag})

    LISTS = {  # what shows in them, of which table
        "/api/peers": ("peers", "name"),
        "/api/groups": ("groups", "name"),
        "/api/policies": ("policies", "name"),
        "/api/posture-checks": ("posture_checks", "description"),
        "/api/routes": ("routes", "description"),
        "/api/networks": ("networks", "description"),
        "/api/networks/resources": ("network_resources", "description"),
        "/api/networks/routers": ("network_routers", "metric"),
        "/api/dns/nameservers": ("name_server_groups", "description"),
        "/api/dns/zones": ("zones", "name"),
    }

    def one_of_each(self):
        """Ids by the path of their list."""
        peer, group = self.peer(), self.group()["id"]
        network = self.owner.post("/api/networks", {"name": name()}).json["id"]
        made = {"/api/peers": peer, "/api/groups": group, "/api/networks": network}
        router = {"peer": peer, "metric": 100, "masquerade": True, "enabled": True}
        drafts = {
            "/api/policies": {"enabled": True, "rules": [{
                "name": name(), "enabled": True, "action": "accept", "bidirectional": True,
                "protocol": "all", "sources": [group], "destinations": [group]}]},
            "/api/posture-checks": {
                "description": "", "checks": {"nb_version_check": {"min_version": "0.30.0"}}},
            "/api/routes": {
                "network_id": name(), "description": "", "network": "10.77.0.0/24",
                "groups": [group], "keep_route": False, **router},
            "/api/networks/resources": {
                "address": "10.78.0.0/24", "enabled": True, "groups": [group]},
            "/api/networks/routers": router,
            "/api/dns/nameservers": {
                "description": "", "enabled": True, "primary": True, "domains": [],
                "search_domains_enabled": False, "groups": [group],
                "nameservers": [{"ip": "192.0.2.53", "ns_type": "udp", "port": 53}]},
            "/api/dns/zones": {
                "domain": name() + ".example.com", "enabled": True,
                "enable_search_domain": False, "distribution_groups": [group]},
        }
        for path, draft in drafts.items():
            of_network = path.replace("/networks/", f"/networks/{network}/")
            made[path] = self.owner.post(of_network, {"name": name(), **draft}).json["id"]
        return made

    def known(self, path, client=None):
        """An ETag that stands for the list as it is now; elsewhere somebody may be writing."""
        client = client or self.owner

        def again():
            etag = client.raw("GET", path).header("ETag")
            answer = client.raw("GET", path, headers={"If-None-Match": etag})
            if answer.status == 304:
                self.assertEqual((answer.body, answer.header("ETag")), (b"", etag), path)
                return etag
            return None
        return eventually(again)

    def test_a_list_that_is_known_is_not_sent_until_a_row_changes(self):
        """Whoever changes it: through the other instance, or by hand."""
        made = self.one_of_each()
        for path, (table, column) in self.LISTS.items():
            etag = self.known(path)
            before = self.owner.get(path)
            changed = "metric + 1" if column == "metric" else f"{column} || 'x'"
            self.db.run(f"UPDATE {table} SET {column} = {changed} WHERE id = '{made[path]}'")
            after = self.owner.get(path, headers={"If-None-Match": etag})
            self.assertNotEqual(before.body, after.body, path)
            self.assertNotEqual(etag, after.header("ETag"), path)

    def test_members_make_other_lists(self):
        made = self.one_of_each()
        peer, group = made["/api/peers"], made["/api/groups"]
        for path in ("/api/peers", "/api/groups", "/api/policies", "/api/networks/resources"):
            etag = self.known(path)
            self.db.run(f"INSERT INTO group_peers (account_id, group_id, peer_id) VALUES "
                        f"('{self.account}', '{group}', '{peer}')")
            self.owner.get(path, headers={"If-None-Match": etag})
            etag = self.known(path)
            self.db.run(f"DELETE FROM group_peers WHERE group_id = '{group}'")
            self.owner.get(path, headers={"If-None-Match": etag})

    def test_what_a_peer_is_doing_makes_another_list_of_peers_only(self):
        peer = self.peer()
        peers, groups = self.known("/api/peers"), self.known("/api/groups")
        self.db.run(f"UPDATE peers SET peer_status_connected = true WHERE id = '{peer}'")
        self.owner.get("/api/peers", headers={"If-None-Match": peers})
        if engine() == "postgres":
            self.owner.get("/api/groups", headers={"If-None-Match": groups}, status=304)

    def test_a_list_of_another_caller_is_not_known(self):
        self.peer()
        etag = self.known("/api/peers")
        member, _ = self.member()
        member.get("/api/peers", headers={"If-None-Match": etag})
        self.owner.get("/api/peers?name=peer", headers={"If-None-Match": etag})

    def test_a_login_that_ends_makes_another_list(self):
        """By time alone: no row says so."""
        _, user = self.member()
        path = f"/api/accounts/{self.account}"
        settings = self.owner.get("/api/accounts").json[0]["settings"]
        ends = {**settings, "peer_login_expiration_enabled": True, "peer_login_expiration": 3600}
        self.owner.put(path, {"settings": ends})
        try:
            began = (datetime.datetime.now(datetime.timezone.utc)
                     - datetime.timedelta(seconds=3600 - 4)).strftime("%Y-%m-%d %H:%M:%S")
            peer = self.peer(user, login_expiration_enabled="true", last_login=began)

            def shown(answer):
                return [p["login_expired"] for p in answer.json if p["id"] == peer][0]
            first = self.owner.get("/api/peers")
            self.assertFalse(shown(first))
            last = eventually(lambda: [a for a in [self.owner.raw("GET", "/api/peers", headers={
                "If-None-Match": first.header("ETag")})] if a.status == 200 and shown(a)])
            self.assertTrue(last)
        finally:
            self.owner.put(path, {"settings": settings})

    def test_large_answers_are_compressed_when_asked(self):
        for _ in range(12):
            self.group()
        plain = self.owner.get("/api/groups")
        self.assertIsNone(plain.header("Content-Encoding"))
        packed = self.owner.raw("GET", "/api/groups", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(packed.header("Content-Encoding"), "gzip")
        self.assertEqual(json.loads(gzip.decompress(packed.body)), plain.json)
        refused = self.owner.raw("GET", "/api/groups", headers={"Accept-Encoding": "gzip;q=0"})
        self.assertIsNone(refused.header("Content-Encoding"))

    def test_the_description_is_served(self):
        answer = self.anonymous.raw("GET", "/api/openapi.yaml")
        self.assertEqual(answer.status, 200)
        self.assertIn(b"openapi: 3.1.0", answer.body)
        page = self.anonymous.raw("GET", "/api/reference")
        self.assertEqual(page.status, 200)
        self.assertIn(b"/api/peers/{peerId}", page.body)
