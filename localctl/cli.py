"""Arguments to a command; a named error to its exit status (``interface.md``, Commands).

Each command imports what it needs when it runs: ``--help`` and ``status`` must not wait for the daemon's libraries.
"""

import os
import re
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Final

import click

from localctl.commands.options import CONFIG
from localctl.errors import ConfigurationError, LocalctlError

_ELSEWHERE: Final = ("bundle", "setup")  # in commands/, each read only when it is asked for
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LEAST: Final = 16  # characters of a station's password
_UNPUBLISHED: Final = {  # what becomes of an unpublish: exit status, and what is said
    "Unpublished": (0, "withdrawn"),
    "DownloadOngoing": (1, "is still being downloaded: try again later (localctl status shows by whom)"),
    "NoFirmware": (4, "nothing is published under this MD5"),
}


def _md5(_context: click.Context, _option: click.Parameter, value: str | None) -> str:
    """An MD5, in lower case; empty where none is given."""
    if value and not re.fullmatch("[0-9A-Fa-f]{32}", value):
        raise click.BadParameter("an MD5 has 32 hexadecimal digits")
    return (value or "").lower()


def _station(_context: click.Context, _argument: click.Parameter, value: str) -> str:
    """The identity of a station that may have a password."""
    if not value.isprintable() or value != value.strip() or not value or ":" in value or value.startswith("#"):
        raise click.BadParameter(
            'an identity has no ":" (A00.FR.204), no space at its ends and no "#" at its beginning'
        )
    return value


class _Commands(click.Group):
    """The commands of this file, and those of commands/."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names."""
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        found: click.Command = import_module(f"localctl.commands.{cmd_name}").command
        return found


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version("localctl"), prog_name="localctl")
def commands() -> None:
    """An OCPP Local Controller: it relays charging stations to the CSMS and mirrors their firmware on the LAN."""


@commands.command()
@CONFIG
def run(path: Path) -> None:
    """Run the daemon in the foreground; it logs to stderr."""
    import asyncio
    import gc
    import signal

    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is something to reload: it would end us
    gc.disable()  # what starting makes, stays: a sixth of it went into looking for garbage. The daemon enables it
    from prometheus_client import CollectorRegistry

    from localctl.config import load
    from localctl.daemon import VERSION, Daemon
    from localctl.logs import Recent, start_logging
    from localctl.main_loop import loop_factory
    from localctl.metrics import Metrics

    config = load(path)
    metrics = Metrics(CollectorRegistry(), VERSION)
    recent = Recent()
    start_logging(config.log.level, config.log.format, metrics.log_handler(), recent)

    async def live() -> None:
        await Daemon(config, metrics, path, recent).run()

    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(live())
    except ConfigurationError as fault:  # a certificate, which only using it shows to be wrong
        raise ConfigurationError(tuple(f"{path}: {line}" for line in fault.faults)) from None


@commands.command()
@CONFIG
@click.option("--offline", is_flag=True, help="Leave out what needs the network.")
@click.option("--json", "as_json", is_flag=True, help="Print all that was found as JSON.")
def check(path: Path, *, offline: bool, as_json: bool) -> None:
    """Read the configuration, then try what it names on this machine. Exit status: 0 no FAIL, 1 a FAIL."""
    import os

    from localctl.checking.credentials import loaded
    from localctl.checking.report import say
    from localctl.checks import run_checks

    found = loaded(path, os.environ)
    sys.exit(say(run_checks(found.config, offline=offline, path=path, unread=found.unread), as_json=as_json))


@commands.command()
@CONFIG
@click.option("--json", "as_json", is_flag=True, help="Print the document as JSON; with --watch, one a line.")
@click.option("--all", "everyone", is_flag=True, help="Tell of each station, however many there are.")
@click.option(
    "--watch",
    "seconds",
    type=click.FloatRange(min=0.2),
    is_flag=False,
    flag_value=2.0,
    metavar="[SECONDS]",
    help="Ask again and again, every 2 seconds or so many, until Ctrl-C.",
)
def status(path: Path, *, as_json: bool, everyone: bool, seconds: float | None) -> None:
    """Ask the running daemon how it is. Exit status: 0 ready, 1 running but not ready, 3 not running."""
    from localctl.config import load
    from localctl.watching import Manner, again, is_terminal, once

    config = load(path, environ=None)
    manner = Manner(as_json, everyone, is_terminal(sys.stdout))
    if seconds is None:
        sys.exit(once(config, manner))
    again(config, manner, seconds)


@commands.command()
@CONFIG
@click.option("--name", default="", help="The name under which stations fetch it.  [default: its own]")
@click.option("--md5", callback=_md5, help="What its MD5 must be, so that a damaged copy is not published.")
@click.argument("what", metavar="PATH-OR-URL")
def publish(path: Path, name: str, md5: str, what: str) -> None:
    """Publish a file without a CSMS: one on this machine, or one that the daemon downloads over HTTP, HTTPS or FTP.

    Prints its MD5 and, a line each, its URIs. Exit status: 0 published, 1 not, 3 the daemon is not running.
    """
    from localctl.config import load
    from localctl.drawing import progress
    from localctl.errand import publish_file, publish_url

    config = load(path, environ=None)
    with progress() as tell:
        if _URL.match(what):
            published = publish_url(config, what, name, md5, tell)
        else:
            published = publish_file(config, Path(what), name, md5, tell)
    click.echo("\n".join((published["checksum"], *published["uris"])))


@commands.command()
@CONFIG
@click.argument("checksum", metavar="MD5", callback=_md5)
def unpublish(path: Path, checksum: str) -> None:
    """Withdraw a published file.

    Exit status: 0 withdrawn, 1 still being downloaded, 4 not published, 3 the daemon is not running.
    """
    from localctl.config import load
    from localctl.errand import unpublish as withdraw

    code, said = _UNPUBLISHED[withdraw(load(path, environ=None), checksum)]
    click.echo(f"{checksum}: {said}", err=code != 0)
    sys.exit(code)


@commands.command()
@click.option("--hex", "as_hex", is_flag=True, help="The password is given in hex, as OCPP 1.6 configures it.")
@click.argument("identity", callback=_station)
def password(identity: str, *, as_hex: bool) -> None:
    """Print a station's line for stations.password_file.

    Asks for the password on a terminal, else reads a line of stdin. The line does not tell it.
    """
    from localctl.relay.scrypt import SALT_BYTES, hashed

    if sys.stdin.isatty():
        given = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True).encode()
    else:
        given = sys.stdin.buffer.readline().rstrip(b"\r\n")
    try:
        secret = bytes.fromhex(given.decode("ascii")) if as_hex else given
    except ValueError:
        raise click.UsageError("--hex takes hexadecimal digits, two a byte") from None
    if not secret:
        raise click.UsageError("a password has at least one character")
    if len(secret) < _LEAST:
        click.echo(f"localctl: OCPP asks for a random password of {_LEAST} to 40 characters (A00.FR.205)", err=True)
    click.echo(f"{identity}:{hashed(secret, os.urandom(SALT_BYTES))}")


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
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # they are looked for in all that is installed
    try:
        sys.exit(commands(prog_name="localctl", standalone_mode=False))  # else Ctrl-C would end with 1, and shout
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except click.ClickException as fault:
        fault.show()
        sys.exit(fault.exit_code)
    except ConfigurationError as fault:
        click.echo("\n".join(fault.faults), err=True)
        sys.exit(fault.exit_status)
    except LocalctlError as fault:
        click.echo(f"localctl: {fault}", err=True)
        sys.exit(fault.exit_status)
