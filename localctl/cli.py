"""Arguments to a command; a named error to its exit status (``interface.md``, Commands).

Each command imports what it needs when it runs: ``--help`` and ``status`` must not wait for the daemon's libraries.
"""

import json
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click

from localctl.errors import ConfigurationError, LocalctlError

_CONFIG: Final = click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    envvar="LOCALCTL_CONFIG",
    default="/etc/localctl/config.toml",
    show_default=True,
    show_envvar=True,
    help="The configuration file.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("localctl"), prog_name="localctl")
def commands() -> None:
    """An OCPP Local Controller: it relays charging stations to the CSMS and mirrors their firmware on the LAN."""


@commands.command()
@_CONFIG
def run(path: Path) -> None:
    """Run the daemon in the foreground; it logs to stderr."""
    import asyncio

    from prometheus_client import CollectorRegistry

    from localctl.config import load
    from localctl.daemon import VERSION, Daemon
    from localctl.logs import start_logging
    from localctl.metrics import Metrics

    config = load(path)
    metrics = Metrics(CollectorRegistry(), VERSION)
    start_logging(config.log.level, config.log.format, metrics.log_handler())

    async def live() -> None:
        await Daemon(config, metrics).run()

    try:
        asyncio.run(live())
    except ConfigurationError as fault:  # a certificate, which only using it shows to be wrong
        raise ConfigurationError(tuple(f"{path}: {line}" for line in fault.faults)) from None


@commands.command()
@_CONFIG
@click.option("--offline", is_flag=True, help="Leave out what needs the network.")
def check(path: Path, *, offline: bool) -> None:
    """Read the configuration, then try what it names on this machine."""
    from localctl.checks import run_checks
    from localctl.config import load

    failed = False
    for found in run_checks(load(path), offline=offline):
        failed = failed or found.verdict == "FAIL"
        click.echo(f"{found.verdict:<5} {found.what}" + (f"\n      {found.advice}" if found.advice else ""))
    sys.exit(1 if failed else 0)


@commands.command()
@_CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print the document as JSON.")
def status(path: Path, *, as_json: bool) -> None:
    """Ask the running daemon how it is. Exit status: 0 ready, 1 running but not ready, 3 not running."""
    from localctl.config import load
    from localctl.inquiry import ask_status, tell

    document = ask_status(load(path))
    if as_json:
        click.echo(json.dumps(document, indent=2))
    else:
        for line in tell(document, time.time()):
            click.echo(line)
    sys.exit(0 if document["ready"] else 1)


@commands.command()
@click.option("--stations", type=click.IntRange(1, 100), default=4, show_default=True, help="How many stations.")
@click.option("--size", type=click.IntRange(1, 2048), default=32, show_default=True, help="The firmware's size in MiB.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def demo(stations: int, size: int, *, as_json: bool) -> None:
    """Show the whole job on this machine, without any configuration."""
    from localctl.demo.scenario import run_demo

    sys.exit(run_demo(stations, size, as_json))


def main() -> None:
    """Run the command line; exit with the status that the error has."""
    try:
        commands(prog_name="localctl")
    except KeyboardInterrupt:
        sys.exit(130)
    except ConfigurationError as fault:
        click.echo("\n".join(fault.faults), err=True)
        sys.exit(fault.exit_status)
    except LocalctlError as fault:
        click.echo(f"localctl: {fault}", err=True)
        sys.exit(fault.exit_status)
