"""What a rendered chart was made of: checksum.py VALUES prints one line."""

import hashlib
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CHART = os.path.normpath(os.path.join(HERE, "../../../deploy/helm/netbird-ha"))


def of(values):
    digest = hashlib.sha256()
    files = [os.path.join(folder, name) for folder, _, names in os.walk(CHART) for name in names
             if not name.endswith(".md")]
    for path in [*sorted(files), os.path.join(HERE, values)]:
        digest.update(os.path.basename(path).encode() + b"\0")
        with open(path, "rb") as file:
            digest.update(file.read())
    return digest.hexdigest()


if __name__ == "__main__":
    print(of(sys.argv[1]))
