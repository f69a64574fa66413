"""Runs the REST tests: run.py --engine sqlite|postgres --bin DIR [test names]"""

import argparse
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def end(*_):
    """The one way out that unittest does not take for a failed test: the finally below stops the
    servers."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--bin", required=True, help="where netbird-mgmt is")
    parser.add_argument("tests", nargs="*")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, end)
    os.environ["NB_REST_ENGINE"] = given.engine
    os.environ["NB_BINARY_DIR"] = os.path.abspath(given.bin)
    import case
    loader = unittest.TestLoader()
    suite = (loader.loadTestsFromNames(given.tests) if given.tests
             else loader.discover(os.path.dirname(os.path.abspath(__file__))))
    try:
        result = unittest.TextTestRunner(verbosity=2).run(suite)
        print(f"{len(case.description().checked)} kinds of answers checked against openapi.yaml")
    finally:
        case.stop_all()
    sys.exit(not result.wasSuccessful())


main()
