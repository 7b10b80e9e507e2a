"""What of this tree is another in the package: the configuration's ports, the units' command. Pure."""

import re
from typing import Final

from deploy.package.wheels import PackageError

_PORTS: Final = {  # what the package's configuration has instead: localctl.socket hands these ports over
    'listen = "0.0.0.0:8080"': 'listen = "0.0.0.0:80"',
    'listen = "0.0.0.0:2121"': 'listen = "0.0.0.0:21"',
}
_EXEC: Final = "ExecStart=/usr/bin/env localctl "


def config(example: str) -> str:
    """The package's configuration: the example on the ports of the protocols. Raises PackageError."""
    for before, after in _PORTS.items():
        if example.count(f"\n{before}\n") != 1:
            raise PackageError(f"config.example.toml has no one line {before}: see deploy/package/adapted.py")
        example = example.replace(f"\n{before}\n", f"\n{after}\n")
    return example


def unit(text: str) -> str:
    """A unit of systemd/ as the package has it: without how to install it by hand, and with the command's place."""
    body = re.sub(r"\A(#.*\n|\n)+", "", text)
    return body.replace(_EXEC, "ExecStart=/usr/bin/localctl ")
