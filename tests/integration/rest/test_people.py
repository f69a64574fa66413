"""contract/rest-api.md §11, cases 32 to 52 and 73 to 80: accounts, users, tokens, peers, events."""

import time

from case import Case, ZERO_TIME, name


class Accounts(Case):
    def settings(self):
        return self.owner.get("/api/accounts").json[0]["settings"]

    def put(self, settings, **more):
        return self.owner.put("/api/accounts/" + self.account, {"settings": settings}, **more)

    def test_32_one_account(self):
        found = self.owner.get("/api/accounts").json
        self.assertEqual(len(found), 1)
        self.assertIsInstance(found[0]["settings"]["extra"], dict)
        self.assertIn("network_range", found[0]["settings"])
        client, _ = self.member()
        client.get("/api/accounts", status=403, message="permission denied")

    def test_33_login_expiration(self):
        settings = self.settings()
        self.put({**settings, "peer_login_expiration": 3599}, status=422, message="one hour")
        self.put({**settings, "peer_login_expiration": 15552001}, status=422, message="180 days")
        serial = self.serial()
        self.put({**settings, "peer_login_expiration": 3600})
        self.assertGreater(self.serial(), serial)
        self.assertEqual(self.settings()["peer_login_expiration"], 3600)
        self.put(settings)

    def test_34_what_is_left_out_is_cleared(self):
        settings = self.settings()
        self.put({**settings, "jwt_groups_claim_name": "roles", "jwt_allow_groups": ["a"]})
        less = {k: v for k, v in settings.items()
                if k not in ("jwt_groups_claim_name", "jwt_allow_groups")}
        shown = self.put(less).json["settings"]
        self.assertEqual((shown["jwt_groups_claim_name"], shown["jwt_allow_groups"]), ("", []))

    def test_35_ipv6_groups(self):
        settings = self.settings()
        kept = settings["ipv6_enabled_groups"]
        self.assertEqual(kept, [self.all_group()["id"]])
        less = {k: v for k, v in settings.items() if k != "ipv6_enabled_groups"}
        self.assertEqual(self.put(less).json["settings"]["ipv6_enabled_groups"], kept)
        self.put({**settings, "ipv6_enabled_groups": ["gone"]}, status=422)
        self.assertEqual(self.put({**settings, "ipv6_enabled_groups": []}).json["settings"]
                         ["ipv6_enabled_groups"], [])
        self.assertTrue(self.events("account.setting.ipv6.disable"))
        self.put(settings)

    def test_36_ranges(self):
        settings = self.settings()
        for bad in ("10.0.0.0/29", "127.0.0.0/8", "nonsense", "fd00::/64", "169.254.0.0/16"):
            self.put({**settings, "network_range": bad}, status=422)
        peer = self.peer()
        shown = self.put({**settings, "network_range": "10.1.2.3/16"}).json["settings"]
        self.assertEqual(shown["network_range"], "10.1.0.0/16")
        self.assertTrue(self.owner.get(f"/api/peers/{peer}").json["ip"].startswith("10.1."))
        event = self.events("account.network.range.update")[0]
        self.assertEqual((event["meta"]["old_network_range"], event["meta"]["new_network_range"]),
                         (settings["network_range"], "10.1.0.0/16"))
        serial, count = self.serial(), len(self.events("account.network.range.update"))
        self.put({**settings, "network_range": "10.1.2.3/16"})
        self.assertEqual((self.serial(), len(self.events("account.network.range.update"))),
                         (serial, count))

    def test_37_auto_update(self):
        settings = self.settings()
        self.put({**settings, "auto_update_version": "banana"}, status=422,
                 message="invalid autoupdateversion")
        for good in ("latest", "0.60.1", "disabled"):
            self.assertEqual(self.put({**settings, "auto_update_version": good}).json["settings"]
                             ["auto_update_version"], good)

    def test_38_dns_domain(self):
        settings = self.settings()
        domain = name("taken") + ".example"
        self.owner.post("/api/dns/zones", {"name": name("z"), "domain": domain,
                                           "enable_search_domain": False,
                                           "distribution_groups": [self.all_group()["id"]]})
        self.put({**settings, "dns_domain": domain}, status=422,
                 message=f"peer dns domain {domain} conflicts with existing custom dns zone")
        self.put({**settings, "dns_domain": "not a domain"}, status=422)

    def test_39_only_the_owner_deletes(self):
        client, _ = self.member("admin")
        client.delete("/api/accounts/" + self.account, status=403,
                      message="only account owner can delete account")


class Users(Case):
    def put(self, client, user, role="user", blocked=False, groups=(), **more):
        body = {"role": role, "auto_groups": list(groups), "is_blocked": blocked}
        return client.put(f"/api/users/{user}", body, **more)

    def test_40_lists(self):
        client, user = self.member()
        self.assertEqual([u["id"] for u in client.get("/api/users").json], [user])
        self.owner.get("/api/users?service_user=maybe", status=422,
                       message="invalid service_user query parameter")
        _, svc = self.service_user("auditor")
        one = self.owner.get("/api/users?service_user=1").json
        self.assertEqual(one, self.owner.get("/api/users?service_user=true").json)
        self.assertIn(svc, [u["id"] for u in one])
        self.assertNotIn(svc, [u["id"] for u in
                               self.owner.get("/api/users?service_user=false").json])

    def test_41_service_users(self):
        body = {"name": "s", "role": "owner", "auto_groups": [], "is_service_user": True}
        self.owner.post("/api/users", body, status=422, message="owner role")
        self.owner.post("/api/users", {**body, "role": "x"}, status=422,
                        message="unknown user role x")
        made = self.owner.post("/api/users", {**body, "role": "auditor"}).json
        self.assertEqual((made["is_service_user"], made["last_login"], made["status"]),
                         (True, ZERO_TIME, "active"))

    def test_43_lists_and_groups(self):
        _, user = self.member()
        for body in ({"role": "user"}, {"role": "user", "auto_groups": None}):
            answer = self.owner.put(f"/api/users/{user}", body, status=400)
            self.assertEqual(answer.message, "auto_groups field can't be absent")
        self.put(self.owner, user, groups=[self.all_group()["id"]], status=422,
                 message="can't add all group to the user")
        self.put(self.owner, user, role="king", status=422, message="invalid user role")
        self.put(self.owner, "unknown", status=404, message="user: unknown not found")
        groups = [self.group()["id"] for _ in range(2)][::-1]
        self.assertEqual(self.put(self.owner, user, groups=groups).json["auto_groups"], groups)

    def test_44_roles(self):
        admin, admin_id = self.member("admin")
        _, other = self.member()
        self.put(admin, admin_id, role="user", status=403,
                 message="admins can't change their role")
        self.put(admin, other, role="owner", status=403,
                 message="only owners can add owner role to other users")
        self.put(admin, "owner-1", role="user", status=403,
                 message="only owners can remove owner role from their user")
        self.put(admin, "owner-1", role="owner", blocked=True, status=403,
                 message="unable to block owner user")
        plain, _ = self.member()
        self.put(plain, other, role="admin", status=403)

    def test_44_ownership_is_given_away_and_back(self):
        _, heir = self.member("admin")
        self.put(self.owner, heir, role="owner")
        self.assertEqual(self.owner.get("/api/users/current").json["role"], "admin")
        client = self.jwt_client(heir)
        self.assertTrue(self.events("transferred.owner.role"))
        self.put(client, "owner-1", role="owner")
        self.assertEqual(self.owner.get("/api/users/current").json["role"], "owner")

    def test_45_blocking_reaches_every_instance(self):
        client, user = self.member("admin")
        peer = self.peer(user, login_expiration_enabled=1 if self.site.engine == "sqlite"
                         else "true")
        self.put(self.owner, user, role="admin", blocked=True)
        for server in self.site.servers:
            client.at(server.port).get("/api/peers", status=403, message="user is blocked")
            client.at(server.port).get("/api/users/current", status=403, message="blocked")
        self.assertTrue(self.owner.get(f"/api/peers/{peer}").json["login_expired"])
        expired = [e for e in self.events("peer.login.expire") if e["target_id"] == peer]
        self.assertEqual(expired[0]["meta"]["reason"], "blocked owner account")
        self.assertTrue([e for e in self.events("user.block") if e["target_id"] == user])
        self.put(self.owner, user, role="admin")
        client.get("/api/peers")
        self.assertTrue([e for e in self.events("user.unblock") if e["target_id"] == user])

    def test_46_who_cannot_be_deleted(self):
        admin, _ = self.member("admin")
        self.owner.delete("/api/users/owner-1", status=422,
                          message="self deletion is not allowed")
        admin.delete("/api/users/owner-1", status=403,
                     message="can't delete a user with the owner role")
        self.owner.delete("/api/users/unknown", status=404, message="not found")
        stranger = name("stranger")
        self.db.run("INSERT INTO accounts (id, created_at) VALUES ('another', "
                    "'2026-01-01 00:00:00')")
        self.db.run("INSERT INTO users (id, account_id, role, is_service_user, blocked, issued, "
                    f"created_at) VALUES ('{stranger}', 'another', 'user', false, false, 'api', "
                    "'2026-01-01 00:00:00')")
        self.owner.delete("/api/users/" + stranger, status=404, message="not found")
        self.assertEqual(self.db.run(f"SELECT COUNT(*) FROM users WHERE id = '{stranger}'"), "1")
        self.db.run(f"DELETE FROM users WHERE id = '{stranger}'")
        self.db.run("DELETE FROM accounts WHERE id = 'another'")

    def test_47_approval(self):
        settings = self.owner.get("/api/accounts").json[0]["settings"]
        settings["extra"]["user_approval_required"] = True
        self.owner.put("/api/accounts/" + self.account, {"settings": settings})
        first, second = name("first"), name("second")
        for user in (first, second):
            self.jwt_client(user).get("/api/users/current", status=403)
        settings["extra"]["user_approval_required"] = False
        self.owner.put("/api/accounts/" + self.account, {"settings": settings})
        shown = self.owner.post(f"/api/users/{first}/approve").json
        self.assertEqual((shown["status"], shown["pending_approval"]), ("active", False))
        self.jwt_client(first).get("/api/users/current")
        self.owner.post(f"/api/users/{first}/approve", status=422,
                        message=f"user {first} is not pending approval")
        self.owner.delete(f"/api/users/{second}/reject")
        self.assertNotIn(second, [u["id"] for u in self.owner.get("/api/users").json])
        codes = [e["activity_code"] for e in self.events() if e["target_id"] == second]
        self.assertLessEqual({"user.reject", "user.delete"}, set(codes))

    def test_49_current(self):
        client, _ = self.service_user("admin")
        client.get("/api/users/current", status=403, message="permission denied")
        admin, _ = self.member("admin")
        shown = admin.get("/api/users/current").json
        modules = shown["permissions"]["modules"]
        self.assertEqual(len(modules), 16)
        self.assertEqual(modules["accounts"],
                         {"create": False, "read": True, "update": False, "delete": False})
        self.assertFalse(shown["permissions"]["is_restricted"])
        self.assertTrue(shown["is_current"])

    def test_50_billing(self):
        client, _ = self.member("billing_admin")
        self.assertEqual(client.get("/api/users/current").json["permissions"]["modules"], {})
        client.get("/api/policies", status=403, message="user role: billing_admin not found")
        client.get("/api/groups", status=403, message="user role: billing_admin not found")

    def test_51_52_tokens(self):
        _, human = self.member()
        body = {"name": "t", "expires_in": 30}
        self.owner.post(f"/api/users/{human}/tokens", body, status=403,
                        message="admin role required to perform this action")
        _, svc = self.service_user("user")
        path = f"/api/users/{svc}/tokens"
        self.owner.post(path, body)
        auditor, _ = self.service_user("auditor")
        auditor.post(path, body, status=403, message="permission denied")
        for days in (0, 366):
            self.owner.post(path, {**body, "expires_in": days}, status=422,
                            message="expiration has to be between 1 and 365")
        self.owner.post(path, {**body, "name": ""}, status=422,
                        message="token name can't be empty")
        made = self.owner.post(path, body).json["personal_access_token"]
        parse = lambda text: time.mktime(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
        self.assertEqual(parse(made["expiration_date"]) - parse(made["created_at"]), 30 * 86400)
        self.owner.get(f"/api/users/unknown/tokens", status=404)

    def test_service_users_read_everything(self):
        client, _ = self.service_user("user")
        for path in ("/api/peers", "/api/groups", "/api/policies", "/api/users", "/api/accounts",
                     "/api/setup-keys", "/api/events/audit", "/api/identity-providers"):
            client.get(path)
        client.post("/api/groups", {"name": name()}, status=403, message="permission denied")


class Peers(Case):
    def body(self, shown, **more):
        keys = ("name", "ssh_enabled", "login_expiration_enabled", "inactivity_expiration_enabled")
        return {**{key: shown[key] for key in keys}, **more}

    def test_73_names_and_expiry(self):
        first, second = self.peer(), self.peer()
        taken = self.owner.get(f"/api/peers/{first}").json
        shown = self.owner.get(f"/api/peers/{second}").json
        renamed = self.owner.put(f"/api/peers/{second}", self.body(shown, name=taken["name"])).json
        octets = shown["ip"].split(".")
        self.assertTrue(renamed["dns_label"].startswith(
            f"{taken['name']}-{octets[2]}-{octets[3]}."), renamed["dns_label"])
        self.owner.put(f"/api/peers/{second}", self.body(shown, login_expiration_enabled=True),
                       status=412, message="this peer hasn't been added with the sso login")

    def test_74_all_or_nothing(self):
        peer = self.peer()
        path, shown = f"/api/peers/{peer}", self.owner.get(f"/api/peers/{peer}").json
        self.owner.put(path, self.body(shown, name="other", ip="192.0.2.9"), status=422)
        head = ".".join(shown["ip"].split(".")[:2])
        self.owner.put(path, self.body(shown, ip=head + ".200.200", login_expiration_enabled=True),
                       status=412)
        self.assertEqual(self.owner.get(path).json, shown)
        moved = self.owner.put(path, self.body(shown, ip=head + ".200.201")).json
        self.assertEqual(moved["ip"], head + ".200.201")
        self.owner.put("/api/peers/unknown", self.body(shown), status=404, message="not found")
        self.owner.delete("/api/peers/unknown", status=404, message="not found")

    def test_75_deletion(self):
        peer, group = self.peer(), self.group()["id"]
        self.owner.put(f"/api/groups/{group}", {"name": name("g"), "peers": [peer]})
        self.owner.delete(f"/api/peers/{peer}")
        self.owner.get(f"/api/peers/{peer}", status=404, message="peer not found")
        self.assertEqual(self.owner.get(f"/api/groups/{group}").json["peers"], [])
        self.assertTrue([e for e in self.events("user.peer.delete") if e["target_id"] == peer])

    def test_76_what_users_see(self):
        client, user = self.member()
        foreign, own = self.peer(), self.peer(user)
        self.assertEqual([p["id"] for p in client.get("/api/peers").json], [own])
        self.assertIsNone(client.get("/api/peers").json[0]["groups"])
        client.get(f"/api/peers/{own}")
        client.get(f"/api/peers/{foreign}", status=403, message="permission denied")
        self.assertEqual(client.get(f"/api/peers/{foreign}/accessible-peers").json, [])
        client.get("/api/peers/unknown/accessible-peers", status=404)
        settings = self.owner.get("/api/accounts").json[0]["settings"]
        self.owner.put("/api/accounts/" + self.account,
                       {"settings": {**settings, "regular_users_view_blocked": True}})
        try:
            self.assertEqual(client.get("/api/peers").json, [])
            self.assertTrue(client.get("/api/users/current").json["permissions"]["is_restricted"])
            self.assertEqual(client.get(f"/api/peers/{own}/accessible-peers").json, [])
        finally:
            self.owner.put("/api/accounts/" + self.account, {"settings": settings})

    def test_filters_and_neighbours(self):
        peer, other = self.peer(), self.peer()
        shown = self.owner.get(f"/api/peers?name={peer}").json
        self.assertEqual([p["id"] for p in shown], [peer])
        self.assertEqual(shown[0]["accessible_peers_count"], 0)
        self.assertIn(peer, [p["id"] for p in
                             self.owner.get(f"/api/peers?ip={shown[0]['ip']}").json])
        near = [p["id"] for p in self.owner.get(f"/api/peers/{peer}/accessible-peers").json]
        self.assertIn(other, near)
        self.assertNotIn(peer, near)
        self.assertEqual(self.owner.get("/api/peers/unknown/accessible-peers").json, [])

    def test_77_jobs_of_peers_that_are_away(self):
        path = f"/api/peers/{self.peer()}/jobs"
        bundle = {"bundle_for": False, "bundle_for_time": 0, "log_file_count": 10,
                  "anonymize": False}
        job = lambda **more: {"workload": {"type": "bundle", "parameters": {**bundle, **more}}}
        self.owner.post(path, job(), status=400, message="peer not connected")
        self.owner.post(path, {"workload": {}}, status=400)
        self.owner.post(path, {"workload": {"type": "x"}}, status=400)
        self.owner.post(path, job(log_file_count=0), status=400)
        self.owner.post(path, job(bundle_for=True, bundle_for_time=6), status=400)
        self.assertEqual(self.owner.get(path).json, [])

    def test_78_a_bad_rule_leaves_no_peer(self):
        target = self.peer()
        before = len(self.owner.get("/api/peers").json)
        key = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE="
        body = {"name": "browser", "wg_pub_key": key, "rules": ["tcp/80", "nonsense"]}
        self.owner.post(f"/api/peers/{target}/temporary-access", body, status=422)
        self.assertEqual(len(self.owner.get("/api/peers").json), before)
        made = self.owner.post(f"/api/peers/{target}/temporary-access",
                               {**body, "rules": ["tcp/80", "icmp"]}).json
        self.assertEqual(made["rules"], ["tcp/80", "icmp"])
        self.assertTrue(self.owner.get(f"/api/peers/{made['id']}").json["ephemeral"])


class Events(Case):
    def test_79_an_event_names_its_people(self):
        client, user = self.member("admin")
        made = client.post("/api/groups", {"name": name("seen")}).json
        event = [e for e in self.events("group.add") if e["target_id"] == made["id"]][0]
        self.assertEqual(event, self.events()[0])
        self.assertTrue(event["id"].isdigit())
        self.assertTrue(all(isinstance(value, str) for value in event["meta"].values()))
        self.assertEqual((event["initiator_name"], event["initiator_email"]),
                         (user, user + "@example.org"))
        self.owner.delete(f"/api/users/{user}")
        again = [e for e in self.events("group.add") if e["target_id"] == made["id"]][0]
        self.assertEqual(again["initiator_email"], user + "@example.org")
        self.assertEqual(self.owner.get("/api/events").json, self.events())

    def test_80_places(self):
        client, _ = self.member()
        client.get("/api/locations/countries/xyz/cities", status=422,
                   message="invalid country code")
        client.get("/api/locations/countries", status=412,
                   message="geo location database is not initialized")

    def test_versions(self):
        client, _ = self.member()
        shown = client.get("/api/instance/version").json
        self.assertTrue(shown["management_current_version"])
        self.assertIs(shown["management_update_available"], False)
        self.assertEqual(len(shown), 2, "nobody is asked for newer releases unless told to")
