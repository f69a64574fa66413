"""deploy/ against the binaries: what the files hand over is understood, what they name exists.

    test_deploy.py --bin DIR
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

import jsonschema
import yaml

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests/integration/rest"))
sys.path.insert(0, os.path.join(ROOT, "tests/deploy/chart"))
import checksum
from binaries import given, main

COMPOSE = os.path.join(ROOT, "deploy/compose")
SERVERS = {"nb-mgmt-1": ["netbird-mgmt", "management"], "nb-signal-1": ["netbird-signal", "run"],
           "nb-relay": ["netbird-relay"], "nb-relay-2": ["netbird-relay"]}


def read(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


def example():
    lines = read("deploy/compose/.env.example").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def rendered(env):
    """What compose makes of its file."""

    def value(match):
        name, operator, rest = match.groups()
        if env.get(name):
            return env[name]
        if operator == ":?":
            raise KeyError(name)
        return rest or ""

    text = re.sub(r"(?<!\$)\$\{(\w+)(?:(:-|:\?)([^}]*))?\}", value,
                  read("deploy/compose/compose.yml"))
    return yaml.safe_load(text.replace("$$", "$"))


def effective(service, name):
    """The settings that the server of a service runs with, or fails over."""
    command = [word.replace("/etc/netbird", COMPOSE) for word in service.get("command", [])]
    env = {key: str(value) for key, value in service["environment"].items()}
    argv = [os.path.join(given.bin, SERVERS[name][0]), *SERVERS[name][1:], *command,
            "--check-config"]
    done = subprocess.run(argv, env={"PATH": os.environ["PATH"], **env}, capture_output=True,
                          text=True, timeout=30)
    assert done.returncode == 0, f"{name}: {done.stdout[-1000:]}{done.stderr}"
    return done.stdout


def without_environment(config):
    out = json.loads(json.dumps(config["services"]))
    for name, service in out.items():
        if name.startswith(("nb-mgmt", "nb-signal", "nb-relay")):
            service.pop("environment")
    return out


class Compose(unittest.TestCase):
    def test_every_compose_reads_the_file(self):
        """Forms that docker compose and podman-compose both take (the latter was run)."""
        text = read("deploy/compose/compose.yml")
        self.assertNotRegex(text, r":\?\}", "a required variable says what to do")
        for name, service in rendered(example())["services"].items():
            self.assertIsInstance(service.get("sysctls", []), list, name)

    def test_names_and_ports_are_the_known_ones(self):
        services = rendered(example())["services"]
        for name, service in services.items():
            self.assertEqual(service["container_name"], name)
        self.assertLessEqual(
            {"nb-redis", "nb-postgres", "nb-coturn", "nb-relay", "nb-signal-1", "nb-signal-2",
             "nb-mgmt-1", "nb-mgmt-2", "nb-traefik", "nb-dashboard"}, set(services))
        published = [port for service in services.values() for port in service.get("ports", [])]
        ports = [port.split(":")[-2] for port in published]
        self.assertLessEqual({"33073", "33074", "10000", "10001", "9091", "9092", "9093", "9094",
                              "9095", "8088"}, set(ports))
        sides = [(port.split(":")[-2], port.endswith("/udp")) for port in published]
        self.assertEqual(len(sides), len(set(sides)), "two services publish one port")
        for name, instance in (("nb-mgmt-1", "mgmt-1"), ("nb-mgmt-2", "mgmt-2"),
                               ("nb-signal-1", "signal-1"), ("nb-signal-2", "signal-2")):
            self.assertEqual(services[name]["environment"]["NB_HA_INSTANCE_ID"], instance)

    def test_the_example_starts_every_server(self):
        services = rendered(example())["services"]
        for name in SERVERS:
            told = effective(services[name], name)
            for variable in services[name]["environment"]:
                if not variable.startswith("NETBIRD_"):  # those are management.json's
                    self.assertIn(f"[{variable}]", told, f"{name} does not read {variable}")

    def test_every_variable_changes_what_runs(self):
        before = rendered(example())
        told = {name: effective(before["services"][name], name) for name in SERVERS}
        changed = {"NB_LOG_LEVEL": "debug", "NB_LOG_FORMAT": "json", "NB_DRAIN_DELAY": "7s",
                   "NETBIRD_HTTP_PROTOCOL": "https", "NETBIRD_DOMAIN": "other.example",
                   "NB_DNS_DOMAIN": "other.internal", "NB_DATASTORE_ENCRYPTION_KEY": "B" * 43 + "="}
        for name, value in example().items():
            with self.subTest(name):
                other = changed.get(name, "12345" if value.isdigit() else "another-" + value)
                after = rendered({**example(), name: other})
                self.assertNotEqual(before, after, "compose.yml does not use it")
                if without_environment(before) != without_environment(after):
                    continue
                reaches = [s for s in SERVERS
                           if before["services"][s]["environment"] !=
                           after["services"][s]["environment"]]
                self.assertTrue(reaches)
                for server in reaches:
                    now = effective(after["services"][server], server)
                    secret = any(word in name for word in ("SECRET", "PASSWORD", "KEY"))
                    self.assertNotIn(other, now) if secret else self.assertNotEqual(told[server],
                                                                                    now)

    def test_secrets_are_required(self):
        for name in ("NETBIRD_DOMAIN", "NB_POSTGRES_PASSWORD", "NB_REDIS_PASSWORD", "NB_HA_SECRET",
                     "NB_RELAY_SECRET", "NB_TURN_SECRET", "NB_DATASTORE_ENCRYPTION_KEY"):
            with self.assertRaises(KeyError):
                rendered({**example(), name: ""})

    def test_init_makes_fresh_secrets_once(self):
        with tempfile.TemporaryDirectory() as folder:
            for file in ("init.sh", ".env.example"):
                with open(os.path.join(folder, file), "w") as out:
                    out.write(read("deploy/compose/" + file))
            run = lambda: subprocess.run(["sh", "init.sh", "nb.example"], cwd=folder,
                                         capture_output=True, text=True)
            self.assertEqual(run().returncode, 0)
            with open(os.path.join(folder, ".env")) as file:
                made = file.read()
            self.assertIn("NETBIRD_DOMAIN=nb.example\n", made)
            self.assertNotIn("change-me", made)
            self.assertNotIn("AAAAAAAAAA", made)
            self.assertEqual(os.stat(os.path.join(folder, ".env")).st_mode & 0o077, 0)
            self.assertNotEqual(run().returncode, 0)
            with open(os.path.join(folder, ".env")) as file:
                self.assertEqual(file.read(), made)


class Files(unittest.TestCase):
    def test_yaml_and_json_are_well_formed(self):
        for path in ("deploy/compose/compose.yml", "deploy/traefik/traefik.yml",
                     "deploy/traefik/dynamic.yml", "deploy/monitoring/prometheus.yml",
                     "deploy/monitoring/alerts.yml", "deploy/helm/netbird-ha/Chart.yaml",
                     "deploy/helm/netbird-ha/values.yaml"):
            self.assertTrue(yaml.safe_load(read(path)), path)
        json.loads(read("deploy/monitoring/grafana-netbird-ha.json"))

    def test_haproxy_reads_its_file(self):
        text = read("deploy/haproxy/haproxy.cfg")
        env = {name: "127.0.0.1:1" if name.endswith(("_ADDRESS", "_BIND")) else "1"
               for name in re.findall(r"\$\{(\w+)\}", text)}
        env["NB_HAPROXY_SOCKET"] = "/tmp/nb-haproxy-check.sock"
        done = subprocess.run(["haproxy", "-c", "-f", os.path.join(ROOT,
                                                                   "deploy/haproxy/haproxy.cfg")],
                              env={"PATH": os.environ["PATH"], **env}, capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_traefik_knows_every_key(self):
        """Against Traefik's own reference of its file format (v3), as far as we use it."""
        entry = {"address": None,
                 "transport": {"respondingTimeouts": {"readTimeout": None, "writeTimeout": None,
                                                      "idleTimeout": None},
                               "lifeCycle": {"requestAcceptGraceTimeout": None,
                                             "graceTimeOut": None}},
                 "forwardedHeaders": {"insecure": None, "trustedIPs": None},
                 "proxyProtocol": {"insecure": None, "trustedIPs": None}}
        static = {"entryPoints": {"*": entry}, "log": {"level": None, "format": None},
                  "providers": {"file": {"filename": None, "directory": None, "watch": None}}}
        health = dict.fromkeys(("scheme", "mode", "path", "method", "status", "port", "interval",
                                "timeout", "hostname", "followRedirects", "headers"))
        dynamic = {"http": {
            "routers": {"*": dict.fromkeys(("entryPoints", "rule", "service", "priority", "tls",
                                            "middlewares"))},
            "serversTransports": {"*": {"forwardingTimeouts": dict.fromkeys((
                "dialTimeout", "responseHeaderTimeout", "idleConnTimeout", "readIdleTimeout",
                "pingTimeout"))}},
            "services": {"*": {"loadBalancer": {"servers": [{"url": None, "weight": None}],
                                                "healthCheck": health, "passHostHeader": None,
                                                "serversTransport": None}}}}}

        def check(found, known, path):
            if isinstance(known, dict):
                for key, value in found.items():
                    self.assertTrue(key in known or "*" in known, f"{path}.{key}")
                    check(value, known.get(key, known.get("*")), f"{path}.{key}")
            elif isinstance(known, list):
                for value in found:
                    check(value, known[0], path)

        check(yaml.safe_load(read("deploy/traefik/traefik.yml")), static, "static")
        check(yaml.safe_load(read("deploy/traefik/dynamic.yml")), dynamic, "dynamic")

    def test_traefik_routes_go_to_services_that_are_there(self):
        config = yaml.safe_load(read("deploy/traefik/dynamic.yml"))["http"]
        for name, router in config["routers"].items():
            self.assertIn(router["service"], config["services"], name)
        hosts = set(re.findall(r"://(nb-[\w-]+):", read("deploy/traefik/dynamic.yml")))
        self.assertLessEqual(hosts, set(rendered(example())["services"]))

    def test_monitoring_names_metrics_that_exist(self):
        known = {"up"}
        for server in ("management", "management-running", "signal", "relay"):
            for line in read(f"tests/data/metrics-{server}.txt").splitlines():
                name, kind = line.split()[:2]
                known.add(name)
                if kind == "histogram":
                    known |= {name + suffix for suffix in ("_bucket", "_sum", "_count")}
        expressions = [rule["expr"]
                       for group in yaml.safe_load(read("deploy/monitoring/alerts.yml"))["groups"]
                       for rule in group["rules"]]
        dashboard = json.loads(read("deploy/monitoring/grafana-netbird-ha.json"))
        expressions += [target["expr"] for panel in dashboard["panels"]
                        for target in panel["targets"]]
        words = {"sum", "rate", "increase", "histogram_quantile", "by", "le", "job", "instance",
                 "type", "transport",
                 "resource", "operation", "code"}
        self.assertGreater(len(expressions), 30)
        for expression in expressions:
            bare = re.sub(r'"[^"]*"|\[[^\]]*\]', "", expression)
            for name in re.findall(r"[a-z_][a-z0-9_]*", bare):
                self.assertTrue(name in known | words, f"{name} in {expression}")

    def test_systemd_units_start_what_is_installed(self):
        folder = os.path.join(ROOT, "deploy/systemd")
        units = [name for name in os.listdir(folder) if name.endswith(".service")]
        self.assertEqual(len(units), 4)
        for name in units:
            text = read("deploy/systemd/" + name)
            program = re.search(r"^ExecStart=/usr/bin/(\S+)", text, re.M).group(1)
            self.assertTrue(os.access(os.path.join(given.bin, program), os.X_OK), program)
            self.assertIn("NoNewPrivileges=yes", text)

    def test_systemd_units_kill_no_server_for_a_call_of_its_own(self):
        """Servers set the slices of their loops and the priority of map threads: in @resources."""
        folder = os.path.join(ROOT, "deploy/systemd")
        calls = set()
        for path, _, names in os.walk(os.path.join(ROOT, "src")):
            for name in names:
                if name.endswith(".cc") and not name.endswith("_test.cc"):
                    with open(os.path.join(path, name)) as file:
                        calls.update(re.findall(r"SYS_(sched_\w+)|::(setpriority|setrlimit)\(",
                                                file.read()))
        calls = {name for pair in calls for name in pair if name}
        self.assertIn("sched_setattr", calls)
        self.assertIn("setpriority", calls)
        for name in (name for name in os.listdir(folder) if name.endswith(".service")):
            with self.subTest(name):
                lines = read("deploy/systemd/" + name).splitlines()
                filters = [line.split("=", 1)[1] for line in lines
                           if line.startswith("SystemCallFilter=")]
                denied = next(i for i, words in enumerate(filters) if words.startswith("~"))
                allowed = " ".join(filters[denied + 1:]).split()
                self.assertLessEqual(calls, set(allowed))
                self.assertIn("SystemCallErrorNumber=EPERM", lines)

    def test_images_copy_and_start_binaries_at_upstreams_path(self):
        text = read("deploy/docker/Dockerfile")
        for target, entry in (("management", '["/go/bin/netbird-mgmt", "management"]'),
                              ("signal", '["/go/bin/netbird-signal", "run"]'),
                              ("relay", '["/go/bin/netbird-relay"]'),
                              ("combined", '["/go/bin/netbird-server"]'),
                              ("upload", '["/go/bin/netbird-upload"]')):
            stage = text.split(f" AS {target}\n")[1].split("\nFROM ")[0]
            self.assertIn("ENTRYPOINT " + entry, stage)
            self.assertIn(f"COPY --from=build /out/{json.loads(entry)[0].split('/')[-1]} ", stage)


PROGRAMS = {"management": ["netbird-mgmt", "management"], "signal": ["netbird-signal", "run"],
            "relay": ["netbird-relay"]}  # entry points of the images
SECRETS = {"postgres-dsn": "postgres://u:p@db/netbird", "events-dsn": "postgres://u:p@db/events",
           "auth-dsn": "postgres://u:p@db/auth", "datastore-key": "A" * 43 + "="}


class Chart(unittest.TestCase):
    """The Helm chart as helm rendered it (tests/deploy/chart/render.sh), since CI has no helm."""

    CASES = ("default", "full", "small")

    def each(self):
        for case in self.CASES:
            with self.subTest(case):
                text = read(f"tests/deploy/chart/{case}.rendered.yaml")
                yield case, text, [one for one in yaml.safe_load_all(text) if one]

    @staticmethod
    def of(objects, kind):
        return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}

    def test_what_is_tested_is_the_chart_of_today(self):
        for case, text, _ in self.each():
            self.assertEqual(text.splitlines()[0], "# of: " + checksum.of(f"{case}.values.yaml"),
                             "run tests/deploy/chart/render.sh")

    def test_values_follow_their_schema(self):
        schema = json.loads(read("deploy/helm/netbird-ha/values.schema.json"))
        validator = jsonschema.Draft7Validator(schema)
        defaults = yaml.safe_load(read("deploy/helm/netbird-ha/values.yaml"))
        self.assertEqual(set(schema["properties"]) - {"global"}, set(defaults))
        validator.validate(defaults)
        for case in self.CASES:
            validator.validate({**defaults,
                                **yaml.safe_load(read(f"tests/deploy/chart/{case}.values.yaml"))})
        for bad in ({"logLevel": "loud"}, {"drainDelay": "soon"}, {"management": {"replicas": 0}},
                    {"redis": {"adress": "x"}}, {"relay": {"exposed": ["http://relay"]}},
                    {"turn": {"uri": "stun:x"}}, {"secrets": {"other": "x"}}, {"domian": "x"}):
            self.assertFalse(validator.is_valid({**defaults, **bad}), bad)

    def test_objects_find_each_other(self):
        for _, _, objects in self.each():
            names = [(one["kind"], one["metadata"]["name"]) for one in objects]
            self.assertEqual(len(names), len(set(names)))
            pods = {}
            for name, deployment in self.of(objects, "Deployment").items():
                labels = deployment["spec"]["template"]["metadata"]["labels"]
                self.assertLessEqual(deployment["spec"]["selector"]["matchLabels"].items(),
                                     labels.items(), name)
                pods[name] = (labels, deployment["spec"]["template"]["spec"])
            chosen = lambda selector: [name for name, (labels, _) in pods.items()
                                       if selector.items() <= labels.items()]
            services = self.of(objects, "Service")
            for name, service in services.items():
                backends = chosen(service["spec"]["selector"])
                self.assertEqual(len(backends), 1, name)
                offered = {port["name"] for port in
                           pods[backends[0]][1]["containers"][0]["ports"]}
                for port in service["spec"]["ports"]:
                    self.assertIn(port["targetPort"], offered)
            for name, budget in self.of(objects, "PodDisruptionBudget").items():
                backends = chosen(budget["spec"]["selector"]["matchLabels"])
                self.assertEqual(len(backends), 1, name)
                deployment = self.of(objects, "Deployment")[backends[0]]
                self.assertGreater(deployment["spec"]["replicas"], budget["spec"]["minAvailable"])
            for ingress in self.of(objects, "Ingress").values():
                for rule in ingress["spec"]["rules"]:
                    for path in rule["http"]["paths"]:
                        service = services[path["backend"]["service"]["name"]]
                        self.assertIn(path["backend"]["service"]["port"]["number"],
                                      [port["port"] for port in service["spec"]["ports"]])
            for name, (_, spec) in pods.items():
                container = spec["containers"][0]
                volumes = {volume["name"] for volume in spec.get("volumes", [])}
                for mount in container.get("volumeMounts", []):
                    self.assertIn(mount["name"], volumes, name)
                for volume in spec.get("volumes", []):
                    if "configMap" in volume:
                        self.assertIn(volume["configMap"]["name"], self.of(objects, "ConfigMap"))
                for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
                    self.assertIn(container[probe]["httpGet"]["port"],
                                  [port["containerPort"] for port in container["ports"]])

    def test_paths_are_those_of_the_balancers(self):
        for case, _, objects in self.each():
            paths = {path["path"] for ingress in self.of(objects, "Ingress").values()
                     for rule in ingress["spec"]["rules"] for path in rule["http"]["paths"]}
            self.assertEqual(paths, set() if case == "small" else {
                "/signalexchange.SignalExchange/", "/management.ManagementService/",
                "/management.ProxyService/", "/api", "/oauth2", "/ws-proxy/signal",
                "/ws-proxy/management"})

    def test_servers_take_what_their_deployments_hand_over(self):
        for case, _, objects in self.each():
            relays = 0
            for name, deployment in self.of(objects, "Deployment").items():
                container = deployment["spec"]["template"]["spec"]["containers"][0]
                relays += container["name"] == "relay"
                told = self.effective(objects, container)
                for variable in container["env"]:
                    if not variable["name"].startswith("NETBIRD_"):
                        self.assertIn(f"[{variable['name']}]", told, f"{case}, {name}")
            self.assertEqual(relays, {"default": 0, "full": 2, "small": 1}[case])

    def effective(self, objects, container):
        """What the server makes of its arguments, environment and files."""
        secrets = self.of(objects, "Secret")
        with tempfile.TemporaryDirectory() as folder:
            for config in self.of(objects, "ConfigMap").values():
                for name, text in config["data"].items():
                    with open(os.path.join(folder, name), "w") as out:
                        out.write(text)
            env = {"PATH": os.environ["PATH"]}
            for variable in container["env"]:
                source = variable.get("valueFrom", {})
                value = variable.get("value", "pod-0")
                if "secretKeyRef" in source:
                    ref = source["secretKeyRef"]
                    value = (secrets[ref["name"]]["stringData"] if secrets else
                             SECRETS | {k: "0123456789abcdef" for k in
                                        ("redis-password", "ha-secret", "relay-secret",
                                         "turn-secret")})[ref["key"]]
                env[variable["name"]] = value
            argv = [os.path.join(given.bin, PROGRAMS[container["name"]][0]),
                    *PROGRAMS[container["name"]][1:],
                    *[word.replace("/etc/netbird", folder) for word in container["args"]],
                    "--check-config"]
            done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, 0, done.stdout[-1000:] + done.stderr)
            return done.stdout


class Seed(unittest.TestCase):
    def test_seed_makes_owner_and_setup_key(self):
        from servers import Deployment
        site = Deployment("sqlite", given.bin, {"EmbeddedIdP": {
            "Enabled": True, "Issuer": "http://127.0.0.1:1/oauth2",
            "Storage": {"Type": "sqlite3"}}}, {"NB_SETUP_PAT_ENABLED": "true"})
        try:
            argv = ["sh", os.path.join(ROOT, "deploy/seed.sh"), f"http://127.0.0.1:{site.port}",
                    "me@example.org", "Me"]
            run = lambda: subprocess.run(argv, input="Secret \"quoted\" 1\n", text=True,
                                         capture_output=True, timeout=60)
            done = run()
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"^[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\n$")
            again = run()
            self.assertEqual((again.returncode, again.stdout), (3, ""))
            count = lambda table: int(site.database.run(f"SELECT COUNT(*) FROM {table}"))
            self.assertEqual((count("setup_keys"), count("personal_access_tokens")), (1, 0))
            self.assertEqual(site.database.run("SELECT role FROM users"), "owner")
        finally:
            site.stop()


if __name__ == "__main__":
    main()
