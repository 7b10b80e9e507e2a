"""`localctl bundle`: where the archive goes, and what is said of it."""

import os
import sys
import time
from pathlib import Path

import click

from localctl.commands.options import CONFIG


@click.command()
@CONFIG
@click.argument("file", metavar="[FILE]", default="")
def command(path: Path, file: str) -> None:
    """Pack what helps somebody from afar: configuration, status, metrics, log, versions.

    No password is in it. FILE is a .tar.gz, - for stdout.  [default: localctl-IDENTITY-DATE.tar.gz]
    """
    from localctl.bundle.archive import contents, folder, packed
    from localctl.bundle.collect import gathered, source

    if file == "-" and sys.stdout.isatty():
        raise click.UsageError(
            "an archive is nothing for a terminal: name a file, or send it on (localctl bundle - | …)"
        )
    moment = time.time()
    origin = source(path)
    name = folder(origin.config.controller.identity, moment)
    target = Path(file or f"{name}.tar.gz")
    if file != "-" and os.path.lexists(target):
        raise click.UsageError(f"{target} is there already: name another file")
    parts = tuple(gathered(origin))
    content = packed(parts, name, moment)
    _write(target if file != "-" else None, content)
    said = f"{'stdout' if file == '-' else target}: {len(content)} bytes. No password is in it."
    click.echo("\n".join((*contents(parts), "", said)), err=file == "-")


def _write(target: Path | None, content: bytes) -> None:
    """A file for its owner alone; None: stdout."""
    if target is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
        return
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        _fill(target, descriptor, content)
    except OSError as fault:
        raise click.UsageError(f"{target} cannot be written: {fault.strerror}; name another file") from None


def _fill(target: Path, descriptor: int, content: bytes) -> None:
    """A part of an archive is of no use: nothing of it stays where the disk is full. Raises OSError."""
    try:
        with open(descriptor, "wb") as archive:
            archive.write(content)
    except OSError:
        target.unlink()
        raise
