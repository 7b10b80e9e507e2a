"""Options that several commands have."""

from pathlib import Path
from typing import Final

import click

CONFIG: Final = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    envvar="LOCALCTL_CONFIG",
    default="/etc/localctl/config.toml",
    show_default=True,
    show_envvar=True,
    help="The configuration file.",
)
