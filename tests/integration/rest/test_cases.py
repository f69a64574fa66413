"""contract/rest-api.md §11 whole: every case has a test by its number, run for each engine."""

import glob
import os
import re
import unittest

CASES = set(range(1, 84))
# With software that is not ours, outside the tree: docs/testing.md "Seen with official software".
OUTSIDE = {83}


class Cases(unittest.TestCase):
    def test_every_case_has_a_test(self):
        folder = os.path.dirname(os.path.abspath(__file__))
        found = set()
        for file in glob.glob(os.path.join(folder, "test_*.py")):
            with open(file) as text:
                for numbers in re.findall(r"def test((?:_\d\d)+)_", text.read()):
                    found |= {int(number) for number in numbers[1:].split("_")}
        self.assertEqual(sorted(CASES - OUTSIDE - found), [])
        self.assertEqual(sorted(found - CASES), [])
