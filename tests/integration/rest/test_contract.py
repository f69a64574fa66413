"""Lines of contract/rest-api.md that none of the cases of §11 is about."""

import http.client
import re

from case import Case, name

XID = r"^[0-9a-v]{20}$"


class Description(Case):
    def test_endpoints_are_those_of_the_description(self):
        page = self.anonymous.raw("GET", "/api/reference").body.decode()
        served = set(re.findall(r"<td>([A-Z]+)</td><td><code>([^<]+)</code>", page))
        unpack = lambda path: re.sub(r"\{\w+\}", "{}", path)
        described = {(method.upper(), unpack(path)) for path, item in
                     self.anonymous.description.document["paths"].items() for method in item
                     if method in ("get", "post", "put", "delete")}
        # A visitor's way back is for browsers and answers in plain text.
        own = {("GET", "/api/reverse-proxy/callback"), ("GET", "/api/openapi.yaml")}
        self.assertEqual({(m, unpack(p)) for m, p in served} - own, described - own)


class Accounts(Case):
    def test_an_answer_to_put_is_that_of_get(self):
        """§7.2: with what only the server knows, such as effective ranges."""
        path = "/api/accounts/" + self.account
        shown = self.owner.get("/api/accounts").json[0]
        self.assertEqual(self.owner.put(path, {"settings": shown["settings"]}).json, shown)
        bare = {key: value for key, value in shown["settings"].items()
                if not key.startswith("network_range")}
        self.assertEqual(self.owner.put(path, {"settings": bare}).json, shown)
        empty = {**shown["settings"], "network_range": ""}
        self.assertEqual(self.owner.put(path, {"settings": empty}).json, shown)

    def test_what_terraform_leaves_out_stays(self):
        path, before = "/api/accounts/" + self.account, self.owner.get("/api/accounts").json[0]
        kept = {"auto_update_always": True, "metrics_push_enabled": True,
                "dashboard_features": {"agent_network": True}}
        self.owner.put(path, {"settings": {**before["settings"], **kept}})
        less = {key: value for key, value in before["settings"].items()
                if key not in kept and key not in ("ipv6_enabled_groups", "local_mfa_enabled")}
        shown = self.owner.put(path, {"settings": less}).json["settings"]
        for key, value in kept.items():
            self.assertEqual(shown[key], value)
        self.assertEqual(shown["ipv6_enabled_groups"], before["settings"]["ipv6_enabled_groups"])
        off = {"auto_update_always": False, "metrics_push_enabled": False,
               "dashboard_features": {"agent_network": False}}
        self.owner.put(path, {"settings": {**before["settings"], **off}})

    def test_nothing_of_a_refused_change_is_kept(self):
        path, before = "/api/accounts/" + self.account, self.owner.get("/api/accounts").json[0]
        flags = {key: not value for key, value in before["onboarding"].items()}
        bad = {**before["settings"], "peer_login_expiration": 1}
        self.owner.put(path, {"settings": bad, "onboarding": flags}, status=422)
        auditor, _ = self.member("auditor")
        auditor.put(path, {"settings": before["settings"], "onboarding": flags}, status=403)
        self.assertEqual(self.owner.get("/api/accounts").json[0], before)


class Users(Case):
    def test_what_one_may_not_change_is_not_looked_up(self):
        plain, _ = self.member()
        for method, path in (("PUT", "/api/users/unknown"), ("DELETE", "/api/users/unknown"),
                             ("POST", "/api/users/unknown/approve"),
                             ("DELETE", "/api/users/unknown/reject")):
            plain.call(method, path, {"role": "user", "auto_groups": []}, status=403,
                       message="permission denied")


    def test_without_tokens_there_is_an_empty_list(self):
        made = self.owner.post("/api/users", {"name": name("svc"), "role": "user",
                                              "auto_groups": [], "is_service_user": True}).json
        self.assertEqual(self.owner.get(f"/api/users/{made['id']}/tokens").json, [])


class CrossOrigin(Case):
    def test_refusals_may_be_read_by_pages_of_other_origins(self):
        origin = {"Origin": "https://dash.example"}
        for method, path in (("GET", "/api/unknown"), ("PATCH", "/api/peers")):
            answer = self.anonymous.raw(method, path, headers=origin)
            self.assertEqual(answer.status, 404)
            self.assertEqual(answer.header("Access-Control-Allow-Origin"), "*")
        connection = http.client.HTTPConnection("127.0.0.1", self.site.port, timeout=30)
        connection.putrequest("POST", "/api/groups")
        connection.putheader("Content-Length", str(9 * 1024 * 1024))
        connection.endheaders(b'{"name": "')
        answer = connection.getresponse()
        self.assertEqual(answer.status, 413)
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "*")
        connection.close()


class Peers(Case):
    def test_an_unknown_address_is_an_empty_text(self):
        peer = self.peer(location_connection_ip="")
        self.assertEqual(self.owner.get(f"/api/peers/{peer}").json["connection_ip"], "")

    def test_a_peer_has_a_name(self):
        peer = self.peer()
        for more in ({"name": ""}, {}):
            self.owner.put(f"/api/peers/{peer}", {"ssh_enabled": False,
                                                  "login_expiration_enabled": False, **more},
                           status=422, message="name")


class Networks(Case):
    def test_a_router_of_another_network(self):
        first, second = (self.owner.post("/api/networks", {"name": name()}).json["id"]
                         for _ in range(2))
        body = {"peer": self.peer(), "metric": 1, "masquerade": True, "enabled": True}
        router = self.owner.post(f"/api/networks/{first}/routers", body).json["id"]
        wrong = f"/api/networks/{second}/routers/{router}"
        text = f"router {router} is not part of the network {second}"
        self.owner.get(wrong, status=404)
        self.owner.put(wrong, body, status=400, message=text)
        self.owner.delete(wrong, status=400, message=text)
        resource = self.owner.post(f"/api/networks/{first}/resources", {
            "name": name(), "address": "10.62.0.1", "enabled": True, "groups": []}).json["id"]
        wrong = f"/api/networks/{second}/resources/{resource}"
        for method in ("GET", "PUT", "DELETE"):
            self.owner.call(method, wrong, {"name": name(), "address": "10.62.0.2"}, status=404)


class Lists(Case):
    """§2.4 and §9: answers have the order that was sent, lists one that never changes."""

    def same(self, path, body, *members):
        made = self.owner.post(path, body).json
        one = f"{path}/{made['id']}"
        turned = {**body, **{member: body[member][::-1] for member in members}}
        changed = self.owner.put(one, turned).json
        for member in members:
            self.assertEqual(made[member], body[member], (path, member))
            self.assertEqual(changed[member], turned[member], (path, member))
            self.assertEqual(self.owner.get(one).json[member], turned[member], (path, member))
        self.assertRegex(made["id"], XID)
        return made["id"]

    def test_members_keep_the_order_that_was_sent(self):
        groups = [self.group()["id"] for _ in range(3)]
        groups = [groups[1], groups[0], groups[2]]
        self.same("/api/routes", {
            "network_id": name("net"), "description": "", "enabled": True, "metric": 100,
            "masquerade": True, "keep_route": False, "domains": ["z.example", "a.example"],
            "groups": groups, "peer_groups": groups, "access_control_groups": groups},
            "domains", "groups", "peer_groups", "access_control_groups")
        servers = [{"ip": ip, "ns_type": "udp", "port": 53} for ip in ("9.9.9.9", "1.1.1.1")]
        self.same("/api/dns/nameservers", {
            "name": name(), "description": "", "enabled": True, "primary": False,
            "search_domains_enabled": False, "domains": ["z.example", "a.example"],
            "groups": groups, "nameservers": servers}, "domains", "groups", "nameservers")
        self.same("/api/dns/zones", {
            "name": name(), "domain": name("zone") + ".example", "enable_search_domain": False,
            "distribution_groups": groups}, "distribution_groups")
        network = self.owner.post("/api/networks", {"name": name()}).json["id"]
        self.same(f"/api/networks/{network}/routers", {
            "peer_groups": groups, "metric": 5, "masquerade": True, "enabled": True},
            "peer_groups")
        for order in (groups, groups[::-1]):
            shown = self.owner.put("/api/dns/settings", {"disabled_management_groups": order})
            self.assertEqual(shown.json["disabled_management_groups"], order)
            self.assertEqual(self.owner.get("/api/dns/settings").json, shown.json)
        self.owner.put("/api/dns/settings", {"disabled_management_groups": []})

    def test_rules_keep_the_order_that_was_sent(self):
        groups = [self.group()["id"] for _ in range(2)][::-1]
        rule = {"enabled": True, "action": "accept", "protocol": "tcp", "bidirectional": False,
                "sources": groups, "destinations": groups}
        rules = [{**rule, "name": "z", "ports": ["443", "80"]},
                 {**rule, "name": "a", "port_ranges": [{"start": 9, "end": 10},
                                                       {"start": 1, "end": 2}]}]
        body = {"name": name("p"), "enabled": True, "description": ""}
        made = self.owner.post("/api/policies", {**body, "rules": rules}).json
        ids = lambda shown: [group["id"] for group in shown]
        for turn in (False, True, True):
            sent = [{**one, "id": shown["id"]} for one, shown in zip(rules, made["rules"])]
            if turn:
                sent = sent[::-1]
                for one in sent:
                    for member in ("ports", "port_ranges", "sources", "destinations"):
                        if member in one:
                            one[member] = one[member][::-1]
            made = self.owner.put(f"/api/policies/{made['id']}", {**body, "rules": sent}).json
            rules = [{**one, "id": None} for one in sent]
            self.assertEqual([r["name"] for r in made["rules"]], [r["name"] for r in sent])
            for shown, one in zip(made["rules"], sent):
                self.assertEqual(shown["id"], one["id"])
                for member in ("ports", "port_ranges"):
                    self.assertEqual(shown.get(member), one.get(member))
                self.assertEqual(ids(shown["sources"]), one["sources"])
                self.assertEqual(ids(shown["destinations"]), one["destinations"])
            self.assertEqual(self.owner.get(f"/api/policies/{made['id']}").json, made)

    def test_every_rule_shows_all_of_its_groups(self):
        network = self.owner.post("/api/networks", {"name": name()}).json["id"]
        group = self.group(peers=[self.peer()])["id"]
        self.owner.post(f"/api/networks/{network}/resources", {
            "name": name(), "address": "10.61.0.1", "enabled": True, "groups": [group]})
        rule = {"name": "r", "enabled": True, "action": "accept", "protocol": "tcp",
                "bidirectional": False, "sources": [group], "destinations": [group]}
        made = self.owner.post("/api/policies", {"name": name("p"), "enabled": True,
                                                 "rules": [rule, rule]}).json
        for shown in made["rules"]:
            for side in ("sources", "destinations"):
                self.assertEqual([(g["id"], g["peers_count"], g["resources_count"])
                                  for g in shown[side]], [(group, 1, 1)])

    def test_lists_have_one_order(self):
        for _ in range(3):
            self.group(peers=[self.peer()])
            self.service_user("user")
        for path in ("/api/groups", "/api/peers", "/api/policies", "/api/users",
                     "/api/setup-keys", "/api/networks", "/api/routes", "/api/dns/zones",
                     "/api/dns/nameservers", "/api/posture-checks"):
            found = {tuple(item["id"] for item in self.owner.at(server.port).get(path).json)
                     for server in self.site.servers for _ in range(2)}
            self.assertEqual(len(found), 1, path)
        ids = [item["id"] for item in self.owner.get("/api/groups").json]
        self.assertEqual(ids, sorted(ids))  # by the time that an id begins with
