"""contract/rest-api.md §11, cases 53 to 72: keys, groups, policies, routes, networks, DNS."""

import threading

from case import Case, ZERO_TIME, name


class SetupKeys(Case):
    def key(self, **more):
        body = {"name": "k", "type": "reusable", "expires_in": 86400, "auto_groups": [],
                "usage_limit": 0, **more}
        return self.owner.post("/api/setup-keys", body).json

    def refused(self, message, **more):
        body = {"name": "k", "type": "reusable", "expires_in": 86400, "auto_groups": [],
                "usage_limit": 0, **more}
        self.owner.post("/api/setup-keys", body, status=422, message=message)

    def test_53_limits_and_expiry(self):
        self.refused("usage limit", type="one-off", usage_limit=2)
        self.refused("unknown setup key type x", type="x")
        self.refused("setup key name shouldn't be empty", name="")
        self.refused("", expires_in=-1)
        key = self.key(usage_limit=None, expires_in=0)
        self.assertEqual((key["usage_limit"], key["expires"], key["state"], key["valid"]),
                         (0, ZERO_TIME, "valid", True))
        self.assertEqual(self.key(type="one-off")["usage_limit"], 1)

    def test_54_the_secret_is_shown_once(self):
        key = self.key()
        self.assertRegex(key["key"], r"^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}$")
        shown = self.owner.get(f"/api/setup-keys/{key['id']}").json
        self.assertEqual(shown["key"], key["key"][:5] + "****")
        listed = [k for k in self.owner.get("/api/setup-keys").json if k["id"] == key["id"]]
        self.assertEqual(listed[0]["key"], key["key"][:5] + "****")

    def test_55_revoking(self):
        key = self.key()
        path = f"/api/setup-keys/{key['id']}"
        for _ in range(2):
            shown = self.owner.put(path, {"revoked": True, "auto_groups": []}).json
            self.assertEqual((shown["state"], shown["valid"]), ("revoked", False))
        revoked = [e for e in self.events("setupkey.revoke") if e["target_id"] == key["id"]]
        self.assertEqual(len(revoked), 1)
        self.owner.put(path, {"revoked": False, "auto_groups": []}, status=422, message="revoke")
        self.owner.put(path, {"revoked": True}, status=422,
                       message="setup key autogroups field is invalid")
        self.owner.put("/api/setup-keys/unknown", {"revoked": False, "auto_groups": ["nope"]},
                       status=422, message="nope")
        self.owner.put("/api/setup-keys/unknown", {"revoked": False, "auto_groups": []},
                       status=404, message="setup key: unknown not found")
        self.owner.get("/api/setup-keys/unknown", status=404, message="not found")
        self.owner.delete(path)
        self.owner.delete(path, status=404)

    def test_auto_groups_keep_their_order(self):
        groups = [self.group()["id"] for _ in range(3)][::-1]
        key = self.key(auto_groups=groups)
        self.assertEqual(key["auto_groups"], groups)
        self.refused("", auto_groups=[self.all_group()["id"]])


class Groups(Case):
    def test_56_names_members_and_removal(self):
        peer, other = self.peer(), self.group()
        made = self.group(peers=[peer])
        self.assertEqual([p["id"] for p in made["peers"]], [peer])
        self.assertEqual(made["issued"], "api")
        self.owner.post("/api/groups", {"name": made["name"]}, status=409,
                        message=f"group with name {made['name']} already exists")
        self.owner.post("/api/groups", {"name": ""}, status=422,
                        message="group name shouldn't be empty")
        path = f"/api/groups/{made['id']}"
        self.assertEqual(self.owner.put(path, {"name": other["name"]}).json["peers"], [])
        self.assertTrue([e for e in self.events("peer.group.delete")
                         if e["meta"].get("group_id") == made["id"] or e["target_id"] == peer])
        self.assertTrue([e for e in self.events("group.update")
                         if e["target_id"] == made["id"]])

    def test_57_what_cannot_be_deleted(self):
        made = self.group()
        policy = self.owner.post("/api/policies", {
            "name": "Policy Of Mixed Case", "enabled": True, "rules": [{
                "name": "r", "enabled": True, "action": "accept", "protocol": "all",
                "bidirectional": True, "sources": [made["id"]],
                "destinations": [made["id"]]}]}).json
        answer = self.owner.delete(f"/api/groups/{made['id']}", status=400)
        self.assertEqual(answer.message, "group has been linked to policy: Policy Of Mixed Case")
        self.owner.delete("/api/groups/unknown", status=400, message="not found")
        self.owner.delete(f"/api/groups/{self.all_group()['id']}", status=400,
                          message="deleting group ALL is not allowed")
        self.owner.delete(f"/api/policies/{policy['id']}")
        self.owner.delete(f"/api/groups/{made['id']}")
        self.owner.get(f"/api/groups/{made['id']}", status=404, message="not found")

    def test_58_by_name(self):
        self.assertEqual(len(self.owner.get("/api/groups?name=All").json), 1)
        self.owner.get("/api/groups?name=unknown", status=404, message="not found")

    def test_all_is_not_edited(self):
        path = f"/api/groups/{self.all_group()['id']}"
        self.owner.put(path, {"name": "x"}, status=422, message="updating group all is not allowed")
        self.owner.put("/api/groups/unknown", "{", status=404)


class Policies(Case):
    def body(self, *rules, **more):
        group = self.all_group()["id"]
        base = {"name": "r", "enabled": True, "action": "accept", "protocol": "tcp",
                "bidirectional": False, "sources": [group], "destinations": [group]}
        rules = [{key: value for key, value in {**base, **rule}.items() if value is not None}
                 for rule in rules]
        return {"name": name("p"), "description": "d", "enabled": True, "rules": rules, **more}

    def refused(self, message, *rules, **more):
        self.owner.post("/api/policies", self.body(*rules, **more), status=422, message=message)

    def test_59_sides(self):
        resource = {"id": "x", "type": "host"}
        self.refused("specify either sources or  source resources, not both",
                     {"sourceResource": resource})
        self.refused("specify either sources or source resources", {"sources": None})
        made = self.owner.post("/api/policies", self.body({"sources": ["unknown"]})).json
        self.assertEqual(made["rules"][0]["sources"], [])

    def test_60_ports(self):
        self.refused("valid port value is in 1..65535 range", {"ports": ["80", "70000"]})
        self.refused("for all or icmp protocol ports is not allowed",
                     {"protocol": "all", "ports": ["80"]})
        self.refused("specify either individual ports or port ranges, not both",
                     {"ports": ["80"], "port_ranges": [{"start": 1, "end": 2}]})
        self.refused("unknown protocol type: x", {"protocol": "x"})
        self.refused("unknown action type", {"action": "x"})
        self.refused("policy name shouldn't be empty", {}, name="")
        self.refused("policy rules shouldn't be empty")
        made = self.owner.post("/api/policies", self.body({"ports": ["443", "80"]})).json
        self.assertEqual(made["rules"][0]["ports"], ["443", "80"])
        self.assertNotIn("port_ranges", made["rules"][0])
        self.assertNotIn("sourceResource", made["rules"][0])

    def test_61_the_same_policy_is_not_stored_again(self):
        made = self.owner.post("/api/policies", self.body({"ports": ["80"]})).json
        body = {**made, "rules": [{**made["rules"][0], "sources": [self.all_group()["id"]],
                                   "destinations": [self.all_group()["id"]]}]}
        serial, count = self.serial(), len(self.events("policy.update"))
        self.owner.put(f"/api/policies/{made['id']}", body)
        self.assertEqual((self.serial(), len(self.events("policy.update"))), (serial, count))
        self.owner.put(f"/api/policies/{made['id']}", {**body, "name": name("q")})
        self.assertEqual(self.serial(), serial + 1)
        self.owner.put(f"/api/policies/{made['id']}",
                       {**body, "rules": [{**body["rules"][0], "id": "strange"}]}, status=422,
                       message="invalid rule id: strange")
        self.owner.put("/api/policies/unknown", body, status=404,
                       message="policy: unknown not found")

    def test_62_two_rules_have_two_ids(self):
        made = self.owner.post("/api/policies", self.body({"name": "a"}, {"name": "b"})).json
        self.assertEqual([r["name"] for r in made["rules"]], ["a", "b"])
        self.assertEqual(len({r["id"] for r in made["rules"]}), 2)
        self.assertEqual(self.owner.get(f"/api/policies/{made['id']}").json, made)
        self.assertEqual(made["rules"][0]["sources"][0]["name"], "All")

    def test_63_posture_checks(self):
        path = "/api/posture-checks"
        self.owner.post(path, {"name": "x"}, status=422, message="posture checks shouldn't be empty")
        self.owner.post(path, {"name": "", "checks": {"nb_version_check": {"min_version": "1.0"}}},
                        status=422, message="posture checks name shouldn't be empty")
        self.owner.post(path, {"name": name(), "checks": {"geo_location_check": {
            "action": "allow", "locations": [{"country_code": "DE"}]}}}, status=412)
        made = self.owner.post(path, {"name": name(), "checks": {
            "nb_version_check": {"min_version": "0.30.0"},
            "process_check": {"processes": [{"linux_path": "/bin/x"}]}}}).json
        self.assertEqual(made["checks"]["process_check"]["processes"],
                         [{"linux_path": "/bin/x", "mac_path": "", "windows_path": ""}])
        self.owner.post(path, {"name": made["name"], "checks": made["checks"]}, status=422,
                        message=f"posture checks with name {made['name']} already exists")
        policy = self.owner.post("/api/policies",
                                 self.body({}, source_posture_checks=[made["id"], "gone"])).json
        self.assertEqual(policy["source_posture_checks"], [made["id"]])
        self.owner.delete(f"{path}/{made['id']}", status=412,
                          message="posture checks have been linked to policy: " + policy["name"])
        self.owner.delete(f"/api/policies/{policy['id']}")
        self.owner.delete(f"{path}/{made['id']}")
        self.owner.get(f"{path}/{made['id']}", status=404, message="posture checks")


class Routes(Case):
    def body(self, **more):
        body = {"network_id": name("net"), "description": "", "enabled": True, "metric": 100,
                "masquerade": True, "groups": [self.all_group()["id"]], "keep_route": False,
                **more}
        return {key: value for key, value in body.items() if value is not None}

    def refused(self, message, **more):
        self.owner.post("/api/routes", self.body(**more), status=422, message=message)

    def test_64_rules_and_shapes(self):
        peer = self.peer()
        self.refused("only one of 'network' or 'domains' should be provided", peer=peer,
                     network="10.1.0.0/16", domains=["a.example"])
        self.refused("either 'network' or 'domains' should be provided", peer=peer)
        self.refused("either 'peer' or 'peer_groups'", network="10.1.0.0/16")
        for metric in (0, 10000):
            self.refused("metric should be between 1 and 9999", peer=peer, network="10.1.0.0/16",
                         metric=metric)
        self.refused("invalid network x", peer=peer, network="x")
        self.refused("identifier should be between 1 and 40 characters", peer=peer,
                     network="10.1.0.0/16", network_id="")
        self.refused("peer with id gone not found", peer="gone", network="10.1.0.0/16")
        made = self.owner.post("/api/routes", self.body(peer=peer, domains=["b\u00fccher.example"]))
        self.assertEqual((made.json["network"], made.json["network_type"], made.json["domains"]),
                         ("192.0.2.0/32", "Domain", ["b\u00fccher.example"]))
        made = self.owner.post("/api/routes", self.body(peer=peer, network="10.9.1.2/16")).json
        self.assertEqual((made["network"], made["network_type"]), ("10.9.0.0/16", "IPv4"))
        self.assertNotIn("peer_groups", made)
        self.assertNotIn("domains", made)
        self.assertNotIn("access_control_groups", made)
        group = self.group()["id"]
        made = self.owner.post("/api/routes",
                               self.body(peer_groups=[group], network="fd00:1::/64")).json
        self.assertEqual((made["peer"], made["peer_groups"], made["network_type"]),
                         ("", [group], "IPv6"))

    def test_65_a_destination_is_served_once_per_peer(self):
        peer = self.peer()
        self.owner.post("/api/routes", self.body(peer=peer, network="10.77.0.0/16"))
        self.owner.post("/api/routes", self.body(peer=peer, network="10.77.0.0/16"), status=409)
        body, statuses = self.body(peer=peer, network="10.78.0.0/16"), []

        def add(port):
            statuses.append(self.owner.at(port).raw("POST", "/api/routes", body).status)

        ports = [server.port for server in self.site.servers] * 2
        threads = [threading.Thread(target=add, args=(port,)) for port in ports]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(statuses), [200] + [409] * (len(ports) - 1))

    def test_66_unknown_routes(self):
        self.owner.delete("/api/routes/unknown", status=404,
                          message="failed to delete route unknown: route: unknown not found")
        self.owner.get("/api/routes/unknown", status=404, message="not found")


class Networks(Case):
    def network(self):
        return self.owner.post("/api/networks", {"name": name("net")}).json

    def resource(self, network, address, **more):
        body = {"name": name("res"), "address": address, "enabled": True, "groups": [], **more}
        return self.owner.post(f"/api/networks/{network}/resources", body)

    def test_67_addresses(self):
        network = self.network()["id"]
        for address, kind, shown in (("1.1.1.1", "host", "1.1.1.1/32"),
                                     ("192.168.0.0/24", "subnet", "192.168.0.0/24"),
                                     ("*.example.com", "domain", "*.example.com")):
            made = self.resource(network, address).json
            self.assertEqual((made["type"], made["address"]), (kind, shown))
        path = f"/api/networks/{network}/resources"
        self.owner.post(path, {"name": name(), "address": "not valid!", "groups": []}, status=422)
        self.owner.post(path, {"name": made["name"], "address": "1.2.3.4", "groups": []},
                        status=422, message="already exists")
        self.owner.post(path, {"name": name(), "address": "1.2.3.4", "groups": ["gone"]},
                        status=404)
        self.owner.get(f"/api/networks/other/resources/{made['id']}", status=404)
        self.assertIn(made["id"], [r["id"] for r in self.owner.get("/api/networks/resources").json])
        self.assertEqual(self.owner.get("/api/networks/unknown/resources").json, [])

    def test_68_routers(self):
        network, peer, group = self.network()["id"], self.peer(), self.group()["id"]
        path = f"/api/networks/{network}/routers"
        body = {"metric": 100, "masquerade": True, "enabled": False}
        self.owner.post(path, {**body, "peer": peer, "peer_groups": [group]}, status=400,
                        message="peer and peer_groups cannot be set at the same time")
        self.owner.post(path, body, status=400,
                        message="either peer or peer_groups must be provided")
        made = self.owner.post(path, {**body, "peer": peer}).json
        self.assertTrue(made["enabled"])
        self.assertNotIn("peer_groups", made)
        off = self.owner.put(f"{path}/{made['id']}", {**body, "peer": peer}).json
        self.assertFalse(off["enabled"])
        self.owner.get(f"/api/networks/other/routers/{made['id']}", status=404)
        self.owner.delete(f"/api/peers/{peer}", status=412,
                          message=f"peer is linked to a network router: {made['id']}")  # 75
        shown = self.owner.get(f"/api/networks/{network}").json
        self.assertEqual((shown["routers"], shown["routing_peers_count"]), ([made["id"]], 1))

    def test_69_a_network_goes_with_everything(self):
        group = self.group()["id"]
        network = self.network()["id"]
        resource = self.resource(network, "10.5.5.5", groups=[group]).json
        router = self.owner.post(f"/api/networks/{network}/routers",
                                 {"peer": self.peer(), "metric": 1, "masquerade": False,
                                  "enabled": True}).json
        self.assertEqual(self.owner.get(f"/api/groups/{group}").json["resources"],
                         [{"id": resource["id"], "type": "host"}])
        self.owner.delete(f"/api/networks/{network}")
        self.assertEqual(self.owner.get(f"/api/groups/{group}").json["resources"], [])
        self.owner.get(f"/api/networks/{network}", status=404)
        codes = {e["activity_code"] for e in self.events()
                 if e["target_id"] in (network, resource["id"], router["id"])}
        self.assertLessEqual({"network.delete", "network.resource.delete",
                              "network.router.delete"}, codes)


class Dns(Case):
    def servers(self, *ips, **more):
        return {"name": name("ns"), "description": "", "enabled": True, "primary": True,
                "domains": [], "search_domains_enabled": False,
                "groups": [self.all_group()["id"]],
                "nameservers": [{"ip": ip, "ns_type": "udp", "port": 53} for ip in ips], **more}

    def test_70_name_servers(self):
        path = "/api/dns/nameservers"
        self.owner.post(path, self.servers("1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.1.4"), status=422,
                        message="the list of nameservers should be 1 or 3, got 4")
        self.owner.post(path, self.servers("1.1.1.1", domains=["a.example"]), status=422)
        self.owner.post(path, self.servers("1.1.1.1", primary=False), status=422)
        made = self.owner.post(path, self.servers("[2001:db8::1]")).json
        self.assertEqual(made["nameservers"], [{"ip": "2001:db8::1", "ns_type": "udp", "port": 53}])
        self.owner.post(path, {**self.servers("1.1.1.1"), "name": made["name"]}, status=422,
                        message="already exist")
        domains = ["z.example", "a.example"]
        made = self.owner.put(f"{path}/{made['id']}",
                              self.servers("9.9.9.9", primary=False, domains=domains)).json
        self.assertEqual(made["domains"], domains)
        self.owner.put(path + "/unknown", self.servers("1.1.1.1"), status=404)
        self.owner.delete(f"{path}/{made['id']}")
        self.owner.get(f"{path}/{made['id']}", status=404, message="nameserver group")

    def test_71_settings(self):
        path, group = "/api/dns/settings", self.group()["id"]
        self.owner.put(path, {"disabled_management_groups": ["gone"]}, status=422,
                       message="not found")
        for cleared in ([], None):
            self.owner.put(path, {"disabled_management_groups": [group]})
            self.assertEqual(self.owner.get(path).json["disabled_management_groups"], [group])
            self.assertEqual(self.owner.put(path, {"disabled_management_groups": cleared}).json,
                             {"disabled_management_groups": []})

    def test_72_zones_and_records(self):
        path, group = "/api/dns/zones", self.all_group()["id"]
        domain = name("zone") + ".example"
        body = {"name": name("z"), "domain": domain, "enable_search_domain": False,
                "distribution_groups": [group]}
        self.owner.post(path, {**body, "distribution_groups": []}, status=422,
                        message="at least one distribution group is required")
        zone = self.owner.post(path, body).json
        self.assertEqual((zone["records"], zone["enabled"]), ([], True))
        self.owner.post(path, {**body, "name": name("z")}, status=409,
                        message=f"zone with domain {domain} already exists")
        self.owner.put(f"{path}/{zone['id']}", {**body, "domain": "other.example"}, status=422,
                       message="zone domain cannot be updated")
        records = f"{path}/{zone['id']}/records"
        a = {"name": "www." + domain, "type": "A", "content": "10.0.0.1", "ttl": 60}
        self.owner.post(records, {**a, "name": "www.other.example"}, status=422,
                        message="record name does not belong to zone")
        self.owner.post(records, {**a, "content": "x"}, status=422)
        made = self.owner.post(records, a).json
        self.owner.post(records, a, status=409, message="identical record already exists")
        self.owner.post(records, {**a, "type": "CNAME", "content": "x.example"}, status=422)
        self.assertEqual(self.owner.get(records).json, [made])
        self.assertEqual(self.owner.get(f"{path}/{zone['id']}").json["records"], [made])
        self.assertEqual(self.owner.put(f"{records}/{made['id']}", {**a, "ttl": 5}).json["ttl"], 5)
        self.owner.get(f"{records}/unknown", status=404, message="dns record")
        self.owner.post(f"{path}/unknown/records", a, status=404)
        self.assertEqual(self.owner.get(f"{path}/unknown/records").json, [])
        self.owner.delete(f"{records}/{made['id']}")
        self.owner.delete(f"{path}/{zone['id']}")
        self.owner.get(f"{path}/{zone['id']}", status=404, message="zone")


class EqualPuts(Case):
    """What says nothing new is not stored, not told to peers and not put into the audit log."""

    def unchanged(self, path, body, other):
        made = self.owner.post(path, body).json
        one = f"{path}/{made['id']}"
        serial, events = self.serial(), len(self.events())
        again = self.owner.put(one, body).json
        self.assertEqual(again, made)
        self.assertEqual((self.serial(), len(self.events())), (serial, events), path)
        self.owner.put(one, {**body, **other})
        self.assertEqual((self.serial(), len(self.events())), (serial + 1, events + 1), path)
        return made["id"]

    def test_every_kind(self):
        group = self.group()["id"]
        self.unchanged("/api/posture-checks", {"name": name(), "description": "d", "checks": {
            "nb_version_check": {"min_version": "0.30.0"}}}, {"description": "e"})
        self.unchanged("/api/routes", {
            "network_id": name("net"), "description": "", "enabled": True, "metric": 100,
            "masquerade": True, "groups": [group], "keep_route": False, "peer": self.peer(),
            "network": "10.77.0.0/16"}, {"metric": 101})
        network = self.unchanged("/api/networks", {"name": name(), "description": "x"},
                                 {"description": "y"})
        self.unchanged(f"/api/networks/{network}/routers", {
            "peer": self.peer(), "metric": 5, "masquerade": True, "enabled": True}, {"metric": 6})
        self.unchanged(f"/api/networks/{network}/resources", {
            "name": name(), "address": "10.78.0.1", "enabled": True, "groups": [group]},
            {"enabled": False})
        self.unchanged("/api/dns/nameservers", {
            "name": name(), "description": "", "enabled": True, "primary": True, "domains": [],
            "search_domains_enabled": False, "groups": [group],
            "nameservers": [{"ip": "9.9.9.9", "ns_type": "udp", "port": 53}]}, {"enabled": False})
        domain = name("zone") + ".example"
        zone = self.unchanged("/api/dns/zones", {
            "name": name(), "domain": domain, "enabled": True, "enable_search_domain": False,
            "distribution_groups": [group]}, {"enable_search_domain": True})
        self.unchanged(f"/api/dns/zones/{zone}/records", {
            "name": "a." + domain, "type": "A", "content": "10.0.0.1", "ttl": 60}, {"ttl": 61})
