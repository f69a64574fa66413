"""contract/rest-api.md §7.13, §7.16 and §11 case 82: the reverse proxy's administration."""

import secrets
import time

from case import Case, name

BASE = "/api/reverse-proxies"


class Proxies(Case):
    def body(self, domain, **more):
        if not hasattr(self, "machine"):
            self.machine = self.peer()
        return {"name": name("s"), "domain": domain, "enabled": True,
                "targets": [{"target_id": self.machine, "target_type": "peer", "protocol": "http",
                             "port": 8080, "enabled": True}], **more}

    def test_clusters(self):
        own = self.cluster(supports_custom_ports=True)
        ago = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - 600))
        shared = self.cluster(account=False, last_seen=ago)
        found = {c["address"]: c for c in self.owner.get(BASE + "/clusters").json}
        self.assertEqual((found[own]["type"], found[own]["online"],
                          found[own]["connected_proxies"], found[own]["supports_custom_ports"]),
                         ("account", True, 1, True))
        self.assertNotIn("private", found[own])
        self.assertEqual((found[shared]["type"], found[shared]["online"]), ("shared", False))
        self.owner.delete(f"{BASE}/clusters/{own}")
        self.owner.delete(f"{BASE}/clusters/{own}", status=404, message="cluster not found")
        self.owner.delete(f"{BASE}/clusters/{shared}", status=404)

    def test_a_visitor_without_a_state_of_ours_gets_nowhere(self):
        path = "/api/reverse-proxy/callback"
        for query in ("", "?state=a|b|c&code=d", "?state=%00&code=d", "?code=" + "x" * 5000):
            answer = self.anonymous.raw("GET", path + query)
            self.assertEqual((answer.status, answer.body), (400, b"Invalid state parameter\n"))
            self.assertTrue(answer.headers["content-type"].startswith("text/plain"))

    def test_tokens_of_proxies(self):
        path = BASE + "/proxy-tokens"
        self.owner.post(path, {"name": ""}, status=400, message="name is required")
        self.owner.post(path, {"name": "x" * 256}, status=400, message="255")
        self.owner.post(path, {"name": "x", "expires_in": -1}, status=400,
                        message="expires_in must be non-negative")
        made = self.owner.post(path, {"name": "edge"}).json
        self.assertRegex(made["plain_token"], r"^nbx_\w{36}$")
        self.assertNotIn("expires_at", made)
        self.assertIn("expires_at", self.owner.post(path, {"name": "t", "expires_in": 60}).json)
        listed = {t["id"]: t for t in self.owner.get(path).json}
        self.assertNotIn("plain_token", listed[made["id"]])
        self.assertFalse(listed[made["id"]]["revoked"])
        stored = self.db.run(f"SELECT hashed_token FROM proxy_access_tokens WHERE id = "
                             f"'{made['id']}'")
        self.assertNotIn(made["plain_token"], stored)
        self.owner.delete(f"{path}/{made['id']}")
        listed = {t["id"]: t for t in self.owner.get(path).json}
        self.assertTrue(listed[made["id"]]["revoked"])
        self.owner.delete(path + "/unknown", status=404, message="token not found")

    def test_domains(self):
        path = BASE + "/domains"
        cluster = self.cluster(private=True)
        domain = name("d") + ".example.org"
        self.owner.post(path, {"domain": domain, "target_cluster": "no.example.net"}, status=422,
                        message="not available")
        self.owner.post(path, {"domain": "no dots", "target_cluster": cluster}, status=422)
        made = self.owner.post(path, {"domain": domain, "target_cluster": cluster}).json
        self.assertEqual((made["domain"], made["type"], made["validated"], made["target_cluster"],
                          made["supports_private"]), (domain, "custom", False, cluster, True))
        self.owner.post(path, {"domain": domain, "target_cluster": cluster}, status=409)
        listed = {d["domain"]: d for d in self.owner.get(path).json}
        self.assertEqual((listed[cluster]["type"], listed[cluster]["id"],
                          listed[cluster]["validated"]), ("free", "", True))
        self.owner.get(f"{path}/{made['id']}/validate", status=202)
        self.assertFalse({d["domain"]: d for d in self.owner.get(path).json}[domain]["validated"])
        self.owner.get(path + "/unknown/validate", status=404)
        self.assertEqual(self.events("domain.add")[0]["meta"]["domain"], domain)
        self.owner.delete(f"{path}/{made['id']}", status=204)
        self.owner.delete(f"{path}/{made['id']}", status=404)
        self.assertEqual(self.events("domain.delete")[0]["target_id"], made["id"])

    def test_a_service_and_its_secrets(self):
        path = BASE + "/services"
        cluster = self.cluster()
        domain = name("app") + "." + cluster
        auth = {"password_auth": {"enabled": True, "password": "open sesame"},
                "header_auths": [{"enabled": True, "header": "X-Key", "value": "topsecret"}]}
        before = self.serial()
        reply = self.owner.post(path, self.body(domain, auth=auth, access_restrictions={
            "allowed_countries": ["de"], "blocked_cidrs": ["10.0.0.0/8"]}))
        made = reply.json
        self.assertGreater(self.serial(), before)
        self.assertEqual((made["mode"], made["proxy_cluster"], made["meta"]["status"]),
                         ("http", cluster, "pending"))
        self.assertEqual(made["targets"][0]["host"],
                         self.owner.get(f"/api/peers/{self.machine}").json["ip"])
        self.assertEqual(made["access_restrictions"],
                         {"allowed_countries": ["DE"], "blocked_cidrs": ["10.0.0.0/8"]})
        one = f"{path}/{made['id']}"
        for text in (reply.body, self.owner.get(one).body, self.owner.get(path).body):
            self.assertNotIn(b"sesame", text)
            self.assertNotIn(b"topsecret", text)
            self.assertNotIn(b"argon2", text)
        stored = lambda: self.db.run(f"SELECT auth FROM services WHERE id = '{made['id']}'")
        self.assertIn("$argon2id$", stored())
        hashes = stored()
        kept = {"password_auth": {"enabled": True, "password": ""},
                "header_auths": [{"enabled": True, "header": "x-key", "value": ""}]}
        self.owner.put(one, self.body(domain, auth=kept))
        self.assertEqual(stored().replace("x-key", "X-Key"), hashes)
        self.owner.put(one, self.body(domain, auth={"pin_auth": {"enabled": True, "pin": ""}}),
                       status=422, message="pin_auth: pin is required")
        self.assertEqual(stored().replace("x-key", "X-Key"), hashes)
        self.owner.put(one, self.body(domain, mode="tcp"), status=422, message="cannot change mode")
        key = self.db.run(f"SELECT session_private_key FROM services WHERE id = '{made['id']}'")
        self.assertGreater(len(key), 80)
        self.owner.delete(one)
        self.owner.get(one, status=404, message="service not found")
        self.owner.put(one, self.body(domain), status=404)
        targets = self.db.run(f"SELECT COUNT(*) FROM targets WHERE service_id = '{made['id']}'")
        self.assertEqual(int(targets), 0)
        codes = [e["activity_code"] for e in self.events() if e["target_id"] == made["id"]]
        self.assertEqual(sorted(codes), ["service.create", "service.delete", "service.update"])

    def test_what_a_service_may_not_be(self):
        path = BASE + "/services"
        cluster = self.cluster()
        domain = name("bad") + "." + cluster

        def refused(message, status=422, **more):
            body = {**self.body(domain), **more}
            self.owner.post(path, body, status=status, message=message)

        target = self.body(domain)["targets"][0]
        refused("name is required", name="")
        refused("at least one target", targets=[])
        refused("domain is required", domain="")
        refused("unsupported mode", mode="gopher")
        refused("listen_port is not supported", listen_port=443)
        refused("access group", private=True)
        refused("not found in account", targets=[{**target, "target_id": "nobody"}])
        refused("target_type", targets=[{**target, "target_type": "moon"}])
        refused("hop-by-hop",
                targets=[{**target, "options": {"custom_headers": {"Connection": "x"}}}])
        refused("managed by the proxy",
                targets=[{**target, "options": {"custom_headers": {"Cookie": "x"}}}])
        refused("not a duration", targets=[{**target, "options": {"request_timeout": "soon"}}])
        refused("host bits set", access_restrictions={"allowed_cidrs": ["10.0.0.1/8"]})
        refused("2-letter", access_restrictions={"allowed_countries": ["Germany"]})
        refused("exactly one target", mode="tcp", targets=[target, target])
        refused("auth is not supported", mode="udp",
                auth={"pin_auth": {"enabled": True, "pin": "123456"}})
        refused("password is required",
                auth={"password_auth": {"enabled": True, "password": ""}})
        self.owner.post(path, self.body("app.nowhere.example"), status=412,
                        message="could not derive cluster")
        self.owner.post(path, b'{"name": 1}', status=400)
        rows = self.db.run(f"SELECT COUNT(*) FROM services WHERE domain = '{domain}'")
        self.assertEqual(int(rows), 0)

    def test_domains_and_ports_belong_to_one_service(self):
        path = BASE + "/services"
        plain, ports = self.cluster(), self.cluster(supports_custom_ports=True)
        first = self.owner.post(path, self.body("a." + plain)).json
        self.owner.post(path, self.body("a." + plain), status=409, message="domain already taken")
        self.owner.post(path, self.body("b." + plain, mode="tcp", listen_port=5000), status=422,
                        message="custom ports not supported")
        given = self.owner.post(path, self.body("b." + plain, mode="tcp")).json
        self.assertTrue(given["port_auto_assigned"])
        self.assertTrue(10000 <= given["listen_port"] <= 49151)
        again = self.owner.put(f"{path}/{given['id']}", self.body("b." + plain, mode="tcp")).json
        self.assertEqual(again["listen_port"], given["listen_port"])
        self.owner.post(path, self.body("c." + ports, mode="udp", listen_port=5000))
        self.owner.post(path, self.body("d." + ports, mode="udp", listen_port=5000), status=409,
                        message="already in use")
        self.owner.post(path, self.body("e." + ports, mode="tls"), status=422,
                        message="listen_port is required")
        for domain in ("f.", "g."):  # TLS services share a port
            self.owner.post(path, self.body(domain + ports, mode="tls", listen_port=443))
        self.db.run(f"UPDATE services SET terminated = true WHERE id = '{first['id']}'")
        self.owner.put(f"{path}/{first['id']}", self.body("a." + plain), status=403,
                       message="terminated")

    def test_who_may(self):
        member, _ = self.member()
        for path in ("/clusters", "/domains", "/proxy-tokens", "/services"):
            member.get(BASE + path, status=403)
        member.post(BASE + "/proxy-tokens", {"name": "x"}, status=403, message="permission denied")
        member.get("/api/events/proxy", status=403)

    def test_82_log_of_accesses(self):
        user = self.member()[1]
        for i in range(60):
            self.db.run(
                "INSERT INTO access_log_entries (id, account_id, service_id, timestamp, method, "
                "host, path, duration, status_code, location_connection_ip, user_id, bytes_upload, "
                f"bytes_download) VALUES ('{secrets.token_hex(8)}', '{self.account}', 'svc', "
                f"'2026-03-01 00:00:{i:02}+00:00', 'GET', 'h{i % 2}.example', '/p_{i}', 2500000, "
                f"{200 if i % 3 else 500}, '\"203.0.113.{i}\"', '{user}', 1, 2)")
        page = self.owner.get("/api/events/proxy?page_size=1000&sort_by=bogus&page=-1").json
        self.assertEqual((page["page"], page["page_size"], page["total_records"],
                          page["total_pages"]), (1, 100, 60, 1))
        times = [e["timestamp"] for e in page["data"]]
        self.assertEqual(times, sorted(times, reverse=True))
        first = page["data"][0]
        self.assertEqual((first["source_ip"], first["duration_ms"], first["host"]),
                         ("203.0.113.59", 2, "h1.example"))
        count = lambda query: self.owner.get("/api/events/proxy?" + query).json["total_records"]
        self.assertEqual(count("host=h1.example"), 30)
        self.assertEqual(count("status=failed"), 20)
        self.assertEqual(count("status=success"), 40)
        self.assertEqual(count("status_code=500"), 20)
        self.assertEqual(count("path=/p_5"), 11)  # the underscore is itself
        self.assertEqual(count("path=%25"), 0)
        self.assertEqual(count("source_ip=203.0.113.7"), 1)
        self.assertEqual(count("search=203.0.113.7"), 1)
        self.assertEqual(count("start_date=2026-03-01T00:00:50Z"), 10)
        self.assertEqual(count("end_date=nonsense"), 60)
        self.assertEqual(count("user_email=" + user.upper()), 60)
        self.assertEqual(count("user_name=nobody-such"), 0)
        second = self.owner.get("/api/events/proxy?page=2&page_size=50&sort_order=asc").json
        self.assertEqual((len(second["data"]), second["total_pages"]), (10, 2))
        self.assertEqual(self.owner.get("/api/events/proxy?page=9").json["data"], [])
