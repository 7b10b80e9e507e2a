"""Every table: ``python -m tests.bench``, or those of a part: ``python -m tests.bench PART [its options]``.

All of them take the better part of an hour; see README.md beside it.
"""

import subprocess
import sys
from typing import Final

PARTS: Final = ("start", "serve", "download", "relay")

if __name__ == "__main__":
    part, options = sys.argv[1:2], sys.argv[2:]
    if not set(part) <= set(PARTS):
        sys.exit(f"{part[0]} is none of {', '.join(PARTS)}")
    for each in part or PARTS:
        status = subprocess.run((sys.executable, "-m", f"tests.bench.{each}", *options), check=False).returncode
        if status:
            sys.exit(status)
