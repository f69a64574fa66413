"""What may stand in a request and must not: at each place of a body that is right otherwise.

A place is a list of names and numbers on the way down to it."""

import contextlib
import copy
import hashlib
import json
import os
import random
import sqlite3
import string

from servers import eventually

HOSTILE = "<script>alert(1)</script>'\"; DROP TABLE peers; -- \u202e"
# Of no pattern, since PostgreSQL compresses before it measures what an index can take.
LONG = "".join(random.Random(7).choices(string.ascii_letters, k=20_000))
MANY = 5_000  # more than anything may have, and less than the body's limit

# Not JSON, or not an object, or a text that no database has a place for.
BROKEN = [b"", b"[]", b"3", b'"x"', b"true", b"{", b'{"a":', b"{]", b'{"name":"\xff\xfe"}',
          b'{"name":"\\ud800"}', b"\xef\xbb\xbf{}", b"{'a': 1}", b'{"a":1,"a":2}',
          b'{"a":' * 40 + b"1" + b"}" * 40, b"\x00", b"<xml/>"]

# Ids that nobody has, as they stand in a path.
NOBODY = ["unknown", "%27%20OR%201=1%20--", "%00", "%ff", "..%2f..%2fetc", "x" * 5_000,
          "%3Cscript%3E", "0", "-1"]


def places(value, way=()):
    yield way
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, way + (name,))
    elif isinstance(value, list) and value:
        yield from places(value[0], way + (0,))


def at(body, way):
    for step in way:
        body = body[step]
    return body


def changed(body, way, value):
    if not way:
        return value
    body = copy.deepcopy(body)
    at(body, way[:-1])[way[-1]] = value
    return body


def other_types(value):
    if isinstance(value, bool):
        return ["true", 1, {}, []]
    if isinstance(value, int):
        return ["1", 1.5, True, {}, [], 1e300, 2 ** 70, -2 ** 70]
    if isinstance(value, str):
        return [1, True, {}, []]
    if isinstance(value, list):
        return ["x", 1, True, {}, [[]], [1] if not value or isinstance(value[0], str) else ["x"]]
    return ["x", 1, True, []]


def wrong_types(body):
    """Each place in turn with a value of each other type."""
    for way in places(body):
        if way:
            for value in other_types(at(body, way)):
                yield f"{way} = {value!r}", changed(body, way, value)


def hostile_texts(body):
    """Each text in turn with what a database, a page or a terminal could take for its own."""
    for way in places(body):
        if isinstance(at(body, way), str):
            yield f"{way} hostile", changed(body, way, HOSTILE)
            yield f"{way} with a zero byte", changed(body, way, at(body, way) + "\x00x")
            yield f"{way} long", changed(body, way, LONG)
            yield f"{way} empty", changed(body, way, "")


def long_lists(body):
    """Each list in turn with more than there can be."""
    for way in places(body):
        value = at(body, way)
        if isinstance(value, list):
            one = value[0] if value else "x"
            many = [f"{'x' * 20}{i}" for i in range(MANY)] if isinstance(one, str) else [one] * MANY
            yield f"{way} with {MANY} entries", changed(body, way, many)
            if isinstance(one, str):
                yield f"{way} unknown", changed(body, way, ["unknown"])


def numbers(body):
    """Each number in turn with the ends of what a number can be."""
    for way in places(body):
        value = at(body, way)
        if isinstance(value, int) and not isinstance(value, bool):
            for number in (-1, -2 ** 63, 2 ** 63 - 1, 2 ** 31, -2 ** 31 - 1):
                yield f"{way} = {number}", changed(body, way, number)


# --- what is in the database ---------------------------------------------------------------------

# Written by time, not by a request that was refused.
MOVING = {"nb_instances", "nb_instance", "nb_event_cursor"}
TOUCHED = {"personal_access_tokens": ("last_used",), "users": ("last_login",)}


class Contents:
    """A digest of each table."""

    asked = {}  # by deployment: what is asked, put together once

    def __init__(self, site):
        self.tables = {}
        (self.postgres if site.engine == "postgres" else self.sqlite)(site)

    def changed_since(self, before):
        return sorted(name for name in self.tables.keys() | before.tables.keys()
                      if self.tables.get(name) != before.tables.get(name))

    def sqlite(self, site):
        for file in ("store.db", "events.db"):
            path = os.path.join(site.folder, "m1", file)
            with contextlib.closing(sqlite3.connect(path, timeout=30)) as database:
                rows = lambda text: database.execute(text).fetchall()
                if path not in self.asked:
                    names = [row[0] for row in
                             rows("SELECT name FROM sqlite_master WHERE type = 'table'")]
                    self.asked[path] = {
                        name: self.select(name, [row[1] for row in
                                                 rows(f'PRAGMA table_info("{name}")')])
                        for name in names if self.counts(name)}
                for name, text in self.asked[path].items():
                    lines = "\n".join(sorted(map(repr, rows(text))))
                    self.tables[name] = hashlib.sha256(lines.encode()).hexdigest()

    def postgres(self, site):
        if site not in self.asked:
            rows = site.database.run(
                "SELECT table_name || '|' || string_agg(column_name, ',' ORDER BY "
                "ordinal_position) FROM information_schema.columns WHERE table_schema = 'public' "
                "GROUP BY table_name")
            parts = []
            for line in rows.split("\n"):
                name, columns = line.split("|")
                if self.counts(name):
                    parts.append(
                        f"SELECT '{name}|' || md5(COALESCE(string_agg(t::text, '' ORDER BY "
                        f"t::text), '')) FROM ({self.select(name, columns.split(','))}) t")
            self.asked[site] = " UNION ALL ".join(parts)
        for line in site.database.run(self.asked[site]).split("\n"):
            name, digest = line.split("|")
            self.tables[name] = digest

    @staticmethod
    def counts(name):
        return name not in MOVING and not name.startswith("sqlite_")

    @staticmethod
    def select(name, columns):
        wanted = [c for c in columns if c not in TOUCHED.get(name, ())]
        return f'SELECT {", ".join(chr(34) + c + chr(34) for c in wanted)} FROM "{name}"'


def sent(body):
    return body if isinstance(body, bytes) else json.dumps(body)


# --- the checks ---------------------------------------------------------------------------------


class Checks:
    """For test cases with `owner`, `site` and `db`."""

    refused = ("/jobs",)  # well-formed, and refused all the same

    def setUp(self):
        self.wrong = []

    def send(self, method, path, body):
        return self.owner.raw(method, path, body)

    def settled(self):
        """No event is on its way to its table any more."""
        queue = lambda: self.db.run("SELECT COUNT(*) FROM nb_event_outbox") == "0"
        self.assertTrue(eventually(queue))
        return Contents(self.site)

    def note(self, what, answer, must_fail):
        said = f"{what}: {answer.status} {answer.body[:160]!r}"
        if answer.status >= 500 or (must_fail and answer.status < 400):
            self.wrong.append(said)
        if b"<script" in answer.body or b"DROP TABLE" in answer.body and answer.status >= 400 \
                and b"\\u003cscript" not in answer.body:
            self.wrong.append("markup: " + said)
        if answer.status >= 400:
            problem = self.problem(answer)
            if problem:
                self.wrong.append(f"{problem}: {said}")

    @staticmethod
    def problem(answer):
        if answer.status == 404 and answer.body == b"404 page not found\n":
            return None  # no such path
        try:
            error = json.loads(answer.body)
        except ValueError:
            return "no JSON"
        if set(error) != {"message", "code"} or error["code"] != answer.status:
            return "no error of ours"
        if len(answer.body) > 4_000:
            return "says everything again"
        return None

    def unwritten(self, before, what):
        tables = self.settled().changed_since(before)
        if tables:
            self.wrong.append(f"{what}: written: {tables}")

    def refuse(self, method, path, bodies):
        """None of them is taken."""
        before = self.settled()
        for what, body in bodies:
            self.note(f"{method} {what}", self.send(method, path, sent(body)), True)
        self.unwritten(before, "refused bodies")

    def survive(self, method, path, body, bodies):
        """Taken or refused; what is refused has written nothing."""
        refused = []
        for what, wrong in bodies:
            answer = self.send(method, path, sent(wrong))
            self.note(f"{method} {what}", answer, False)
            if answer.status >= 400:
                refused.append((what, wrong))
        if method == "PUT":
            self.send(method, path, sent(body))  # so that half of a change would show again
        before = self.settled()
        for what, wrong in refused:
            if self.send(method, path, sent(wrong)).status < 400:
                before = self.settled()  # what was in the way is gone
        self.unwritten(before, "refused bodies")

    def check(self, method, path, make):
        body = make(self)
        broken = [raw for raw in BROKEN if raw or not path.endswith("/regenerate")]
        self.refuse(method, path, [(repr(raw[:40]), raw) for raw in broken])
        self.refuse(method, path, wrong_types(body))
        for bodies in (long_lists, numbers, hostile_texts):
            self.survive(method, path, body, bodies(body))
        answer = self.send(method, path, sent(make(self)))
        if answer.status != 200 and not any(part in path for part in self.refused):
            self.wrong.append(f"the body that is right: {answer.status} {answer.body!r}")

    def nobodys(self, operation, path, body):
        """Each id of the path in turn is nobody's."""
        method, pattern = operation.split()
        steps = path.split("/")
        before = self.settled()
        for i, step in enumerate(pattern.split("/")):
            if not step.startswith("{"):
                continue
            for ident in NOBODY:
                wrong = "/".join(steps[:i] + [ident] + steps[i + 1:])
                answer = self.send(method, wrong, sent(body))
                if answer.status in (301, 431, 414):
                    continue  # it was no path, or too long for one
                self.note(f"{method} {wrong[:120]}", answer, True)
        self.unwritten(before, "ids of nobody")

    def finish(self):
        self.assertEqual(self.wrong, [], "\n".join(self.wrong[:40]))


def add_tests(case, endpoints):
    """One test per operation of `endpoints`: where it is, or who knows, and a body that is right."""
    def test_of(operation, path, make):
        def test(self):
            where = path(self) if callable(path) else path
            self.check(operation.split()[0], where, make)
            self.nobodys(operation, where, make(self))
            self.finish()
        return test

    for operation, (path, make) in endpoints.items():
        label = operation.lower().replace(" /api/", "_").replace("/", "_").replace("-", "_")
        setattr(case, "test_" + label.translate({ord("{"): None, ord("}"): None}),
                test_of(operation, path, make))
