"""What only a deployment with the embedded provider takes, with what it must not take."""

import unittest

import test_setup
from bad_input import Checks, add_tests
from case import description, name
from client import Client

GOOD = "Another-Password-2"


class BadSetupInput(Checks, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = test_setup.embedded()
        cls.db = cls.site.database
        cls.anonymous = Client(cls.site.port, description())
        cls.owner = cls.anonymous.as_("Token " + test_setup.setup_token())
        cls.user = cls.owner.get("/api/users/current").json["id"]
        cls.sent = 0

    def send(self, method, path, body):
        if not path.startswith("/api/setup") and not path.endswith("/accept"):
            return super().send(method, path, body)
        # Straight at one instance, each time from another address: few tries are given to each.
        BadSetupInput.sent += 1
        address = f"127.1.{self.sent // 250}.{self.sent % 250 + 1}"
        return self.anonymous.at(self.site.servers[-1].port, address).raw(method, path, body)

    def a_setup(self):
        return {"email": "other@example.org", "name": "Other", "password": GOOD,
                "create_pat": True, "pat_expire_in": 1}

    def an_invite(self):
        return {"email": name("in") + "@example.org", "name": "Invited", "role": "user",
                "auto_groups": [], "expires_in": 86_400}

    def invited(self):
        return self.owner.post("/api/users/invites", self.an_invite()).json

    def a_provider(self):
        return {"type": "oidc", "name": name("idp"), "issuer": "http://127.0.0.1:9/x",
                "client_id": "c", "client_secret": "s"}

    def a_human(self):
        return {"email": name("new") + "@example.org", "name": "New", "role": "user",
                "auto_groups": [], "is_service_user": False}

    def passwords(self):
        return {"old_password": "wrong-Password-1", "new_password": GOOD}

    # Well-formed, and refused all the same; a password may have been taken before.
    refused = ("/api/setup", "/api/identity-providers", "/password", "/accept")


add_tests(BadSetupInput, {
    "POST /api/setup": ("/api/setup", BadSetupInput.a_setup),
    "POST /api/identity-providers": ("/api/identity-providers", BadSetupInput.a_provider),
    "PUT /api/identity-providers/{idpId}":
        ("/api/identity-providers/0123456789abcdefghij", BadSetupInput.a_provider),
    "POST /api/users": ("/api/users", BadSetupInput.a_human),
    "POST /api/users/invites": ("/api/users/invites", BadSetupInput.an_invite),
    "POST /api/users/invites/{inviteId}/regenerate":
        (lambda c: f"/api/users/invites/{c.invited()['id']}/regenerate",
         lambda c: {"expires_in": 86_400}),
    "POST /api/users/invites/{token}/accept":
        (lambda c: f"/api/users/invites/{c.invited()['invite_token']}/accept",
         lambda c: {"password": GOOD}),
    "PUT /api/users/{userId}/password":
        (lambda c: f"/api/users/{c.user}/password", BadSetupInput.passwords),
})
