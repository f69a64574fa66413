"""Tokens that tests make themselves: personal ones, and JWTs of an identity provider of their own."""

import base64
import hashlib
import http.server
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
import urllib.parse
import zlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def with_checksum(prefix, secret):
    number, text = zlib.crc32(secret.encode()), ""
    while number:
        number, digit = divmod(number, 62)
        text = ALPHABET[digit] + text
    return prefix + secret + text.rjust(6, "0")


def new_token(prefix="nbp_"):
    return with_checksum(prefix, "".join(secrets.choice(ALPHABET) for _ in range(30)))


def token_hash(token):
    return base64.b64encode(hashlib.sha256(token.encode()).digest()).decode()


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider:
    """Discovery and a key set on loopback, and the key behind it (openssl does the mathematics)."""

    releases = {"/newest/management": "v99.1.2", "/newest/dashboard": "v2.98.7"}

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="nb-provider-")
        self.key = os.path.join(self.folder, "key.pem")
        subprocess.run(["openssl", "genrsa", "-out", self.key, "2048"], check=True,
                       capture_output=True)
        text = subprocess.run(["openssl", "rsa", "-in", self.key, "-noout", "-modulus"], check=True,
                              capture_output=True, text=True).stdout
        modulus = bytes.fromhex(text.strip().split("=")[1])
        self.jwks = {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "k1",
                               "n": unpadded(modulus), "e": "AQAB"}]}
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.reply(*outer.get(self.path))

            def do_POST(self):
                size = int(self.headers.get("Content-Length", 0))
                form = urllib.parse.parse_qs(self.rfile.read(size).decode())
                self.reply(*outer.post(self.path, {k: v[0] for k, v in form.items()},
                                       self.headers.get("Authorization", "")))

            def reply(self, status, headers, content):
                body = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"

    def get(self, path):
        if path == "/.well-known/openid-configuration":
            return 200, {}, {
                "issuer": self.issuer, "authorization_endpoint": self.issuer + "/auth",
                "token_endpoint": self.issuer + "/token", "jwks_uri": self.issuer + "/keys",
                "userinfo_endpoint": self.issuer + "/userinfo",
                "response_types_supported": ["code"], "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["RS256"]}
        if path in self.releases:
            return 200, {}, {"tag_name": self.releases[path]}
        return 200, {"Cache-Control": "max-age=3600"}, self.jwks

    def post(self, path, form, authorization):
        return 404, {}, {}

    def settings(self):
        return {"AuthIssuer": self.issuer, "AuthAudience": "nb-test",
                "AuthKeysLocation": self.issuer + "/keys", "IdpSignKeyRefreshEnabled": True}

    def jwt(self, user, **claims):
        now = int(time.time())
        payload = {"iss": self.issuer, "aud": "nb-test", "sub": user, "iat": now - 5,
                   "exp": now + 600, **claims}
        head = {"alg": "RS256", "typ": "JWT", "kid": "k1"}
        signed = ".".join(unpadded(json.dumps(part).encode()) for part in (head, payload))
        signature = subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.key],
                                   input=signed.encode(), check=True, capture_output=True).stdout
        return f"{signed}.{unpadded(signature)}"

    def stop(self):
        self.server.shutdown()
        shutil.rmtree(self.folder, ignore_errors=True)
