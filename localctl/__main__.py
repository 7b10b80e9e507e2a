"""``python -m localctl``."""

from localctl.cli import main

main()
