"""Arguments to a command; a named error to its exit status."""

import sys


def main() -> None:
    """Run the command line."""
    sys.exit(0)
