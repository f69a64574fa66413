"""contract/rest-api.md §11, cases 10 and 81: people of somebody else's provider."""

import unittest

from case import description
from client import Client
from outside import Browser, OutsideProvider
import test_setup

PATH = "/api/identity-providers"


class Others(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.site = test_setup.embedded()
        cls.anonymous = Client(cls.site.port, description())
        cls.owner = cls.anonymous.as_("Token " + test_setup.setup_token())
        cls.outside = OutsideProvider()

    @classmethod
    def tearDownClass(cls):
        cls.outside.stop()

    def body(self, **more):
        return {"type": "keycloak", "name": "Corp", "issuer": self.outside.issuer,
                "client_id": self.outside.client, "client_secret": self.outside.secret, **more}

    def connector(self):
        made = self.owner.post(PATH, self.body()).json
        self.addCleanup(self.owner.delete, f"{PATH}/{made['id']}")
        return made

    def log_in(self, connector):
        browser = Browser(self.anonymous)
        return browser.token(browser.through(self.outside, connector, test_setup.RETURN), test_setup.RETURN)

    def test_10_an_outsider_joins_the_account_of_set_up_and_waits(self):
        token = self.log_in(self.connector()["id"])
        for server in self.site.servers:
            outsider = self.anonymous.at(server.port).as_("Bearer " + token)
            outsider.get("/api/users/current", status=403, message="blocked")
            outsider.get("/api/peers", status=403, message="pending approval")
        self.assertEqual(self.site.database.run("SELECT COUNT(*) FROM accounts"), "1")
        found = [u for u in self.owner.get("/api/users").json
                 if u["email"] == self.outside.person["email"]]
        self.assertEqual([(u["role"], u["pending_approval"]) for u in found], [("user", True)])
        self.owner.delete(f"/api/users/{found[0]['id']}/reject")

    def test_81_the_secret_stays_where_it_is(self):
        made = self.connector()
        self.assertEqual(made["type"], "keycloak")
        one = f"{PATH}/{made['id']}"
        said = [self.owner.get(one).body, self.owner.get(PATH).body]
        self.log_in(made["id"])
        answer = self.owner.put(one, self.body(name="Corporation", client_secret=""))
        self.assertEqual(answer.json["name"], "Corporation")
        self.log_in(made["id"])
        self.outside.secret = "second-secret-of-the-client"
        browser = Browser(self.anonymous)
        refused = browser.through(self.outside, made["id"], test_setup.RETURN)
        self.assertEqual(refused.status, 502, refused.body)
        # In use at once, on every instance.
        self.owner.put(one, self.body(client_secret=self.outside.secret))
        for _ in self.site.servers:
            self.log_in(made["id"])
        said += [answer.body, refused.body, self.owner.get(one).body]
        for text in said:
            self.assertNotIn(b"-secret-of-the-client", text)
