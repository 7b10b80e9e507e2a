"""What is another in the package than in this tree."""

import tomllib
from pathlib import Path
from typing import Final

import pytest

from deploy.package.adapted import config, unit
from deploy.package.wheels import PackageError
from localctl.config import parse

ROOT: Final = Path(__file__).parents[3]
EXAMPLE: Final = (ROOT / "config.example.toml").read_text(encoding="utf-8")


def test_configuration_is_the_example_on_the_ports_of_the_protocols() -> None:
    """Stations 8887, HTTP 80, FTP 21; two lines differ, and localctl reads it."""
    made = config(EXAMPLE)
    read = parse(tomllib.loads(made), "config.toml", None)
    assert read.publish.http
    assert read.publish.ftp
    assert read.stations.ws
    assert (read.publish.http.listen.port, read.publish.ftp.listen.port, read.stations.ws.listen.port) == (80, 21, 8887)
    assert sum(one != other for one, other in zip(EXAMPLE.splitlines(), made.splitlines(), strict=True)) == 2


def test_an_example_without_the_lines_is_told() -> None:
    """Rather than a package on the wrong ports."""
    with pytest.raises(PackageError, match="8080"):
        config(EXAMPLE.replace("0.0.0.0:8080", "0.0.0.0:8081"))


def test_units_name_the_command_of_the_package() -> None:
    """And do not tell how to install by hand what dpkg has installed."""
    made = unit((ROOT / "systemd/localctl.service").read_text(encoding="utf-8"))
    assert made.startswith("[Unit]")
    assert "\nExecStart=/usr/bin/localctl run --config /etc/localctl/config.toml\n" in made
