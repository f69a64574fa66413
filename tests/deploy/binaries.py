"""What the tests of this folder run against.

    test_NAME.py --bin DIR
"""

import argparse
import os
import sys
import unittest

given = argparse.Namespace(bin="")  # where the servers are, once main() has begun


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True, help="where the servers are")
    _, rest = parser.parse_known_args(namespace=given)
    given.bin = os.path.abspath(given.bin)
    unittest.main(argv=[sys.argv[0], "-v", *rest])
