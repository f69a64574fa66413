"""The servers of these tests end with them, whatever ends the tests."""

import os
import signal
import subprocess
import sys
import tempfile
import unittest

from case import engine
from servers import Deployment, eventually

HERE = os.path.dirname(os.path.abspath(__file__))


def processes(folder):
    """Whose words or working directory name the folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as words:
                about = words.read().decode(errors="replace")
            about += " " + os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if folder in about:
            found.append(about)
    return found


@unittest.skipUnless(engine() == "postgres", "most servers belong to PostgreSQL's deployment")
class Harness(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix="nb-harness-")
        os.chmod(self.scratch, 0o711)
        self.addCleanup(subprocess.run, ["rm", "-rf", self.scratch])

    def left(self):
        """But for the locks of ports, which tests of all kinds share and nobody deletes."""
        return [name for name in os.listdir(self.scratch) if name != "nb-test-ports"]

    def test_a_deployment_that_does_not_start_leaves_nothing(self):
        os.symlink("/bin/false", os.path.join(self.scratch, "netbird-mgmt"))
        before, tempfile.tempdir = tempfile.tempdir, self.scratch
        try:
            with self.assertRaises(AssertionError):
                Deployment("postgres", self.scratch)
        finally:
            tempfile.tempdir = before
        self.assertEqual(processes(self.scratch), [])
        self.assertEqual(self.left(), ["netbird-mgmt"])

    def ended_by(self, how):
        run = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "run.py"), "--engine", "postgres", "--bin",
             os.environ["NB_BINARY_DIR"], "test_people"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "TMPDIR": self.scratch})
        redis = lambda: any("redis" in about for about in processes(self.scratch))
        self.assertTrue(eventually(redis, 60))
        run.send_signal(how)
        run.wait(60)
        eventually(lambda: not processes(self.scratch))
        self.assertEqual(processes(self.scratch), [])

    def test_an_ended_run_leaves_nothing(self):
        self.ended_by(signal.SIGTERM)
        self.assertEqual(self.left(), [])

    def test_a_killed_run_leaves_no_process(self):
        self.ended_by(signal.SIGKILL)
