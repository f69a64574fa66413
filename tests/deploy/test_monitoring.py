"""deploy/monitoring in a real Prometheus that scrapes real servers.

    test_monitoring.py --bin DIR
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

import yaml

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
sys.path.insert(0, os.path.join(ROOT, "tests/integration/rest"))
from binaries import given, main
from servers import Deployment, Process, eventually, free_port

FOLDER = os.path.join(ROOT, "deploy/monitoring")


class Monitoring(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="nb-monitoring-")
        cls.parts = []
        try:
            cls.start()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def start(cls):
        site = Deployment("sqlite", given.bin)
        cls.parts.append(site)
        signal_metrics, relay_metrics = free_port(), free_port()
        cls.server("signal", ["netbird-signal", "run", "--port", str(free_port()),
                              "--listen-address", "127.0.0.1", "--disable-legacy-port",
                              "--log-file", "console", "--metrics-port", str(signal_metrics)])
        relay = f"127.0.0.1:{free_port()}"
        cls.relay = cls.server(
            "relay", ["netbird-relay", "--listen-address", relay, "--exposed-address",
                      "rel://" + relay, "--metrics-port", str(relay_metrics),
                      "--health-listen-address", f"127.0.0.1:{free_port()}"],
            {"NB_AUTH_SECRET": "of the monitoring test", "NB_DRAIN_DELAY": "0s"})
        cls.targets = {"netbird-signal": signal_metrics, "netbird-relay": relay_metrics,
                       "netbird-mgmt": site.servers[0].metrics_port}
        # The delivered files, with other addresses and in a hurry.
        shutil.copy(os.path.join(FOLDER, "alerts.yml"), cls.folder)
        with open(os.path.join(FOLDER, "prometheus.yml")) as file:
            config = yaml.safe_load(file)
        config["global"].update(scrape_interval="500ms", evaluation_interval="500ms",
                                scrape_timeout="500ms")
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [f"127.0.0.1:{cls.targets[job['job_name']]}"]}]
        with open(os.path.join(cls.folder, "prometheus.yml"), "w") as file:
            yaml.safe_dump(config, file)
        cls.port = free_port()
        cls.server("prometheus", ["/usr/bin/prometheus", "--config.file",
                                  os.path.join(cls.folder, "prometheus.yml"),
                                  "--storage.tsdb.path", os.path.join(cls.folder, "data"),
                                  f"--web.listen-address=127.0.0.1:{cls.port}"])
        assert eventually(cls.ready), "Prometheus does not become ready"

    @classmethod
    def ready(cls):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{cls.port}/-/ready", timeout=2):
                return True
        except OSError:
            return False

    @classmethod
    def server(cls, name, argv, env=None):
        process = Process([os.path.join(given.bin, argv[0]), *argv[1:]], env,
                          log=os.path.join(cls.folder, name + ".log"))
        cls.parts.append(process)
        return process

    @classmethod
    def tearDownClass(cls):
        for part in reversed(cls.parts):
            part.stop()
        shutil.rmtree(cls.folder, ignore_errors=True)

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            self.fail(f"{path} {query}: {error.read().decode()}")

    def scraped(self):
        return [one for one in self.ask("targets")["activeTargets"] if one["health"] != "unknown"]

    def test_files_are_well_formed(self):
        for kind, name in (("config", "prometheus.yml"), ("rules", "alerts.yml")):
            done = subprocess.run(["promtool", "check", kind, name], cwd=FOLDER,
                                  capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_page_is_read_without_a_complaint(self):
        self.assertTrue(eventually(lambda: len(self.scraped()) == 3))
        eventually(lambda: all(one["health"] == "up" for one in self.scraped()))
        for one in self.scraped():
            self.assertEqual((one["health"], one["lastError"]), ("up", ""), one["scrapeUrl"])
        # Values arrive under the names that dashboards ask for, in whatever format was agreed on.
        for name in ("active_peers", "relay_peers", "management_grpc_connected_streams_ratio"):
            self.assertTrue(eventually(lambda: self.ask("query", query=name)["result"]), name)

    def test_every_alert_can_be_evaluated_and_none_is_raised_in_peace(self):
        rules = lambda: [rule for group in self.ask("rules")["groups"] for rule in group["rules"]]
        self.assertTrue(eventually(lambda: all(rule["health"] != "unknown" for rule in rules())))
        with open(os.path.join(FOLDER, "alerts.yml")) as file:
            known = [rule["alert"] for group in yaml.safe_load(file)["groups"]
                     for rule in group["rules"]]
        self.assertEqual(sorted(rule["name"] for rule in rules()), sorted(known))
        for rule in rules():
            self.assertEqual((rule["health"], rule.get("lastError", "")), ("ok", ""), rule["name"])
            # The servers here have no Redis.
            if rule["name"] != "NetBirdRedisAway":
                self.assertEqual(rule["alerts"], [], rule["name"])

    def test_every_panel_can_be_asked(self):
        with open(os.path.join(FOLDER, "grafana-netbird-ha.json")) as file:
            panels = json.load(file)["panels"]
        asked = [target["expr"] for panel in panels for target in panel["targets"]]
        self.assertGreater(len(asked), 20)
        self.assertTrue(eventually(self.scraped))
        for expression in asked:
            self.assertIsNotNone(self.ask("query", query=expression), expression)

    def test_z_a_dead_server_is_noticed(self):
        raised = lambda: [alert["labels"]["job"] for alert in self.ask("alerts")["alerts"]
                          if alert["labels"]["alertname"] == "NetBirdServerDown"]
        self.assertTrue(eventually(lambda: len(self.scraped()) == 3))
        self.relay.stop()
        self.assertTrue(eventually(lambda: raised() == ["netbird-relay"]), raised())


if __name__ == "__main__":
    main()
