"""Every endpoint that writes, with what it must not take: the contract's kinds of errors, nothing
written, nothing of it in an answer as markup, and the server goes on."""

import base64
import secrets
import unittest

from bad_input import Checks, add_tests
from case import Case, description, name

# With the embedded provider: test_setup_bad_input.py.
ELSEWHERE = {"POST /api/setup", "POST /api/identity-providers",
             "PUT /api/identity-providers/{idpId}", "POST /api/users/invites",
             "POST /api/users/invites/{inviteId}/regenerate",
             "POST /api/users/invites/{token}/accept", "PUT /api/users/{userId}/password"}


def writing_operations():
    return {f"{method.upper()} {path}" for path, item in description().document["paths"].items()
            for method in ("post", "put") if "requestBody" in item.get(method, {})}


class BadInput(Checks, Case):
    """One test per endpoint, made below from ENDPOINTS."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        one = cls()
        cls.machine, cls.one_group = one.peer(), one.group()["id"]

    def setUp(self):
        super().setUp()
        settings = self.owner.get("/api/accounts").json[0]["settings"]
        self.addCleanup(self.owner.put, "/api/accounts/" + self.account, {"settings": settings})

    # --- bodies that are right ----------------------------------------------------------------

    def a_group(self):
        return {"name": name(), "peers": [self.machine], "resources": []}

    def a_policy(self):
        check = self.owner.post("/api/posture-checks", self.a_check()).json["id"]
        rule = {"name": "r", "description": "d", "enabled": True, "action": "accept",
                "protocol": "tcp", "bidirectional": True, "ports": ["80"],
                "sources": [self.one_group], "destinations": [self.one_group]}
        return {"name": name("p"), "description": "d", "enabled": True,
                "source_posture_checks": [check], "rules": [rule]}

    def a_check(self):
        return {"name": name("c"), "description": "d", "checks": {
            "nb_version_check": {"min_version": "0.30.0"},
            "os_version_check": {"linux": {"min_kernel_version": "6.1.0"},
                                 "android": {"min_version": "13"}},
            "peer_network_range_check": {"ranges": ["10.0.0.0/8"], "action": "allow"},
            "process_check": {"processes": [{"linux_path": "/bin/x", "mac_path": "/bin/x",
                                             "windows_path": "C:\\x"}]}}}

    def a_route(self):
        return {"network_id": name("net"), "description": "d", "enabled": True, "metric": 100,
                "masquerade": True, "groups": [self.one_group], "keep_route": False,
                "peer": self.peer(), "network": f"10.{secrets.randbelow(200)}.0.0/16",
                "access_control_groups": [self.one_group], "skip_auto_apply": False}

    def a_domain_route(self):
        body = self.a_route()
        return {**{key: body[key] for key in body if key not in ("peer", "network")},
                "peer_groups": [self.group()["id"]], "domains": [name("d") + ".example"]}

    def a_network(self):
        return {"name": name("net"), "description": "d"}

    def network(self):
        return self.owner.post("/api/networks", self.a_network()).json["id"]

    def a_resource(self):
        return {"name": name("r"), "description": "d", "address": "10.5.0.1", "enabled": True,
                "groups": [self.one_group]}

    def a_router(self):
        return {"peer": self.machine, "metric": 100, "masquerade": True, "enabled": True}

    def servers(self):
        return {"name": name("ns"), "description": "d", "enabled": True, "primary": False,
                "domains": ["a.example"], "search_domains_enabled": True,
                "groups": [self.one_group],
                "nameservers": [{"ip": "9.9.9.9", "ns_type": "udp", "port": 53}]}

    def a_zone(self):
        return {"name": name("z"), "domain": name("zone") + ".example", "enabled": True,
                "enable_search_domain": False, "distribution_groups": [self.one_group]}

    def a_key(self):
        return {"name": "k", "type": "reusable", "expires_in": 86400,
                "auto_groups": [self.one_group], "usage_limit": 3, "ephemeral": False,
                "allow_extra_dns_labels": False}

    def a_service_user(self):
        return {"email": "", "name": name("svc"), "role": "user", "auto_groups": [self.one_group],
                "is_service_user": True}

    def a_service(self):
        machine = self.peer()
        return {"name": name("s"), "domain": name("app") + "." + self.cluster(), "mode": "http",
                "enabled": True, "pass_host_header": False, "rewrite_redirects": False,
                "private": False, "access_groups": [self.one_group],
                "access_restrictions": {"allowed_cidrs": ["10.0.0.0/8"],
                                        "blocked_cidrs": ["10.1.0.0/16"],
                                        "allowed_countries": ["DE"], "blocked_countries": ["FR"],
                                        "crowdsec_mode": "off"},
                "auth": {"password_auth": {"enabled": True, "password": "open sesame"},
                         "pin_auth": {"enabled": True, "pin": "123456"},
                         "bearer_auth": {"enabled": False,
                                         "distribution_groups": [self.one_group]},
                         "header_auths": [{"enabled": True, "header": "X-Key", "value": "v"}]},
                "targets": [{"target_id": machine, "target_type": "peer", "path": "/",
                             "protocol": "http", "port": 8080, "enabled": True,
                             "options": {"request_timeout": "30s", "skip_tls_verify": False,
                                         "path_rewrite": "preserve",
                                         "custom_headers": {"X-A": "b"}}}]}

    def settings(self):
        settings = self.owner.get("/api/accounts").json[0]["settings"]
        return {"settings": {**settings, "jwt_groups_claim_name": "groups",
                             "jwt_allow_groups": []}}

    def a_job(self):
        return {"workload": {"type": "bundle", "parameters": {
            "bundle_for": True, "bundle_for_time": 2, "log_file_count": 10, "anonymize": True}}}

    def of_peer(self):
        shown = self.owner.get(f"/api/peers/{self.machine}").json
        return {**{key: shown[key] for key in
                   ("name", "ssh_enabled", "login_expiration_enabled",
                    "inactivity_expiration_enabled", "ip")}, "approval_required": False}


def created(collection, body):
    def path(case):
        return f"{collection}/{case.owner.post(collection, body(case)).json['id']}"
    return path


def network_path(kind, body=None):
    def path(case):
        all_of = f"/api/networks/{case.network()}/{kind}"
        return created(all_of, body)(case) if body else all_of
    return path


def zone_path(body=None):
    def path(case):
        all_of = created("/api/dns/zones", BadInput.a_zone)(case) + "/records"
        case.domain = case.owner.get(all_of.rsplit("/", 1)[0]).json["domain"]
        return created(all_of, body)(case) if body else all_of
    return path


def zone_again(case):
    """A zone keeps its domain."""
    return {**case.a_zone(), "domain": case.domain}


def zone_itself(case):
    path = zone_path()(case)
    return path.rsplit("/", 1)[0]


def a_record(case):
    return {"name": name("a") + "." + case.domain, "type": "A", "content": "10.0.0.1", "ttl": 60}


def member_path(case):
    return "/api/users/" + case.member()[1]


def token_path(case):
    return f"/api/users/{case.service_user('user')[1]}/tokens"


def domain_body(case):
    return {"domain": name("d") + ".example.org", "target_cluster": case.cluster()}


def temporary(case):
    key = base64.b64encode(secrets.token_bytes(31) + b"\x40").decode()
    return {"name": name("t"), "rules": ["tcp/80"], "wg_pub_key": key}


ENDPOINTS = {
    "PUT /api/accounts/{accountId}": (lambda c: "/api/accounts/" + c.account, BadInput.settings),
    "POST /api/dns/nameservers": ("/api/dns/nameservers", BadInput.servers),
    "PUT /api/dns/nameservers/{nsgroupId}":
        (created("/api/dns/nameservers", BadInput.servers), BadInput.servers),
    "PUT /api/dns/settings":
        ("/api/dns/settings", lambda c: {"disabled_management_groups": [c.one_group]}),
    "POST /api/dns/zones": ("/api/dns/zones", BadInput.a_zone),
    "PUT /api/dns/zones/{zoneId}": (zone_itself, zone_again),
    "POST /api/dns/zones/{zoneId}/records": (zone_path(), a_record),
    "PUT /api/dns/zones/{zoneId}/records/{recordId}": (zone_path(a_record), a_record),
    "POST /api/groups": ("/api/groups", BadInput.a_group),
    "PUT /api/groups/{groupId}": (created("/api/groups", BadInput.a_group), BadInput.a_group),
    "POST /api/networks": ("/api/networks", BadInput.a_network),
    "PUT /api/networks/{networkId}":
        (created("/api/networks", BadInput.a_network), BadInput.a_network),
    "POST /api/networks/{networkId}/resources": (network_path("resources"), BadInput.a_resource),
    "PUT /api/networks/{networkId}/resources/{resourceId}":
        (network_path("resources", BadInput.a_resource), BadInput.a_resource),
    "POST /api/networks/{networkId}/routers": (network_path("routers"), BadInput.a_router),
    "PUT /api/networks/{networkId}/routers/{routerId}":
        (network_path("routers", BadInput.a_router), BadInput.a_router),
    "PUT /api/peers/{peerId}": (lambda c: "/api/peers/" + c.machine, BadInput.of_peer),
    "POST /api/peers/{peerId}/jobs":
        (lambda c: f"/api/peers/{c.machine}/jobs", BadInput.a_job),
    "POST /api/peers/{peerId}/temporary-access":
        (lambda c: f"/api/peers/{c.machine}/temporary-access", temporary),
    "POST /api/policies": ("/api/policies", BadInput.a_policy),
    "PUT /api/policies/{policyId}":
        (created("/api/policies", BadInput.a_policy), BadInput.a_policy),
    "POST /api/posture-checks": ("/api/posture-checks", BadInput.a_check),
    "PUT /api/posture-checks/{postureCheckId}":
        (created("/api/posture-checks", BadInput.a_check), BadInput.a_check),
    "POST /api/reverse-proxies/domains": ("/api/reverse-proxies/domains", domain_body),
    "POST /api/reverse-proxies/proxy-tokens":
        ("/api/reverse-proxies/proxy-tokens", lambda c: {"name": name("t"), "expires_in": 60}),
    "POST /api/reverse-proxies/services": ("/api/reverse-proxies/services", BadInput.a_service),
    "PUT /api/reverse-proxies/services/{serviceId}":
        (created("/api/reverse-proxies/services", BadInput.a_service), BadInput.a_service),
    "POST /api/routes": ("/api/routes", BadInput.a_route),
    "PUT /api/routes/{routeId}":
        (created("/api/routes", BadInput.a_domain_route), BadInput.a_domain_route),
    "POST /api/setup-keys": ("/api/setup-keys", BadInput.a_key),
    "PUT /api/setup-keys/{keyId}":
        (created("/api/setup-keys", BadInput.a_key),
         lambda c: {"revoked": False, "auto_groups": [c.one_group]}),
    "POST /api/users": ("/api/users", BadInput.a_service_user),
    "PUT /api/users/{userId}":
        (member_path, lambda c: {"role": "user", "auto_groups": [c.one_group],
                                 "is_blocked": False}),
    "POST /api/users/{userId}/tokens":
        (token_path, lambda c: {"name": name("t"), "expires_in": 30}),
}


add_tests(BadInput, ENDPOINTS)


class BadInputTable(unittest.TestCase):
    def test_every_operation_with_a_body_is_in_a_table(self):
        self.assertEqual(set(ENDPOINTS) | ELSEWHERE, writing_operations())
