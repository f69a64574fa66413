"""A client that checks every answer against api/openapi.yaml."""

import http.client
import json
import re

import jsonschema
import yaml

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def closed(schema):
    """Members that the description does not name are mistakes of ours."""
    if isinstance(schema, dict):
        out = {key: closed(value) for key, value in schema.items()}
        if schema.get("type") == "object" and "properties" in schema:
            out.setdefault("additionalProperties", False)
        return out
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    return schema


class Description:
    def __init__(self, file):
        with open(file) as text:
            document = yaml.safe_load(text)
        self.document = document
        self.components = closed(document["components"])
        self.paths = []
        for path, item in document["paths"].items():
            pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + "$")
            self.paths.append((path.count("{"), pattern, item))
        self.paths.sort(key=lambda entry: entry[0])  # literal paths first
        self.checked = set()

    def operation(self, method, path):
        for _, pattern, item in self.paths:
            if pattern.match(path) and method.lower() in item:
                return item[method.lower()]
        return None

    def check(self, method, path, status, body):
        operation = self.operation(method, path)
        assert operation, f"{method} {path} is not described"
        response = operation["responses"].get(str(status))
        assert response, f"{method} {path}: {status} is not described"
        if "$ref" in response:
            response = self.components["responses"][response["$ref"].split("/")[-1]]
        if "content" not in response:
            assert body == b"", f"{method} {path}: {status} has a body"
            self.checked.add((method, operation["operationId"], status))
            return
        schema = closed(response["content"]["application/json"]["schema"])
        whole = {"$schema": DIALECT, "components": self.components, **schema}
        jsonschema.Draft202012Validator(
            whole, format_checker=jsonschema.FormatChecker()).validate(json.loads(body))
        self.checked.add((method, operation["operationId"], status))


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def message(self):
        return self.json["message"]

    def header(self, name):
        return self.headers.get(name)


class Client:
    def __init__(self, port, description, authorization=None, address=None):
        self.port, self.description, self.authorization = port, description, authorization
        self.address = address  # of ours, on loopback: limits are counted by it
        self.connection = None

    def at(self, port, address=None):
        return Client(port, self.description, self.authorization, address)

    def as_(self, authorization):
        return Client(self.port, self.description, authorization, self.address)

    def raw(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.authorization and "Authorization" not in headers:
            headers["Authorization"] = self.authorization
        if isinstance(body, (dict, list)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        for attempt in (1, 2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    "127.0.0.1", self.port, timeout=60,
                    source_address=(self.address, 0) if self.address else None)
            try:
                self.connection.request(method, path, body, headers)
                response = self.connection.getresponse()
                return Answer(response.status, response.headers, response.read())
            except (http.client.HTTPException, ConnectionError):
                # A kept connection that was closed meanwhile; GETs may be repeated.
                self.connection.close()
                self.connection = None
                if attempt == 2 or method != "GET":
                    raise
        raise AssertionError("unreachable")

    def call(self, method, path, body=None, headers=None, status=200, message=None):
        answer = self.raw(method, path, body, headers)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.body[:400]!r}"
        if status != 304:
            self.description.check(method, path.split("?")[0], status, answer.body)
        assert answer.header("X-Request-Id"), "no X-Request-Id"
        if status >= 400:
            self.check_refusal(answer)
        if message is not None:
            assert message in answer.message, f"{message!r} not in {answer.message!r}"
        return answer

    @staticmethod
    def check_refusal(answer):
        """Words that dashboard and Terraform act on (contract/rest-api.md §3.2)."""
        text = answer.message
        assert answer.json["code"] == answer.status, answer.json
        if answer.status == 404:
            assert "not found" in text, text
        if answer.status == 403 and ("blocked" in text or "pending" in text):
            assert "user is blocked" in text or "user is pending approval" in text, text

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, body=None, **more):
        return self.call("POST", path, body, **more)

    def put(self, path, body=None, **more):
        return self.call("PUT", path, body, **more)

    def delete(self, path, body=None, **more):
        return self.call("DELETE", path, body, **more)
