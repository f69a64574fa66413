"""Somebody else's OpenID provider with one person, who is logged in there already; and a browser
that goes there and back."""

import base64
import hashlib
import html
import re
import secrets
import urllib.parse

from tokens import Provider, unpadded

VERIFIER = "v" * 64


def argument(url, name):
    """Of the query; None where it is not there."""
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query)).get(name)


class OutsideProvider(Provider):
    client, secret = "nb", "first-secret-of-the-client"

    def __init__(self):
        super().__init__()
        self.codes = {}
        self.person = {"sub": "outsider-1", "email": "out@corp.example", "name": "Outsider"}
        self.userinfo = {}

    def get(self, path):
        where, _, query = path.partition("?")
        if where == "/userinfo":
            return 200, {}, self.userinfo
        if where != "/auth":
            return super().get(path)
        asked = {k: v[0] for k, v in urllib.parse.parse_qs(query).items()}
        code = secrets.token_hex(16)
        self.codes[code] = asked
        back = urllib.parse.urlencode({"code": code, "state": asked["state"]})
        return 302, {"Location": f"{asked['redirect_uri']}?{back}"}, {}

    def post(self, path, form, authorization):
        if authorization.startswith("Basic "):
            pair = base64.b64decode(authorization[6:]).decode().split(":")
            client, secret = (urllib.parse.unquote_plus(part) for part in pair)
        else:
            client, secret = form.get("client_id"), form.get("client_secret")
        if path != "/token" or (client, secret) != (self.client, self.secret):
            return 401, {}, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code"), None)
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri"):
            return 400, {}, {"error": "invalid_grant"}
        claims = {**self.person, "aud": client, "nonce": asked.get("nonce", "")}
        token = self.jwt(claims.pop("sub"), email_verified=True, **claims)
        return 200, {}, {"access_token": token, "id_token": token, "token_type": "Bearer"}


class Browser:
    """Follows redirects wherever they lead; what is the issuer's goes to the deployment."""

    def __init__(self, client, address=None):
        self.client = client.at(client.port, address).as_(None)
        self.jar = {}

    def go(self, url, method="GET", form=None):
        parts = urllib.parse.urlsplit(url)
        path = parts.path + ("?" + parts.query if parts.query else "")
        headers = {"Cookie": "; ".join(f"{k}={v}" for k, v in self.jar.items())}
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form)
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        answer = self.client.raw(method, path, body, headers)
        for cookie in answer.headers.get_all("Set-Cookie") or []:
            key, _, value = cookie.split(";")[0].partition("=")
            self.jar[key] = value
        return answer

    def ask(self, back, **more):
        """The answer to a client's request."""
        challenge = unpadded(hashlib.sha256(VERIFIER.encode()).digest())
        query = urllib.parse.urlencode({
            "client_id": "netbird-dashboard", "redirect_uri": back, "response_type": "code",
            "scope": "openid profile email groups", "state": "s", "code_challenge": challenge,
            "code_challenge_method": "S256", **more})
        start = self.go("/oauth2/auth?" + query)
        assert start.status in (302, 303), start.body
        return start

    def begin(self, back):
        """The login page."""
        return self.go(self.ask(back).header("Location"))

    def log_in(self, email, password, back):
        """The answer to a right password."""
        login = self.ask(back, prompt="login").header("Location")
        form = {"req": argument(login, "req"), "login": email, "password": password}
        return self.go("/oauth2/login", "POST", form)

    def through(self, provider, connector, back):
        """The answer of our callback after the person agreed there."""
        page = self.begin(back).body.decode()
        link = re.search(rf'href="([^"]*/oauth2/auth/{connector}\?[^"]*)"', page)
        assert link, page
        there = self.go(html.unescape(link.group(1))).header("Location")
        assert there.startswith(provider.issuer + "/auth?"), there
        status, headers, _ = provider.get(there[len(provider.issuer):])
        return self.go(headers["Location"])

    def token(self, done, back):
        """The access token that the dashboard gets."""
        return self.tokens(done, back)["access_token"]

    def tokens(self, done, back):
        assert done.status in (302, 303), done.body
        code = argument(done.header("Location"), "code")
        answer = self.go("/oauth2/token", "POST", {
            "grant_type": "authorization_code", "client_id": "netbird-dashboard",
            "code": code, "redirect_uri": back, "code_verifier": VERIFIER})
        assert answer.status == 200, answer.body
        return answer.json
